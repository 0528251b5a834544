//! Pure: the next single safe step between the sync set in the store and the acknowledging in the engine.
//!
//! The invariant: while the set in the store is not empty, whoever can acknowledge is in it, and every
//! acknowledged write is on one of its members at least. Who can acknowledge is decided on the primary,
//! by locking the replication account of each member that may not: such a member cannot come back by
//! itself. From this follows the order of steps:
//!
//! - another one: the store first, then its account is unlocked
//! - one less: its account is locked and its connection ended; when one of the others has received all
//!   that the primary had then (the barrier), the store
//! - going alone: the store first, then the engine waits no longer
//! - the first one: the engine waits, then the barrier, then the store
//!
//! The engine's own timeout never fires: falling back is decided here.

use std::collections::BTreeSet;
use std::time::Duration;

use site::name::MemberName;

use super::decision::{Action, Put};
use super::state_change;
use super::view::{Status, Time, View};
use crate::record::{StateRecord, SyncSet};

/// A member of the set that is not connected for this long is done without. Writes wait meanwhile when
/// nobody else acknowledges. A restarted server is back in a second.
pub const AWAY: Duration = Duration::from_secs(3);

/// The next step of the primary, if there is one.
pub fn next(
    view: &View,
    me: &MemberName,
    state: &StateRecord,
    status: &Status,
    now: Time,
) -> Option<Action> {
    let put = |set: SyncSet| {
        let next = state_change::with_sync_set(state, set, status);
        Action::PutState(Put::SyncSet, Box::new(next))
    };
    match (&state.sync_set, view.acknowledged) {
        (SyncSet::Async, true) => Some(put(SyncSet::alone())),
        (SyncSet::Members(_), false) => Some(put(SyncSet::Async)),
        (SyncSet::Async, false) => asynchronous(state, status),
        (SyncSet::Members(set), true) if set.is_empty() => {
            alone(view, me, state, status).map(|step| step.action(state, put))
        }
        (SyncSet::Members(set), true) => {
            let engine = engine_first(view, me, state, set, status);
            engine.or_else(|| {
                together(view, set, state, status, now).map(|step| step.action(state, put))
            })
        }
    }
}

/// What the engine needs before it may take writes under this state.
pub fn before_writable(
    view: &View,
    me: &MemberName,
    state: &StateRecord,
    status: &Status,
) -> Option<Action> {
    match &state.sync_set {
        SyncSet::Members(set) if !set.is_empty() => engine_first(view, me, state, set, status),
        SyncSet::Members(_) => None,
        SyncSet::Async => asynchronous(state, status),
    }
}

enum Step {
    Lock(MemberName),
    Unlock(MemberName),
    SemiSync(bool),
    Store(BTreeSet<MemberName>),
}

impl Step {
    fn action(self, state: &StateRecord, put: impl Fn(SyncSet) -> Action) -> Action {
        let generation = state.generation;
        match self {
            Self::Lock(member) => Action::LockOut(generation, member),
            Self::Unlock(member) => Action::LetIn(generation, member),
            Self::SemiSync(on) => Action::SemiSync(generation, on),
            Self::Store(set) => put(SyncSet::Members(set)),
        }
    }
}

fn asynchronous(state: &StateRecord, status: &Status) -> Option<Action> {
    if status.semi_sync {
        return Some(Action::SemiSync(state.generation, false));
    }
    let locked = status.locked.first()?;
    Some(Action::LetIn(state.generation, locked.clone()))
}

/// Nobody but the set may acknowledge, and somebody must.
fn engine_first(
    view: &View,
    me: &MemberName,
    state: &StateRecord,
    set: &BTreeSet<MemberName>,
    status: &Status,
) -> Option<Action> {
    let outsider =
        others(view, me).find(|name| !set.contains(*name) && !status.locked.contains(*name));
    if let Some(outsider) = outsider {
        return Some(Action::LockOut(state.generation, outsider.clone()));
    }
    (!status.semi_sync).then_some(Action::SemiSync(state.generation, true))
}

/// The set is empty: begin with those that are connected.
fn alone(view: &View, me: &MemberName, state: &StateRecord, status: &Status) -> Option<Step> {
    let open: BTreeSet<MemberName> = others(view, me)
        .filter(|name| !status.locked.contains(*name))
        .cloned()
        .collect();
    if !others(view, me).any(|name| is_there(view, status, name)) {
        if status.semi_sync {
            return Some(Step::SemiSync(false));
        }
        return status.locked.first().cloned().map(Step::Unlock);
    }
    let there = |name: &&MemberName| is_there(view, status, name) && wants(view, state, name);
    if !open.iter().any(|name| there(&name)) {
        return status.semi_sync.then_some(Step::SemiSync(false));
    }
    if let Some(absent) = open.iter().find(|name| !there(name)) {
        return Some(Step::Lock(absent.clone()));
    }
    if !status.semi_sync {
        return Some(Step::SemiSync(true));
    }
    caught_up(view, open.iter()).then_some(Step::Store(open))
}

fn together(
    view: &View,
    set: &BTreeSet<MemberName>,
    state: &StateRecord,
    status: &Status,
    now: Time,
) -> Option<Step> {
    let serving =
        |name: &&MemberName| is_there(view, status, name) && !status.locked.contains(*name);
    let away = |name: &MemberName| {
        let since = view.away.get(name);
        since.is_some_and(|since| now.since(*since) >= AWAY)
    };
    if !set.iter().any(|name| serving(&name)) && set.iter().all(away) {
        return Some(Step::Store(BTreeSet::new()));
    }
    for name in set {
        let rest = || set.iter().filter(move |other| *other != name);
        let locked = status.locked.contains(name);
        if locked && wants(view, state, name) {
            return Some(Step::Unlock(name.clone()));
        }
        if locked && caught_up(view, rest().filter(serving)) {
            return Some(Step::Store(rest().cloned().collect()));
        }
        let gone = !locked && away(name) && !wants(view, state, name);
        if gone && rest().any(|other| serving(&other)) {
            return Some(Step::Lock(name.clone()));
        }
    }
    let returns = status
        .locked
        .iter()
        .find(|name| !set.contains(*name) && wants(view, state, name));
    returns.map(|name| Step::Store(set.iter().chain([name]).cloned().collect()))
}

/// One of them has received what the primary had after the last change of who acknowledges.
fn caught_up<'a>(view: &View, mut members: impl Iterator<Item = &'a MemberName>) -> bool {
    let Some(barrier) = &view.barrier else {
        return false;
    };
    members.any(|name| {
        let peer = view.peers.get(name);
        peer.is_some_and(|peer| peer.received.contains(barrier))
    })
}

/// It receives from this server, hears it, and reads the store: cut off from it, it could not be heard.
fn is_there(view: &View, status: &Status, name: &MemberName) -> bool {
    status.connected.contains(name) && !view.away.contains_key(name)
}

/// It reads the store, and receives from this primary or tries to.
fn wants(view: &View, state: &StateRecord, name: &MemberName) -> bool {
    let Some(peer) = view.peers.get(name) else {
        return false;
    };
    let obeys = peer.obeyed.as_ref() == Some(&state.obeyed());
    obeys && peer.receives && !peer.errant && peer.is_current(state.revision)
}

fn others<'a>(view: &'a View, me: &'a MemberName) -> impl Iterator<Item = &'a MemberName> {
    let names = view.members.iter().map(|member| &member.name);
    names.filter(move |name| *name != me)
}
