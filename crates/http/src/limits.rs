//! Every bound of this crate, with its source.

use std::time::Duration;

/// Bytes of a request or response head. nginx allows 4 × 8 KiB, HAProxy 16 KiB (`tune.bufsize`),
/// Apache 8 KiB a line; 32 KiB takes every head that all of them take.
pub const HEAD: usize = 32 << 10;
/// Fields of one head. HAProxy: 101 (`tune.http.maxhdr`), Apache: 100.
pub const FIELDS: usize = 100;
/// Fields that `head::write` may add to them.
pub const OUR_FIELDS: usize = 12;
/// First size of a connection's read buffer: most heads and small bodies in one read.
pub const BUFFER: usize = 16 << 10;
/// Size of the read buffer of a response, and of a body known to be long: a head and 64 KiB of body in one
/// read and one write. More brings nothing on loopback (measured); untouched pages cost nothing.
pub const BODY_BUFFER: usize = BUFFER + (64 << 10);
/// Buffers of these two sizes that a thread keeps while no connection holds them, about 1 MiB of each: as
/// many as are read at once, not as many as are open (no source; more would only be kept, not used).
pub const FREE_BUFFERS: usize = 64;
pub const FREE_BODY_BUFFERS: usize = 16;
/// Bytes of a chunk's size line with its extensions, and of a trailer section (no source; generous).
pub const CHUNK_LINE: usize = 256;
pub const TRAILERS: usize = 8 << 10;
/// Idle connections kept to one upstream by all threads together, unless something else is asked for
/// (HAProxy: `pool-max-conn`, without a bound; nginx: `keepalive` per worker, 32 in examples).
pub const IDLE_PER_UPSTREAM: usize = 256;
/// What is left of a request that was answered early is read and dropped up to here, so that its sender
/// sees the answer and not a reset (nginx: `lingering_timeout` 5 s, no bound in bytes).
pub const LINGER_BYTES: usize = 1 << 20;
pub const LINGER: Duration = Duration::from_secs(2);
/// Informational responses passed on before a final one (no source; 103s are few).
pub const INFORMATIONAL: usize = 16;
/// TLS 1.2 sessions kept for clients without tickets, which are rare (HAProxy: `tune.ssl.cachesize` 20000
/// for all clients; rustls: 256). About 200 bytes each.
pub const TLS_SESSIONS: usize = 1024;
/// Bytes of a ClientHello read for its server name, without record headers: those of browsers have up to
/// 2 KiB, with a post-quantum key share; HAProxy looks at one buffer (16 KiB).
pub const CLIENT_HELLO: usize = 15 << 10;
/// Bytes read ahead of a connection's protocol: a PROXY header, or a ClientHello in its records.
pub const READ_AHEAD: usize = 16 << 10;
/// Bytes of a PROXY header of version 2. The specification wants 536 to be enough for a sender; with what
/// balancers of providers add (a client's certificate among it), a page is.
pub const PROXY_HEADER: usize = 4 << 10;

/// HTTP/2 streams of one client connection at once: at least 100 is RFC 9113's advice (section 6.5.2);
/// HAProxy and Apache allow 100, nginx 128.
pub const H2_STREAMS: usize = 100;
/// Streams of one client connection in its life, then it is asked to come again (nginx:
/// `keepalive_requests` 1,000; HAProxy: none). What a connection collects is let go now and then.
pub const H2_STREAMS_IN_ALL: u64 = 100_000;
/// Size of a field section, as RFC 9113 section 6.5.2 counts: every head that fits `HEAD` and `FIELDS`.
/// `h2` answers 431 above it, ends the connection at four times as much, and derives from it how many
/// CONTINUATION frames a head may have.
pub const H2_FIELD_SECTION: usize = HEAD + 32 * FIELDS;
/// Bytes a sender may have under way on a stream, and on a connection (RFC 9113's default is 65,535, too
/// little beyond some 10 ms of round trip; hyper takes 1 MiB for both). The second is also what one
/// connection's unread bodies can hold of our memory.
pub const H2_WINDOW: u32 = 256 << 10;
pub const H2_CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of one stream waiting to be written to a connection. Times `H2_STREAMS` is what a peer that
/// does not read can hold.
pub const H2_SEND_BUFFER: usize = 64 << 10;
/// Streams that we have reset and remember, so that what was under way to them is no error, and for how
/// long (`h2`'s defaults).
pub const H2_RESET_REMEMBERED: usize = 50;
pub const H2_RESET_MEMORY: Duration = Duration::from_secs(1);
/// Streams that the peer has reset before we looked at them (rapid reset, CVE-2023-44487; `h2`'s
/// default). The connection ends above it.
pub const H2_RESET_UNSEEN: usize = 20;
/// Streams that `h2` itself has reset or refused for an error of the peer, in the connection's life
/// (`h2`'s default).
pub const H2_RESET_ERRORS: usize = 1024;
/// Streams that the peer has reset after we began with them, or that were malformed: so many, and more
/// than half of all, end the connection (Envoy: `premature_reset_total_stream_count` 500, more than half
/// of them).
pub const H2_RESETS: u64 = 250;
/// Frames without content (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM, unknown ones) of a client
/// above what pays for them (Go: 10,000 control frames waiting to be written).
pub const H2_CONTROL_FRAMES: u64 = 10_000;
/// What pays for such a frame: bytes of the connection, either way (a WINDOW_UPDATE comes every few KiB,
/// at worst every DATA frame), or time (a PING for every round trip of a busy gRPC client).
pub const H2_BYTES_PER_CONTROL_FRAME: u64 = 256;
pub const H2_CONTROL_FRAMES_PER_SECOND: u64 = 100;
/// Streams of ours on one connection to an upstream: the lower of this and what it allows (Envoy and
/// grpc-go open more connections at 100).
pub const H2_UPSTREAM_STREAMS: usize = 100;
/// Connections with HTTP/2 to one upstream by one thread (no source; 1,600 streams).
pub const H2_LINKS: usize = 16;
