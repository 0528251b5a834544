//! Pure: what is the case with a member, one sentence each.

use std::fmt;
use std::time::Duration;

use site::name::MemberName;
use site::target::MemberAddress;

use super::view::{Long, Time};
use crate::record::Generation;

/// The first check that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    ActionInFlight(Long),
    EngineDown {
        why: String,
        start_at: Time,
        needs_you: bool,
    },
    EngineSilent {
        why: String,
    },
    /// A primary whose server does not answer for too long.
    Hung {
        why: String,
    },
    /// It takes writes and must not.
    WritableUnentitled,
    /// It takes writes, and its lease is over.
    LeaseLapsed,
    /// It takes writes, and another is primary now.
    Deposed(MemberName),
    StoreUnusable {
        why: String,
    },
    NoState,
    StateOutdated {
        generation: Generation,
        obeyed: Generation,
    },
    /// The state names a member the site does not have.
    PrimaryUnknown(MemberName),
    NewState,
    // the primary
    PrimaryIsReplica {
        source: String,
    },
    /// Named primary, and its data directory is new.
    PrimaryIsEmpty,
    /// Named primary, and it lacks what it had.
    PrimaryLacks {
        position: String,
    },
    /// Elected, and it cannot tell whether it has everything.
    ElectedNotWhole,
    /// Primary by name; the lease is not confirmed.
    LeaseUnconfirmed,
    /// Elected: it applies what it has received.
    Draining,
    /// Elected, and the thread that applies has stopped.
    DrainStopped {
        why: String,
    },
    /// Elected, and what it has received does not fit its data.
    CannotApply {
        why: String,
    },
    /// Elected, and all is applied.
    Drained,
    /// Elected, and it follows nobody any more.
    Opening,
    PrimaryUnprepared,
    PrimaryReadOnly,
    /// Read-only, for a switchover.
    Switching,
    PrimaryServes,
    // an election
    LeaseFree {
        holder: MemberName,
        released: bool,
    },
    /// It has promised to receive nothing, and waits for the outcome.
    Promised,
    /// Another was elected and does not take writes yet.
    Unopened(MemberName),
    /// It waits for acknowledgements as only a primary may.
    ReplicaWaits,
    // a replica
    ErrantTransactions {
        extra: String,
    },
    HistoryUnknown,
    NotFollowing(MemberAddress),
    /// Set up and stopped, without an error: the server has just started.
    NotStarted(MemberName),
    LostPlace {
        why: String,
    },
    ReplicationStopped {
        why: String,
    },
    SourceUnreachable {
        source: MemberName,
        why: String,
    },
    LagUnknown(MemberName),
    Lagging {
        source: MemberName,
        lag: Duration,
    },
    Following(MemberName),
}

impl Diagnosis {
    /// The same trouble, whatever its figures: what decides whether it is news.
    pub fn kind(&self) -> std::mem::Discriminant<Self> {
        std::mem::discriminant(self)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ActionInFlight(Long::Start) => f.write_str("the server is starting"),
            Self::ActionInFlight(Long::Rebuild) => {
                f.write_str("its data is being replaced by a copy of the primary's")
            }
            Self::EngineDown { why, .. } => write!(f, "the server is down: {why}"),
            Self::EngineSilent { why } => write!(f, "the server does not answer: {why}"),
            Self::WritableUnentitled => {
                f.write_str("the server takes writes although it is not the primary")
            }
            Self::Hung { why } => write!(
                f,
                "the primary's server does not answer and is ended, so that it can be started again \
                 or another can take its place: {why}"
            ),
            Self::LeaseLapsed => f.write_str(
                "the lease could not be renewed in time: the server is ended before another may be \
                 primary",
            ),
            Self::Deposed(primary) => write!(
                f,
                "{primary} is primary now: this server is ended, so that nothing more is written here"
            ),
            Self::PrimaryLacks { position } => write!(
                f,
                "the cluster state names this member as primary, but its data lacks transactions it \
                 had ({position}); it gives the lease up"
            ),
            Self::ElectedNotWhole => f.write_str(
                "this member was elected and restarted before it had applied everything it \
                 received; it gives the lease up",
            ),
            Self::LeaseUnconfirmed => {
                f.write_str("this is the primary; its lease is not confirmed")
            }
            Self::Draining => {
                f.write_str("this member is to be primary and applies what it has received")
            }
            Self::DrainStopped { why } => write!(
                f,
                "this member is to be primary, and applying what it has received has stopped: {why}"
            ),
            Self::CannotApply { why } => write!(
                f,
                "this member was elected and cannot apply what it has received: {why}; it gives the \
                 lease up"
            ),
            Self::Drained => f.write_str("this member is to be primary and has applied everything"),
            Self::Opening => f.write_str("this member becomes the primary"),
            Self::Switching => f.write_str("this is the primary; writes are held for a switchover"),
            Self::LeaseFree { holder, released } => write!(
                f,
                "{holder} {}",
                match released {
                    true => "has given the lease up",
                    false => "has not renewed its lease",
                }
            ),
            Self::Promised => f.write_str(
                "this replica has stopped receiving for an election and waits for its outcome",
            ),
            Self::Unopened(primary) => {
                write!(f, "waiting for {primary}, which is about to be primary")
            }
            Self::ReplicaWaits => {
                f.write_str("this replica would wait for acknowledgements as only a primary may")
            }
            Self::StoreUnusable { why } => {
                write!(
                    f,
                    "the cluster state cannot be used, nothing is changed: {why}"
                )
            }
            Self::NoState => f.write_str("the cluster state names no primary"),
            Self::StateOutdated { generation, obeyed } => write!(
                f,
                "the cluster state is of generation {generation}, older than {obeyed}, which this \
                 member followed; it is not obeyed"
            ),
            Self::PrimaryUnknown(name) => write!(
                f,
                "the cluster state names {name} as primary, which the site does not have"
            ),
            Self::NewState => f.write_str("the cluster state is new to this member"),
            Self::PrimaryIsReplica { source } => write!(
                f,
                "this is the primary, but it is set up to follow {source}; run RESET SLAVE ALL on \
                 it once you know that it has everything"
            ),
            Self::PrimaryIsEmpty => f.write_str(
                "the cluster state names this member as primary, but its data directory is empty; \
                 put its data back (a replica's copy will do) before it may take writes",
            ),
            Self::PrimaryUnprepared => {
                f.write_str("the primary's accounts are not looked over yet")
            }
            Self::PrimaryReadOnly => f.write_str("the primary is not writable yet"),
            Self::PrimaryServes => f.write_str("this is the primary and takes writes"),
            Self::ErrantTransactions { extra } => write!(
                f,
                "this replica has transactions of its own that the primary does not have: {extra}"
            ),
            Self::HistoryUnknown => {
                f.write_str("this replica's data was not received from a primary")
            }
            Self::NotFollowing(source) => write!(f, "this replica does not follow {}", source.name),
            Self::NotStarted(source) => {
                write!(f, "this replica does not follow {source} again yet")
            }
            Self::LostPlace { why } => write!(f, "this replica has lost its place: {why}"),
            Self::ReplicationStopped { why } => write!(f, "replication has stopped: {why}"),
            Self::SourceUnreachable { source, why } => {
                write!(f, "the primary {source} cannot be reached: {why}")
            }
            Self::LagUnknown(source) => {
                write!(f, "this replica follows {source} and has no heartbeat yet")
            }
            Self::Lagging { source, lag } => write!(
                f,
                "this replica follows {source} and is {:.1} s behind",
                lag.as_secs_f64()
            ),
            Self::Following(source) => write!(f, "this replica follows {source}"),
        }
    }
}
