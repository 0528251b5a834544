//! Pure: what a client can ask for: the first byte of a packet with sequence number 0.
//!
//! Source: MySQL internals, "Command Phase"; MariaDB KB, "Connection: commands".

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $byte:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Command {
            $($(#[$doc])* $name,)*
            /// Replication's commands, and those no server speaks any more.
            Other(u8),
        }

        impl Command {
            pub fn from_byte(byte: u8) -> Self {
                match byte {
                    $($byte => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            pub fn byte(self) -> u8 {
                match self {
                    $(Self::$name => $byte,)*
                    Self::Other(byte) => byte,
                }
            }
        }
    };
}

commands! {
    Quit = 0x01,
    InitDb = 0x02,
    Query = 0x03,
    FieldList = 0x04,
    Statistics = 0x09,
    ProcessKill = 0x0c,
    Ping = 0x0e,
    ChangeUser = 0x11,
    StmtPrepare = 0x16,
    StmtExecute = 0x17,
    /// No reply.
    StmtSendLongData = 0x18,
    /// No reply.
    StmtClose = 0x19,
    StmtReset = 0x1a,
    SetOption = 0x1b,
    StmtFetch = 0x1c,
    ResetConnection = 0x1f,
}

/// A packet with sequence number 0: a whole command. `payload` without the command's byte; shorter
/// than a frame (16 MiB), as what we send ourselves always is.
pub fn put(out: &mut Vec<u8>, command: Command, payload: &[u8]) {
    let mut whole = Vec::with_capacity(payload.len() + 1);
    whole.push(command.byte());
    whole.extend_from_slice(payload);
    crate::packet::put(out, &mut 0, &whole);
}
