//! Pure: the error codes we send or recognise, with their SQLSTATE.
//!
//! Source: MariaDB KB, "MariaDB Error Codes"; MySQL manual, "Client Error Message Reference" (2xxx).

/// A code, its SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    pub code: u16,
    pub state: &'static str,
}

const fn error(code: u16, state: &'static str) -> ErrorCode {
    ErrorCode { code, state }
}

/// Too many connections.
pub const TOO_MANY_CONNECTIONS: ErrorCode = error(1040, "08004");
/// The handshake makes no sense.
pub const BAD_HANDSHAKE: ErrorCode = error(1043, "08S01");
/// Access denied, of the login.
pub const ACCESS_DENIED: ErrorCode = error(1045, "28000");
/// Unknown command.
pub const UNKNOWN_COMMAND: ErrorCode = error(1047, "08S01");
/// Server shutdown in progress: clients take the connection for lost.
pub const SHUTDOWN: ErrorCode = error(1053, "08S01");
/// A packet is larger than `max_allowed_packet`.
pub const PACKET_TOO_LARGE: ErrorCode = error(1153, "08S01");
/// A packet's number is not the next one.
pub const OUT_OF_ORDER: ErrorCode = error(1156, "08S01");
/// What the server (here: the router) is set to prevents the statement.
pub const OPTION_PREVENTS: ErrorCode = error(1290, "HY000");
/// No such prepared statement.
pub const UNKNOWN_STATEMENT: ErrorCode = error(1243, "HY000");
/// COM_STMT_FETCH without a cursor.
pub const NO_OPEN_CURSOR: ErrorCode = error(1421, "HY000");
/// `max_prepared_stmt_count` is reached.
pub const TOO_MANY_STATEMENTS: ErrorCode = error(1461, "42000");
/// The user has all the sessions he may have.
pub const USER_LIMIT_REACHED: ErrorCode = error(1226, "42000");
/// A packet whose fields make no sense.
pub const MALFORMED_PACKET: ErrorCode = error(1835, "HY000");
/// KILL of somebody else's thread.
pub const KILL_DENIED: ErrorCode = error(1095, "HY000");
/// No such thread.
pub const NO_SUCH_THREAD: ErrorCode = error(1094, "HY000");
/// The plugin of an account cannot be used.
pub const PLUGIN_NOT_LOADED: ErrorCode = error(1524, "HY000");
/// Only connections over TLS are taken.
pub const TLS_REQUIRED: ErrorCode = error(3159, "HY000");
/// "Lost connection to MySQL server during query": client libraries connect anew.
pub const SERVER_LOST: ErrorCode = error(2013, "08S01");

/// Does this error of a server say "I am read-only", so that nothing was done?
/// 1290 with `--read-only`, 1792 in a read-only transaction, 1836 read-only mode.
pub fn is_read_only(code: u16) -> bool {
    matches!(code, 1290 | 1792 | 1836)
}

/// Does this error of a replica say no more than that it does not have yet what the primary has
/// (a schema, table, column, routine, account, grant), or that it is going away?
pub fn is_perhaps_behind(code: u16) -> bool {
    matches!(
        code,
        1044 | 1045
            | 1049
            | 1053
            | 1054
            | 1072
            | 1109
            | 1142
            | 1143
            | 1146
            | 1176
            | 1227
            | 1305
            | 1317
            | 1356
            | 1370
            | 1449
            | 1927
    )
}
