//! Pure: what a client may do, as data that can be shown and left out.

use std::fmt;

/// A value bound to a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Double(f64),
    Text(String),
    /// A text of this many bytes.
    Long(usize),
}

/// One thing a client does. Prepared statements are named by a slot of the test's own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Query(Vec<u8>),
    /// A text with a comment behind it that makes it this long.
    Padded(String, usize),
    Prepare(usize, String),
    /// `bind`: the types are sent (again); `cursor`: rows are fetched.
    Execute {
        slot: usize,
        values: Vec<Value>,
        cursor: bool,
        bind: bool,
    },
    Fetch(usize, u32),
    LongData(usize, u16, Vec<u8>),
    Reset(usize),
    Close(usize),
    InitDb(String),
    FieldList(String),
    Ping,
    MultiStatements(bool),
    ResetConnection,
    ChangeUser {
        user: &'static str,
        schema: String,
    },
}

/// How a session logs in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lane {
    pub(crate) schema: String,
    pub(crate) user: &'static str,
    /// DEPRECATE_EOF and SESSION_TRACK, or neither: the two kinds of clients there are.
    pub(crate) modern: bool,
    /// CLIENT_FOUND_ROWS.
    pub(crate) found_rows: bool,
    pub(crate) collation: u8,
}

/// What happens next in a script.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A session does something.
    Of(usize, Step),
    /// The replica's applier.
    StopApplier,
    StartApplier,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Script {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) steps: Vec<Event>,
}

/// Every session's first statement, and the first one after it begins anew: DO and SET leave FOUND_ROWS()
/// as it was, so it has rows.
pub(crate) const FIRST: &[u8] = b"SELECT 1 FOR UPDATE";

impl Event {
    pub(crate) fn is_first(&self) -> bool {
        matches!(self, Self::Of(_, Step::Query(sql)) if sql == FIRST)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(sql) => write!(f, "{}", String::from_utf8_lossy(sql)),
            Self::LongData(slot, parameter, bytes) if bytes.len() > 100 => {
                write!(f, "LongData({slot}, {parameter}, {} bytes)", bytes.len())
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(lane, step) => write!(f, "[{lane}] {step}"),
            Self::StopApplier => f.write_str("-- the replica's applier stops"),
            Self::StartApplier => f.write_str("-- the replica's applier starts"),
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, lane) in self.lanes.iter().enumerate() {
            writeln!(f, "[{number}] {lane:?}")?;
        }
        for event in &self.steps {
            writeln!(f, "{event}")?;
        }
        Ok(())
    }
}
