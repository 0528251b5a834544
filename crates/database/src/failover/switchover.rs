//! Pure: a wanted change of primary, one step per tick: writes held, the other caught up, the lease
//! handed over. What is done shows in the View; a step that fails is tried again, and after a while the
//! primary goes on as before.

use std::time::Duration;

use mysql::gtid::mariadb::Position;
use site::name::MemberName;

use super::decision::{Action, Put};
use super::state_change;
use super::view::{Status, Time, View};
use crate::record::{StateRecord, SyncSet};

/// Writes are held for so long at most: routers let statements wait for 10 s (`hold`).
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Where a switchover stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switchover {
    NotWanted,
    /// It cannot begin, or was given up; the primary goes on.
    Refused(Refusal),
    Step(Action),
    /// Writes are held until the other has applied everything.
    Waiting(MemberName),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Unknown(MemberName),
    NotInSyncSet(MemberName),
    NotConnected(MemberName),
    /// It has not applied what the primary had with the last renewal of its lease.
    Behind(MemberName),
    Nobody,
    GaveUp,
}

/// A switchover is asked for in this generation: replicas say without delay what they have applied, because
/// writes are held until the primary knows.
pub fn is_asked(view: &View) -> bool {
    let wanted = view.request.switchover.as_ref();
    let asked = wanted.zip(view.state());
    !view.request.paused
        && asked.is_some_and(|(wanted, state)| wanted.generation == state.generation)
}

/// The next step of the primary `me`.
pub fn next(
    view: &View,
    me: &MemberName,
    state: &StateRecord,
    status: &Status,
    now: Time,
) -> Switchover {
    let wanted = view.request.switchover.as_ref();
    let Some(wanted) = wanted.filter(|wanted| wanted.generation == state.generation) else {
        return Switchover::NotWanted;
    };
    if wanted.to.as_ref() == Some(me) || view.request.paused {
        return Switchover::NotWanted;
    }
    let given_up = view
        .switching_since
        .is_some_and(|since| now.since(since) >= PATIENCE);
    if given_up {
        return Switchover::Refused(Refusal::GaveUp);
    }
    let to = match target(view, me, state, status, wanted.to.as_ref()) {
        Ok(to) => to,
        Err(refusal) => return Switchover::Refused(refusal),
    };
    let peer = view.peers.get(&to);
    if !status.read_only {
        // What it lacks would have to be applied while writes are held.
        let lately: Position = state.position.parse().unwrap_or_default();
        return match peer.is_some_and(|peer| peer.applied.contains(&lately)) {
            true => Switchover::Step(Action::HoldWrites(state.generation)),
            false => Switchover::Refused(Refusal::Behind(to)),
        };
    }
    if !peer.is_some_and(|peer| peer.applied.contains(&status.binlog_pos)) {
        return Switchover::Waiting(to);
    }
    let why = format!("switchover from {me}, as asked for");
    // What the primary has now is all there will be.
    let last = state_change::renewed(state, Some(status));
    let mut next = state_change::handed_to(&last, &to, &why);
    next.revision = last.revision;
    next.position_of = last.revision;
    Switchover::Step(Action::PutState(Put::HandOver, Box::new(next)))
}

fn target(
    view: &View,
    me: &MemberName,
    state: &StateRecord,
    status: &Status,
    wanted: Option<&MemberName>,
) -> Result<MemberName, Refusal> {
    if let Some(to) = wanted
        && !view.members.iter().any(|member| member.name == *to)
    {
        return Err(Refusal::Unknown(to.clone()));
    }
    let mut refusal = Refusal::Nobody;
    for name in view.members.iter().map(|member| &member.name) {
        if name == me || wanted.is_some_and(|to| to != name) {
            continue;
        }
        let in_set = match &state.sync_set {
            SyncSet::Async => true,
            SyncSet::Members(set) => set.contains(name),
        };
        let peer = view.peers.get(name);
        if !in_set {
            refusal = Refusal::NotInSyncSet(name.clone());
        } else if !status.connected.contains(name)
            || !peer.is_some_and(|peer| peer.whole && !peer.errant)
        {
            refusal = Refusal::NotConnected(name.clone());
        } else {
            return Ok(name.clone());
        }
    }
    Err(refusal)
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "the site has no database member {name}"),
            Self::NotInSyncSet(name) => write!(
                f,
                "{name} is not in the sync set; wait until it has caught up"
            ),
            Self::NotConnected(name) => write!(
                f,
                "{name} does not follow, or has not shown yet that it has everything"
            ),
            Self::Behind(name) => write!(
                f,
                "{name} has still to apply what it has received; writes are not held for that"
            ),
            Self::Nobody => f.write_str("there is no other member"),
            Self::GaveUp => write!(
                f,
                "the other member did not catch up within {} s; ask again when it lags less",
                PATIENCE.as_secs()
            ),
        }
    }
}
