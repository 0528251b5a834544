//! Pure: every bound of the router that the site file does not set, with its reason.

use std::time::Duration;

/// How long a client that has something to do may do nothing. Who waits for his next command may wait
/// as long as he likes.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// In the middle of a command: MariaDB's `net_read_timeout` is 30 s too.
    pub stalled: Duration,
    /// While there is something for it to read: MariaDB's `net_write_timeout` is 60 s too.
    pub unread: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stalled: Duration::from_secs(30),
            unread: Duration::from_secs(60),
        }
    }
}

/// From the connection to the end of the login; MariaDB's `connect_timeout` is 10 s too.
pub(crate) const LOGIN: Duration = Duration::from_secs(10);
/// Bytes of one command: MariaDB's `max_allowed_packet` can be no larger.
pub(crate) const COMMAND: usize = 1 << 30;
/// Bytes of a client's login packets: connection attributes may take 64 KiB.
pub(crate) const LOGIN_PACKET: usize = 128 << 10;
/// Accounts whose password is known to the process, for the fast path of caching_sha2_password.
pub(crate) const KNOWN_PASSWORDS: usize = 1_024;
/// Files of certificates are looked at again after this.
pub(crate) const CERTIFICATE_AGE: Duration = Duration::from_secs(1);
/// Connecting and logging in to a server. They are near; a primary is tried again while held.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);
/// A replica that failed gets no reads for so long.
pub(crate) const AVOID: Duration = Duration::from_secs(1);
/// Between two looks for a primary.
pub(crate) const HOLD_POLL: Duration = Duration::from_millis(20);
/// Users (and schemas) for whom a thread keeps connections ready.
pub(crate) const WARM_USERS: usize = 16;
/// Web servers' threads that wait for a position at once.
pub(crate) const ASKING: usize = 256;
/// Bytes of an answer to the router's own questions.
pub(crate) const OWN_ANSWER: usize = 1 << 20;
/// The accounts are read again after this.
pub(crate) const USERS_AGE: Duration = Duration::from_secs(10);
/// And after a wrong password or an unknown name, but not more often than this.
pub(crate) const USERS_MISS: Duration = Duration::from_millis(250);
/// Prepared statements of one session; MariaDB's `max_prepared_stmt_count` is 16,382 for all.
pub(crate) const STATEMENTS: usize = 4_096;
/// Prepared statements kept on a server connection for the sessions that will have it. Above, it is reset,
/// which closes them all: MariaDB's bound is for all connections together.
pub(crate) const SPARE: usize = 64;
/// Idle server connections kept per thread, and of one kind: of one user's when all come and go at once.
pub(crate) const IDLE: usize = 64;
pub(crate) const IDLE_OF_A_KIND: usize = 32;
/// So long a session keeps a connection on which its last statement left something that cannot be had
/// again (`ROW_COUNT()`, warnings), when others wait for one: who asks for it, asks at once.
pub(crate) const ASKED_SOON: Duration = Duration::from_millis(100);
/// Between two looks at the pool.
pub(crate) const TEND: Duration = Duration::from_secs(5);
/// A buffer that grew for one large statement is given back above this.
pub(crate) const BUFFER_KEPT: usize = 64 << 10;
/// (user, schema) pairs known to be good, per thread.
pub(crate) const SCHEMAS: usize = 256;
/// Digests of statements counted one by one, per thread, and bytes of their texts; the others are
/// counted together. An application has some hundred.
pub(crate) const DIGESTS: usize = 1_000;
pub(crate) const DIGEST_BYTES: usize = 256 << 10;
/// Lines on their way to the slow log; a thousand statements may be slow at once.
pub(crate) const SLOW_QUEUE: usize = 1_024;
/// Bytes of a statement in the slow log.
pub(crate) const SLOW_TEXT: usize = 4 << 10;
/// Threads: more than the cores of a small server do not help beside an application.
pub(crate) const THREADS_AT_LEAST: usize = 2;
