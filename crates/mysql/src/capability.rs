//! Pure: what two sides can agree on in the handshake, and what the server says of itself with each
//! reply.
//!
//! Source: MySQL internals, "Capabilities Flags", "SERVER_STATUS_flags_enum"; MariaDB KB, "Connection".

/// Capability bits, the lower 32.
pub type Capabilities = u32;

/// MySQL: long passwords. MariaDB servers leave it out, which says "my extended capabilities stand
/// in the greeting".
pub const LONG_PASSWORD: u32 = 1;
/// Affected rows are rows found, not rows changed.
pub const FOUND_ROWS: u32 = 1 << 1;
pub const LONG_FLAG: u32 = 1 << 2;
pub const CONNECT_WITH_DB: u32 = 1 << 3;
pub const NO_SCHEMA: u32 = 1 << 4;
pub const COMPRESS: u32 = 1 << 5;
pub const ODBC: u32 = 1 << 6;
pub const LOCAL_FILES: u32 = 1 << 7;
pub const IGNORE_SPACE: u32 = 1 << 8;
pub const PROTOCOL_41: u32 = 1 << 9;
pub const INTERACTIVE: u32 = 1 << 10;
pub const SSL: u32 = 1 << 11;
pub const IGNORE_SIGPIPE: u32 = 1 << 12;
pub const TRANSACTIONS: u32 = 1 << 13;
pub const RESERVED: u32 = 1 << 14;
pub const SECURE_CONNECTION: u32 = 1 << 15;
pub const MULTI_STATEMENTS: u32 = 1 << 16;
pub const MULTI_RESULTS: u32 = 1 << 17;
pub const PS_MULTI_RESULTS: u32 = 1 << 18;
pub const PLUGIN_AUTH: u32 = 1 << 19;
pub const CONNECT_ATTRS: u32 = 1 << 20;
pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
pub const EXPIRED_PASSWORDS: u32 = 1 << 22;
pub const SESSION_TRACK: u32 = 1 << 23;
/// A result set ends with an OK packet instead of EOF, and has none after its columns.
pub const DEPRECATE_EOF: u32 = 1 << 24;

/// Bits of the status word in OK and EOF packets.
pub mod status {
    pub const IN_TRANSACTION: u16 = 0x0001;
    pub const AUTOCOMMIT: u16 = 0x0002;
    pub const MORE_RESULTS: u16 = 0x0008;
    pub const CURSOR_EXISTS: u16 = 0x0040;
    pub const LAST_ROW_SENT: u16 = 0x0080;
    /// Clients escape strings by it.
    pub const NO_BACKSLASH_ESCAPES: u16 = 0x0200;
    /// "…" is a name.
    pub const ANSI_QUOTES: u16 = 1 << 15;
    pub const IN_READ_ONLY_TRANSACTION: u16 = 0x2000;
    pub const SESSION_STATE_CHANGED: u16 = 0x4000;
}
