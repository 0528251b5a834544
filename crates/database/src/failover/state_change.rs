//! Pure: the next `database/state` for each change of it. What is written is decided here whole; who
//! carries it out only compares and puts.

use std::collections::BTreeSet;

use site::name::MemberName;

use super::view::{Status, View};
use crate::record::{Change, Generation, HISTORY, Lease, StateRecord, SyncSet};

/// The first state of a site, or of one that has lost it. Its sync set is empty: nobody but its
/// primary may go on from it.
pub fn first(me: &MemberName, generation: Generation, view: &View) -> StateRecord {
    let why = if generation == Generation::FIRST {
        "first start"
    } else {
        "the cluster state was lost; its last primary goes on"
    };
    StateRecord {
        format: crate::record::FORMAT,
        primary: me.clone(),
        generation,
        revision: 1,
        lease: Lease::Held,
        writer: me.clone(),
        sync_set: none(view),
        forced: false,
        position: String::new(),
        position_of: 0,
        why: why.to_owned(),
        history: vec![Change {
            generation,
            primary: me.clone(),
            began: String::new(),
            at_ms: view.wall_ms,
            why: why.to_owned(),
        }],
    }
}

/// The lease for another while, and what the writer has now.
pub fn renewed(state: &StateRecord, status: Option<&Status>) -> StateRecord {
    let mut next = next(state);
    next.lease = Lease::Held;
    if let Some(status) = status.filter(|_| state.is_open()) {
        stands_at(&mut next, status.binlog_pos.to_string());
    }
    next
}

fn stands_at(next: &mut StateRecord, position: String) {
    next.position = position;
    next.position_of = next.revision;
}

/// The lease given up, by a primary whose server takes no writes.
pub fn released(state: &StateRecord) -> StateRecord {
    StateRecord {
        lease: Lease::Released,
        ..next(state)
    }
}

/// `me` takes the lease over, in the next generation. The sync set stays: until `me` has applied what
/// it received, it is what another election goes by.
pub fn taken_over(state: &StateRecord, me: &MemberName, forced: bool, why: &str) -> StateRecord {
    StateRecord {
        forced,
        ..handed_to(state, me, why)
    }
}

/// The lease goes to `to`, in the next generation.
pub fn handed_to(state: &StateRecord, to: &MemberName, why: &str) -> StateRecord {
    StateRecord {
        primary: to.clone(),
        generation: state.generation.next(),
        lease: Lease::Held,
        why: why.to_owned(),
        ..next(state)
    }
}

/// The primary has everything: from here on it is the writer, alone until somebody has caught up.
pub fn opened(state: &StateRecord, view: &View, status: &Status) -> StateRecord {
    let mut next = next(state);
    next.writer.clone_from(&state.primary);
    next.sync_set = none(view);
    next.forced = false;
    stands_at(&mut next, status.binlog_pos.to_string());
    remember(&mut next, status.binlog_pos.to_string(), view.wall_ms);
    next
}

/// The change that `next` is.
fn remember(next: &mut StateRecord, began: String, at_ms: u64) {
    next.history.push(Change {
        generation: next.generation,
        primary: next.primary.clone(),
        began,
        at_ms,
        why: next.why.clone(),
    });
    let over = next.history.len().saturating_sub(HISTORY);
    next.history.drain(..over);
}

/// The data of all members was replaced by a restored state that stands at `position`; `me` goes on from
/// there, alone at first. Nothing runs.
pub fn restored(
    state: &StateRecord,
    me: &MemberName,
    position: String,
    wall_ms: u64,
) -> StateRecord {
    let mut next = released(&handed_to(state, me, "restored from a backup"));
    next.revision = state.revision.saturating_add(1);
    next.writer = me.clone();
    next.sync_set = match state.sync_set {
        SyncSet::Async => SyncSet::Async,
        SyncSet::Members(_) => SyncSet::alone(),
    };
    next.forced = false;
    stands_at(&mut next, position.clone());
    remember(&mut next, position, wall_ms);
    next
}

/// Another sync set; a renewal too.
pub fn with_sync_set(state: &StateRecord, set: SyncSet, status: &Status) -> StateRecord {
    let mut next = renewed(state, Some(status));
    next.sync_set = set;
    next
}

fn none(view: &View) -> SyncSet {
    match view.acknowledged {
        true => SyncSet::Members(BTreeSet::new()),
        false => SyncSet::Async,
    }
}

fn next(state: &StateRecord) -> StateRecord {
    StateRecord {
        revision: state.revision.saturating_add(1),
        ..state.clone()
    }
}
