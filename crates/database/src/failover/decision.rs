//! Pure: what a keeper is to do, and why.

use std::fmt;

use site::name::MemberName;
use site::target::MemberAddress;

use super::diagnosis::Diagnosis;
use super::view::Time;
use crate::record::{Generation, Obeyed};

/// The answer of `decide`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub diagnosis: Diagnosis,
    /// In this order; the first that fails ends it, and the next tick decides anew.
    pub actions: Vec<Action>,
    pub reason: Reason,
}

impl Decision {
    /// For `status`: how things stand and what is waited for.
    pub fn sentence(&self) -> String {
        match &self.reason {
            Reason::AsDiagnosed => self.diagnosis.to_string(),
            reason => format!("{}; {reason}", self.diagnosis),
        }
    }
}

/// One effect. Each may be repeated, and those that matter carry the generation they are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the data directory if there is none, start the server, wait until it answers. Long.
    Start,
    SetReadOnly,
    /// Remember the state in the data directory.
    Obey(Obeyed),
    /// Accounts, the application's schema, the heartbeat table.
    PrepareAccounts(Generation),
    /// Create `database/state` with this member as primary.
    CreateState(Generation),
    /// Checked against the cluster state once more by who carries it out.
    SetWritable(Generation),
    /// Write the heartbeat.
    Beat(Generation),
    Follow {
        source: MemberAddress,
        generation: Generation,
    },
    StartReplication(Generation),
    /// Replace the data by a copy of the primary's. Long.
    Rebuild {
        source: MemberAddress,
        generation: Generation,
        why: String,
    },
}

/// What is waited for, or nothing more than the diagnosis says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    AsDiagnosed,
    StartNotBefore(Time),
    ReplicationNotBefore(Time),
    RebuildNotBefore(Time),
    UntilHeard(MemberName),
    ForFirstPrimary,
    ForPrimary(MemberName),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsDiagnosed => Ok(()),
            Self::StartNotBefore(_) => f.write_str("it is started again after a pause"),
            Self::ReplicationNotBefore(_) => f.write_str("it is tried again after a pause"),
            Self::RebuildNotBefore(_) => f.write_str(
                "it was rebuilt shortly before (at most once a minute and three times an hour): \
                 look for what breaks it",
            ),
            Self::UntilHeard(member) => write!(
                f,
                "waiting to hear from {member} whether there was a primary before"
            ),
            Self::ForFirstPrimary => f.write_str("waiting for the first primary"),
            Self::ForPrimary(member) => {
                write!(f, "waiting for {member}, which was primary last")
            }
        }
    }
}
