//! Pure: (session, class, servers) → where a statement goes, and why.
//!
//! The rule (DESIGN section 7): to a replica only when that is provably safe. The order of the
//! checks is the order in which the reasons matter to a person who asks "why not a replica?".

use std::fmt;
use std::time::Duration;

use site::name::MemberName;
use site::target::SqlMode;

use crate::loads::Loads;
use crate::snapshot::{Replica, Servers};
use crate::state::{Last, SessionState};
use crate::statement::class::{Class, Kind, Pins, Reason};
use crate::statement::hint::Hint;

/// Where a statement goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To<'a> {
    Primary,
    Replica(&'a MemberName),
    /// The replica connection that ran the last statement, as it is.
    LastReplica,
    /// It is refused.
    Nowhere,
}

/// Who answered a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    Primary,
    Replica,
    /// No server: it was refused.
    Router,
}

impl Destination {
    pub(crate) const ALL: [Self; 3] = [Self::Primary, Self::Replica, Self::Router];

    /// Its place in `ALL`.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Primary => 0,
            Self::Replica => 1,
            Self::Router => 2,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Router => "router",
        }
    }
}

/// Where and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub(crate) to: To<'a>,
    pub(crate) because: Because,
}

/// Why a statement goes where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Because {
    /// What the statement is decided it.
    Statement(Reason),
    /// A hint at its front did.
    HintPrimary,
    HintReplica,
    /// The user's mode did: everything goes to the primary.
    Mode,
    Transaction,
    AutocommitOff,
    NextTransactionSet,
    Pinned,
    /// The client's character set does not let the text be read.
    Charset,
    /// The session's schema is a system schema.
    SystemSchema,
    OracleMode,
    NoReplica,
    // What came up after the route was chosen:
    /// No replica had in time what the session has seen.
    Behind,
    /// The replica could not be used, or was lost before its first byte.
    ReplicaFailed,
    /// The replica refused: read-only, or it lacks something the primary may have.
    ReplicaRefused,
    /// All connections to it are in use.
    ReplicaBusy,
    /// Not a statement: COM_PING and the like.
    Command,
}

impl Because {
    /// All of them: a counter each.
    pub(crate) const ALL: &'static [Self] = &[
        Self::HintPrimary,
        Self::HintReplica,
        Self::Mode,
        Self::Transaction,
        Self::AutocommitOff,
        Self::NextTransactionSet,
        Self::Pinned,
        Self::Charset,
        Self::SystemSchema,
        Self::OracleMode,
        Self::NoReplica,
        Self::Behind,
        Self::ReplicaFailed,
        Self::ReplicaRefused,
        Self::ReplicaBusy,
        Self::Command,
        Self::Statement(Reason::PlainRead),
        Self::Statement(Reason::AboutLast),
        Self::Statement(Reason::Writes),
        Self::Statement(Reason::Routine),
        Self::Statement(Reason::Transaction),
        Self::Statement(Reason::SetsSession),
        Self::Statement(Reason::ServerState),
        Self::Statement(Reason::LockingRead),
        Self::Statement(Reason::Into),
        Self::Statement(Reason::UserVariable),
        Self::Statement(Reason::SystemVariable),
        Self::Statement(Reason::Sequence),
        Self::Statement(Reason::Function),
        Self::Statement(Reason::SystemSchema),
        Self::Statement(Reason::FoundRows),
        Self::Statement(Reason::ExecutableComment),
        Self::Statement(Reason::MultiStatement),
        Self::Statement(Reason::Unreadable),
        Self::Statement(Reason::Unknown),
    ];

    /// Its place in `ALL`.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::HintPrimary => 0,
            Self::HintReplica => 1,
            Self::Mode => 2,
            Self::Transaction => 3,
            Self::AutocommitOff => 4,
            Self::NextTransactionSet => 5,
            Self::Pinned => 6,
            Self::Charset => 7,
            Self::SystemSchema => 8,
            Self::OracleMode => 9,
            Self::NoReplica => 10,
            Self::Behind => 11,
            Self::ReplicaFailed => 12,
            Self::ReplicaRefused => 13,
            Self::ReplicaBusy => 14,
            Self::Command => 15,
            Self::Statement(reason) => 16 + reason as usize,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Statement(reason) => reason.as_str(),
            Self::HintPrimary => "hint-primary",
            Self::HintReplica => "hint-replica",
            Self::Mode => "mode",
            Self::Transaction => "in-transaction",
            Self::AutocommitOff => "autocommit-off",
            Self::NextTransactionSet => "set-transaction",
            Self::Pinned => "pinned",
            Self::Charset => "charset",
            Self::SystemSchema => "system-schema",
            Self::OracleMode => "oracle-mode",
            Self::NoReplica => "no-replica",
            Self::Behind => "behind",
            Self::ReplicaFailed => "replica-failed",
            Self::ReplicaRefused => "replica-refused",
            Self::ReplicaBusy => "replica-busy",
            Self::Command => "command",
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(reason) => reason.fmt(f),
            Self::HintPrimary => f.write_str("its author wants it on the primary"),
            Self::HintReplica => f.write_str("its author says that it is a read"),
            Self::Mode => f.write_str("the user's mode is `primary`"),
            Self::Transaction => f.write_str("a transaction is open"),
            Self::AutocommitOff => f.write_str("autocommit is off"),
            Self::NextTransactionSet => f.write_str("SET TRANSACTION waits for the next statement"),
            Self::Pinned => f.write_str("the session holds something on the primary"),
            Self::Charset => f.write_str("its character set hides where quotes end"),
            Self::SystemSchema => f.write_str("the session is in a system schema"),
            Self::OracleMode => f.write_str("the SQL mode is Oracle's"),
            Self::NoReplica => f.write_str("no replica can be used"),
            Self::Behind => f.write_str("no replica has what the session has seen"),
            Self::ReplicaFailed => f.write_str("the replica could not be used"),
            Self::ReplicaRefused => f.write_str("the replica refused it"),
            Self::ReplicaBusy => f.write_str("all connections to the replica are in use"),
            Self::Command => f.write_str("it is no statement"),
        }
    }
}

/// What the site file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Of the session's user.
    pub(crate) mode: SqlMode,
    /// A replica further behind gets no reads.
    pub(crate) max_lag: Duration,
}

/// A session leaves its replica when another one would be so many times quicker: it pays for the move with a
/// question to the primary.
const WORTH_A_MOVE: f64 = 8.0;

/// What a session has at hand when it decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    /// The replica it is connected to.
    pub(crate) current: Option<&'a MemberName>,
    /// Replicas that failed a moment ago.
    pub(crate) avoid: &'a [MemberName],
    /// Turns round robin among equals.
    pub(crate) turn: usize,
    /// None: all are equal.
    pub(crate) loads: Option<&'a Loads>,
}

/// Where `class` goes.
pub(crate) fn decide<'a>(
    state: &SessionState,
    class: &Class,
    servers: &'a Servers,
    rules: Rules,
    choice: Choice<'_>,
) -> Route<'a> {
    let only_replicas = rules.mode == SqlMode::Replica;
    let primary = |because| Route {
        to: match only_replicas && !may_always_run(class) {
            true => To::Nowhere,
            false => To::Primary,
        },
        because,
    };
    let mut wish = Because::Statement(class.because);
    match class.kind {
        Kind::Read if class.hint == Some(Hint::Primary) && !only_replicas => {
            return primary(Because::HintPrimary);
        }
        Kind::Read => {}
        Kind::Other if class.hint == Some(Hint::Replica) && class.may_be_read => {
            wish = Because::HintReplica;
        }
        Kind::AboutLast if is_about_replica(state, class) && choice.current.is_some() => {
            return Route {
                to: To::LastReplica,
                because: wish,
            };
        }
        Kind::AboutLast | Kind::SetStatement | Kind::Kill | Kind::Other => return primary(wish),
    }
    if rules.mode == SqlMode::Primary {
        return primary(Because::Mode);
    }
    if let Some(because) = keeps(state, class) {
        return primary(because);
    }
    match replica(servers, rules.max_lag, choice) {
        Some(member) => Route {
            to: To::Replica(member),
            because: wish,
        },
        None => primary(Because::NoReplica),
    }
}

/// Is it the connection to the replica that knows what is asked about an earlier statement?
fn is_about_replica(state: &SessionState, class: &Class) -> bool {
    // Its answer would say that no transaction is open.
    let outside = !state.in_transaction() && state.autocommit();
    match (class.found_rows, class.warnings) {
        (true, _) => state.counted == Last::Replica && outside,
        (false, true) => state.listed.on == Last::Replica && outside,
        (false, false) => state.last == Last::Replica,
    }
}

/// What a session needs that may only use replicas: its settings, which the primary keeps, and what it
/// asks about servers.
fn may_always_run(class: &Class) -> bool {
    matches!(class.kind, Kind::AboutLast | Kind::Kill)
        || class.kind == Kind::Other
            && (!class.tells_data() || class.because == Reason::SystemSchema)
}

/// What keeps even a plain read of this session on the primary.
fn keeps(state: &SessionState, class: &Class) -> Option<Because> {
    if state.in_transaction() {
        Some(Because::Transaction)
    } else if !state.autocommit() {
        Some(Because::AutocommitOff)
    } else if state.pins != Pins::NONE {
        Some(Because::Pinned)
    } else if state.next_transaction_set {
        Some(Because::NextTransactionSet)
    } else if state.text_is_ambiguous(class) {
        Some(Because::Charset)
    } else if state.settings.schema.as_deref().is_some_and(is_system) {
        Some(Because::SystemSchema)
    } else if state
        .variable("sql_mode")
        .is_some_and(|mode| mode.contains("ORACLE"))
    {
        Some(Because::OracleMode)
    } else {
        None
    }
}

fn is_system(schema: &str) -> bool {
    ["information_schema", "mysql", "performance_schema", "sys"]
        .iter()
        .any(|system| schema.eq_ignore_ascii_case(system))
}

/// Why a replica gets no reads, if it gets none.
pub(crate) fn unusable(
    servers: &Servers,
    replica: &Replica,
    max_lag: Duration,
) -> Option<&'static str> {
    if servers.primary.as_ref() == Some(&replica.member) {
        Some("it is the primary")
    } else if !replica.replicating {
        Some("it does not follow the primary")
    } else {
        match replica.lag_ms {
            None => Some("how far it is behind is not known"),
            Some(lag) if u128::from(lag) > max_lag.as_millis() => Some("it is too far behind"),
            Some(_) => None,
        }
    }
}

/// The replica in use while it is good, and not far dearer than the best; else that.
fn replica<'a>(
    servers: &'a Servers,
    max_lag: Duration,
    choice: Choice<'_>,
) -> Option<&'a MemberName> {
    let usable = |replica: &&Replica| {
        unusable(servers, replica, max_lag).is_none() && !choice.avoid.contains(&replica.member)
    };
    let all = || servers.replicas.iter().filter(usable);
    let cost = |replica: &Replica| {
        let lag = Duration::from_millis(replica.lag_ms.unwrap_or_default());
        let loads = choice.loads;
        loads.map_or(0.0, |loads| loads.cost(&replica.member, lag))
    };
    let count = all().count();
    let turn = choice.turn.checked_rem(count)?;
    // The first of equal ones, so each in turn is the first.
    let in_turn = all().skip(turn).chain(all().take(turn));
    let best = in_turn.min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let current = all().find(|replica| Some(&replica.member) == choice.current);
    let stays = current.filter(|current| cost(current) <= WORTH_A_MOVE * cost(best));
    Some(&stays.unwrap_or(best).member)
}

#[cfg(test)]
mod tests;
