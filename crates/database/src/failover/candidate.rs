//! Pure: who may be promoted, who must be heard first, and why each other may not.
//!
//! MariaDB's semi-synchronous replication waits for one replica and does not say which, so a write may
//! be on any single member of the sync set: a candidate must have heard *all* of them and be the
//! furthest. Heard is a member that receives nothing more, promised for the very revision of the cluster
//! state on which the candidate will write: the old primary can get no further acknowledgement from it,
//! whatever its clock or a frozen process does, and if it renews its lease after all, the write fails.
//! What counts is what was received (`Gtid_IO_Pos`), never what was applied.

use std::fmt;
use std::time::Duration;

use mysql::gtid::mariadb::Position;
use site::name::MemberName;

use super::lease;
use super::rejoin;
use super::replication_error;
use super::view::{Peer, Time, View};
use crate::record::{StateRecord, SyncSet};

/// Asynchronous: this long after the lease is free, members that were not heard are gone on without.
pub const HEAR: Duration = Duration::from_secs(2);

/// Why a member may not be promoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    NotHeard,
    /// It has not promised to receive nothing more.
    StillReceives,
    /// It cannot tell whether it has all that it acknowledged.
    NotWhole,
    Errant,
    /// What it has received does not fit its data.
    Broken,
    /// It may lack acknowledged writes.
    Outsider,
    /// Another has more.
    Behind(MemberName),
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHeard => f.write_str("was not heard"),
            Self::StillReceives => f.write_str("has not stopped receiving yet"),
            Self::NotWhole => f.write_str(
                "was restarted and may have lost what it acknowledged before it could apply it",
            ),
            Self::Errant => f.write_str("has transactions of its own"),
            Self::Broken => f.write_str("cannot apply what it has received"),
            Self::Outsider => {
                f.write_str("is not in the sync set and may lack acknowledged writes")
            }
            Self::Behind(other) => write!(f, "has less than {other}"),
        }
    }
}

/// Who is to be primary next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    Elect(MemberName),
    /// Nobody may be promoted now.
    Nobody(Vec<(MemberName, WhyNot)>),
}

/// A member in an election.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    name: &'a MemberName,
    heard: Option<&'a Peer>,
}

/// Chooses among all members, `me` included. To be called when the lease is free.
pub fn choose(view: &View, state: &StateRecord, me: &MemberName, now: Time) -> Choice {
    let mine = standing(view, state, me);
    let candidates: Vec<Candidate<'_>> = view
        .members
        .iter()
        .map(|member| Candidate {
            name: &member.name,
            heard: match member.name == *me {
                true => mine.as_ref(),
                false => view.peers.get(&member.name),
            },
        })
        .collect();
    // The writer has everything by itself.
    let writer = candidates
        .iter()
        .find(|candidate| *candidate.name == state.writer);
    if writer.is_some_and(|writer| obstacle(writer, state).is_none()) {
        return Choice::Elect(state.writer.clone());
    }
    let electors: Vec<Candidate<'_>> = candidates
        .iter()
        .filter(|candidate| is_elector(candidate.name, state))
        .copied()
        .collect();
    let mut refused = Vec::new();
    for candidate in &candidates {
        if *candidate.name == state.writer
            && let Some(why) = obstacle(candidate, state)
        {
            refused.push((candidate.name.clone(), why));
        } else if !is_elector(candidate.name, state) {
            refused.push((candidate.name.clone(), WhyNot::Outsider));
        } else if let Some(why) = obstacle(candidate, state) {
            refused.push((candidate.name.clone(), why));
        }
    }
    let asynchronous = state.sync_set == SyncSet::Async;
    let hearing = asynchronous && now < lease::free_since(view, state).after(HEAR);
    let unheard = |candidate: &&Candidate<'_>| {
        matches!(
            obstacle(candidate, state),
            Some(WhyNot::NotHeard | WhyNot::StillReceives | WhyNot::NotWhole)
        )
    };
    let must_hear = !asynchronous || hearing;
    if electors.is_empty() || (must_hear && electors.iter().any(|elector| unheard(&elector))) {
        return Choice::Nobody(refused);
    }
    furthest(&electors, state, refused)
}

/// May `me` be made primary because somebody asked for exactly that, knowing what may be lost?
pub fn is_forced(view: &View, state: &StateRecord, me: &MemberName) -> bool {
    let force = view.request.force.as_ref();
    force.is_some_and(|force| force.generation == state.generation && force.to.as_ref() == Some(me))
}

/// Whose data counts: the sync set, or everybody but the primary that is gone.
fn is_elector(name: &MemberName, state: &StateRecord) -> bool {
    match &state.sync_set {
        SyncSet::Members(members) => members.contains(name),
        SyncSet::Async => *name != state.writer,
    }
}

fn obstacle(candidate: &Candidate<'_>, state: &StateRecord) -> Option<WhyNot> {
    let is_writer = *candidate.name == state.writer;
    match candidate.heard {
        None => Some(WhyNot::NotHeard),
        // Its keeper lives, its server does not answer.
        Some(heard) if heard.seen == 0 => Some(WhyNot::NotHeard),
        Some(heard) if heard.stopped_for != Some(state.revision) => Some(WhyNot::StillReceives),
        Some(heard) if !heard.whole && !is_writer && state.sync_set != SyncSet::Async => {
            Some(WhyNot::NotWhole)
        }
        // Its data was lost or put back from an older copy.
        Some(heard) if is_writer && !has(heard, &state.position) => Some(WhyNot::NotWhole),
        Some(heard) if heard.errant => Some(WhyNot::Errant),
        Some(heard) if heard.broken => Some(WhyNot::Broken),
        Some(_) => None,
    }
}

fn has(heard: &Peer, position: &str) -> bool {
    let position: Position = position.parse().unwrap_or_default();
    heard.received.contains(&position)
}

fn furthest(
    electors: &[Candidate<'_>],
    state: &StateRecord,
    mut refused: Vec<(MemberName, WhyNot)>,
) -> Choice {
    let mut all = Position::default();
    let received = |candidate: &Candidate<'_>| {
        let heard = candidate.heard.map(|heard| heard.received.clone());
        heard.unwrap_or_default()
    };
    // Without acknowledgements nothing was promised: who cannot be promoted does not count.
    let asynchronous = state.sync_set == SyncSet::Async;
    let counts = |elector: &&Candidate<'_>| match obstacle(elector, state) {
        None => true,
        Some(WhyNot::Errant | WhyNot::Broken) => !asynchronous,
        Some(_) => false,
    };
    let counted = electors.iter().filter(counts);
    for elector in counted.clone() {
        all.join(&received(elector));
    }
    let best = counted
        .clone()
        .filter(|elector| obstacle(elector, state).is_none())
        .find(|elector| received(elector).contains(&all));
    let Some(best) = best else {
        // The one that has most may not be promoted.
        let most = counted
            .clone()
            .find(|elector| received(elector).contains(&all));
        for elector in counted.filter(|elector| obstacle(elector, state).is_none()) {
            let other = most.map_or_else(|| state.writer.clone(), |most| most.name.clone());
            refused.push((elector.name.clone(), WhyNot::Behind(other)));
        }
        return Choice::Nobody(refused);
    };
    Choice::Elect(best.name.clone())
}

/// What `me` would say of itself.
pub fn standing(view: &View, state: &StateRecord, me: &MemberName) -> Option<Peer> {
    let status = view.status()?;
    let stopped = status
        .replication
        .as_ref()
        .is_none_or(|replication| replication.io == super::view::Io::Stopped);
    let broken = status
        .replication
        .as_ref()
        .and_then(|replication| replication_error::broken(replication, view.replication_starts));
    let began = rejoin::began_after(state, me);
    Some(Peer {
        obeyed: view.obeyed.clone(),
        seen: state.revision,
        stopped_for: view.promised.filter(|_| stopped),
        received: status.received(),
        applied: status.applied(),
        whole: view.whole,
        broken: broken.is_some(),
        errant: state.writer != *me && rejoin::extra(status, began.as_ref()).is_some(),
        receives: !stopped,
        linked: status
            .replication
            .as_ref()
            .is_some_and(|replication| replication.io == super::view::Io::Running),
    })
}
