//! Pure: what a statement is, as far as routing cares.

use std::fmt;

use super::hint::Hint;

/// What a statement is, and what it does to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    pub kind: Kind,
    /// Why it is no plain read; `Reason::PlainRead` for one.
    pub because: Reason,
    /// What it leaves behind in the session on the primary that no report tells of.
    pub pins: Pins,
    /// It sets something that the server does not report: the session's state must be asked for.
    pub unreported: bool,
    /// It holds bytes over 0x7F.
    pub non_ascii: bool,
    /// Its rows are counted for `FOUND_ROWS()`: those of SHOW may be or may not.
    pub counted: bool,
    /// It may count rows that it does not send: INSERT … SELECT, UPDATE of several tables.
    pub recounts: bool,
    /// Asks for `FOUND_ROWS()`, and reads nothing else.
    pub found_rows: bool,
    /// Its answer may tell what was run on its connection before: `ROW_COUNT()`, `LASTVAL()`,
    /// `@@last_gtid`, or a routine that asks for such. Not `LAST_INSERT_ID()`, which is kept in step.
    pub looks_back: bool,
    /// Asks for warnings, or how many there are.
    pub warnings: bool,
    /// It uses tables, as far as can be seen: the warnings of the statement before are gone.
    pub clears: bool,
    pub hint: Option<Hint>,
    /// Not provably a read, but one if its author says so: nothing in it is known to write, to lock or
    /// to leave something behind.
    pub may_be_read: bool,
    /// COMMIT RELEASE and its like: the server closes the connection behind its OK.
    pub releases: bool,
    /// A schema may be gone after it.
    pub schemas: bool,
}

impl Class {
    /// Does its answer tell what is in the data? Settings and the like do not.
    pub(crate) fn tells_data(&self) -> bool {
        // `SET STATEMENT … FOR SELECT …`
        let runs_another = self.kind == Kind::SetStatement;
        let about_servers = matches!(
            self.because,
            Reason::SetsSession
                | Reason::Transaction
                | Reason::ServerState
                | Reason::SystemVariable
                | Reason::AboutLast
        );
        runs_another || !about_servers
    }
}

/// The kinds that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Provably reads only what every replica has.
    Read,
    /// Asks about the statement before it: SHOW WARNINGS, FOUND_ROWS().
    AboutLast,
    /// `SET STATEMENT … FOR`: what it sets is reported but does not last.
    SetStatement,
    Kill,
    /// Everything else goes to the primary as it is.
    Other,
}

/// Why a statement is, or is not, a plain read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    PlainRead,
    AboutLast,
    Writes,
    Routine,
    Transaction,
    SetsSession,
    ServerState,
    LockingRead,
    Into,
    UserVariable,
    SystemVariable,
    Sequence,
    Function,
    SystemSchema,
    FoundRows,
    ExecutableComment,
    MultiStatement,
    Unreadable,
    Unknown,
}

impl Reason {
    /// Can what was found still be a read, if the text's author says so?
    pub(crate) fn may_be_read(self) -> bool {
        matches!(
            self,
            Self::Function
                | Self::SystemVariable
                | Self::SystemSchema
                | Self::ServerState
                | Self::FoundRows
                | Self::ExecutableComment
        )
    }

    /// May what was found ask for its connection's past? Calls are looked at one by one; a user variable
    /// keeps its connection from all others.
    pub(crate) fn looks_back(self) -> bool {
        !matches!(
            self,
            Self::PlainRead
                | Self::Writes
                | Self::LockingRead
                | Self::Into
                | Self::UserVariable
                | Self::Function
                | Self::FoundRows
        )
    }

    /// For metrics: one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlainRead => "plain-read",
            Self::AboutLast => "about-last",
            Self::Writes => "writes",
            Self::Routine => "routine",
            Self::Transaction => "transaction-statement",
            Self::SetsSession => "sets-session",
            Self::ServerState => "server-state",
            Self::LockingRead => "locking-read",
            Self::Into => "into",
            Self::UserVariable => "user-variable",
            Self::SystemVariable => "system-variable",
            Self::Sequence => "sequence",
            Self::Function => "function",
            Self::SystemSchema => "system-schema",
            Self::FoundRows => "found-rows",
            Self::ExecutableComment => "executable-comment",
            Self::MultiStatement => "multi-statement",
            Self::Unreadable => "unreadable",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlainRead => "it is a plain read",
            Self::AboutLast => "it asks about the statement before",
            Self::Writes => "it writes",
            Self::Routine => "it runs a routine",
            Self::Transaction => "it begins or ends a transaction",
            Self::SetsSession => "it changes the session",
            Self::ServerState => "it asks about one server",
            Self::LockingRead => "it locks what it reads",
            Self::Into => "it stores what it reads",
            Self::UserVariable => "it uses a user variable",
            Self::SystemVariable => "it asks for a variable that may differ between servers",
            Self::Sequence => "it uses a sequence",
            Self::Function => "it calls a function not known to be safe",
            Self::SystemSchema => "it reads a system schema",
            Self::FoundRows => "it counts for FOUND_ROWS()",
            Self::ExecutableComment => "it has an executable comment",
            Self::MultiStatement => "it is several statements",
            Self::Unreadable => "it cannot be read",
            Self::Unknown => "its kind is not known to be safe",
        })
    }
}

/// A set of things that keep a session on the primary until it is reset.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Pins(u8);

impl Pins {
    pub const NONE: Self = Self(0);
    pub const USER_VARIABLE: Self = Self(1);
    pub const TEMPORARY_TABLE: Self = Self(1 << 1);
    pub const LOCK: Self = Self(1 << 2);
    pub const PREPARED: Self = Self(1 << 3);
    pub const HANDLER: Self = Self(1 << 4);
    pub const XA: Self = Self(1 << 5);
    pub const ROLE: Self = Self(1 << 6);
    /// A setting or state that cannot be carried to another connection.
    pub const STATE: Self = Self(1 << 7);

    const NAMES: [(Self, &'static str); 8] = [
        (Self::USER_VARIABLE, "user variable"),
        (Self::TEMPORARY_TABLE, "temporary table"),
        (Self::LOCK, "lock"),
        (Self::PREPARED, "PREPARE"),
        (Self::HANDLER, "HANDLER"),
        (Self::XA, "XA"),
        (Self::ROLE, "role"),
        (Self::STATE, "session state"),
    ];

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Self::NAMES.iter().filter(|(pin, _)| self.has(*pin));
        for (index, (_, name)) in held.enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pins({self})")
    }
}
