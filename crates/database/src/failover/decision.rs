//! Pure: what a keeper is to do, and why.

use std::fmt;

use site::name::MemberName;
use site::target::MemberAddress;

use super::candidate::WhyNot;
use super::diagnosis::Diagnosis;
use super::switchover::Refusal;
use super::view::Time;
use crate::record::{Generation, Obeyed, StateRecord};

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
    /// End the server at once (SIGKILL): nothing it has not acknowledged is acknowledged any more.
    Fence,
    SetReadOnly,
    /// Remember the state in the data directory.
    Obey(Obeyed),
    /// Accounts, the application's schema, the heartbeat table.
    PrepareAccounts(Generation),
    /// Put the next `database/state` in the place of the revision before.
    PutState(Put, Box<StateRecord>),
    /// Checked against the lease once more by who carries it out.
    SetWritable(Generation),
    /// Read-only for a switchover; soon, or not at all.
    HoldWrites(Generation),
    /// Wait for an acknowledgement of every commit, or not.
    SemiSync(Generation, bool),
    /// Lock a member's replication account and end its connection.
    LockOut(Generation, MemberName),
    LetIn(Generation, MemberName),
    /// Write the heartbeat.
    Beat(Generation),
    /// Receive nothing more while the state has this revision, and promise it.
    StopReceiving(u64),
    /// Go on applying what was received, also when nothing is received any more.
    ApplyReceived(Generation),
    /// Everything received is applied: follow nobody any more.
    Promote(Generation),
    Follow {
        source: MemberAddress,
        generation: Generation,
        /// It was primary: its own position is where replication goes on.
        was_primary: bool,
    },
    StartReplication(Generation),
    /// Replace the data by a copy of the primary's. Long.
    Rebuild {
        source: MemberAddress,
        generation: Generation,
        why: String,
    },
}

/// Why `database/state` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Create,
    Renew,
    Release,
    Campaign,
    HandOver,
    Open,
    SyncSet,
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
    /// The lease is free, and this one is to take it.
    ForCandidate(MemberName),
    /// The lease is free, and nobody may take it.
    NoCandidate(Vec<(MemberName, WhyNot)>),
    /// Many failovers lately.
    ElectionNotBefore(Time),
    SwitchoverRefused(Refusal),
    SwitchoverWaits(MemberName),
    Announcing,
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
            Self::ForCandidate(member) => {
                write!(f, "waiting for {member}, which is to be primary")
            }
            Self::NoCandidate(all) => {
                f.write_str("nobody may be promoted:")?;
                for (n, (member, why)) in all.iter().enumerate() {
                    write!(f, "{} {member} {why}", if n == 0 { "" } else { ";" })?;
                }
                Ok(())
            }
            Self::ElectionNotBefore(_) => f.write_str(
                "there were several failovers within ten minutes: the next one waits a little; look \
                 for what ends the primary",
            ),
            Self::SwitchoverRefused(refusal) => write!(f, "no switchover: {refusal}"),
            Self::SwitchoverWaits(member) => {
                write!(f, "writes are held until {member} has applied everything")
            }
            Self::Announcing => f.write_str("first the others are told"),
        }
    }
}
