//! Every bound of this crate, with its source.

use std::time::Duration;

/// Bytes of a request or response head. nginx allows 4 × 8 KiB, HAProxy 16 KiB (`tune.bufsize`),
/// Apache 8 KiB a line; 32 KiB takes every head that all of them take.
pub const HEAD: usize = 32 << 10;
/// Fields of one head. HAProxy: 101 (`tune.http.maxhdr`), Apache: 100.
pub const FIELDS: usize = 100;
/// First size of a connection's read buffer: most heads and small bodies in one read.
pub const BUFFER: usize = 16 << 10;
/// Size of the read buffer of a body known to be long: measured, 64 KiB halves the system calls of a
/// 64 KiB response and more brings nothing on loopback.
pub const BODY_BUFFER: usize = 64 << 10;
/// Buffers of these two sizes that a thread keeps while no connection holds them, 1 MiB of each: as
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
