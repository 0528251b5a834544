//! Pure: one rule taken away at a time, on the way into `decide` or out of it. The decisions' own code has
//! no switch. What is changed here is what a plausible mistake would change.

use database::failover::decision::{Action, Decision, Put};
use database::failover::diagnosis::Diagnosis;
use database::failover::view::{Engine, Io, Store, Time, View};
use database::record::{StateRecord, SyncSet};
use site::name::MemberName;
use std::time::Duration;

use crate::adversary::Ambush;

/// A rule, and that it is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The server is killed before its lease can pass on.
    FenceInTime,
    /// The deadline counts from before a renewal was sent, with a margin; not from its answer.
    CountFromBeforeSending,
    /// A candidate waits until the lease is certainly over.
    WaitTheLeaseOut,
    /// Every member of the sync set is heard.
    HearAll,
    /// What was received counts, not what was applied.
    CountWhatWasReceived,
    /// A member stops receiving before it is heard.
    StopBeforeBeingHeard,
    /// A promise is for one revision of the state.
    PromiseForOneRevision,
    /// Only the sync set may be promoted.
    OnlyTheSyncSet,
    /// Another member of the set: the store first.
    AddInTheStoreFirst,
    /// The set begins, or shrinks, when one of it has everything.
    WaitForTheBarrier,
    /// A member is removed: first it can acknowledge no more.
    LockBeforeRemoving,
    /// Going alone: the store first.
    GoAloneInTheStoreFirst,
    /// The engine never falls back by itself.
    NeverFallBack,
    /// A locked-out member cannot come back by itself.
    LockAccounts,
    /// Acknowledgements are waited for before the server is writable.
    WaitBeforeWritable,
    /// All that was received is applied before the generation is opened.
    DrainBeforeOpening,
    /// Who may have lost relay logs does not count.
    OnlyWholeMembers,
    /// A write whose outcome is unknown is settled before anything is done on what was read.
    SettleWrites,
    /// A member that starts again overwrites its earlier promise before it receives.
    AnnounceBeforeReceiving,
    /// A member keeps the promise of its earlier life.
    RecallPromises,
}

impl Rule {
    /// The one that shows it, where chance alone takes too long.
    pub fn ambush(self) -> Option<Ambush> {
        match self {
            Self::CountFromBeforeSending => Some(Ambush::Renewal),
            Self::StopBeforeBeingHeard | Self::RecallPromises => Some(Ambush::Campaign),
            Self::AnnounceBeforeReceiving => Some(Ambush::Promise),
            Self::PromiseForOneRevision => Some(Ambush::Resume),
            Self::SettleWrites => Some(Ambush::Removal),
            Self::CountWhatWasReceived => Some(Ambush::Lag),
            _ => None,
        }
    }

    pub const ALL: [Self; 20] = [
        Self::FenceInTime,
        Self::CountFromBeforeSending,
        Self::WaitTheLeaseOut,
        Self::HearAll,
        Self::CountWhatWasReceived,
        Self::StopBeforeBeingHeard,
        Self::PromiseForOneRevision,
        Self::OnlyTheSyncSet,
        Self::AddInTheStoreFirst,
        Self::WaitForTheBarrier,
        Self::LockBeforeRemoving,
        Self::GoAloneInTheStoreFirst,
        Self::NeverFallBack,
        Self::LockAccounts,
        Self::WaitBeforeWritable,
        Self::DrainBeforeOpening,
        Self::OnlyWholeMembers,
        Self::SettleWrites,
        Self::AnnounceBeforeReceiving,
        Self::RecallPromises,
    ];
}

/// What `decide` is given instead.
pub fn view(off: Option<Rule>, view: &mut View, me: &MemberName, now: Time) {
    match off {
        Some(Rule::WaitTheLeaseOut) => {
            view.seen_at = Time(view.seen_at.0.saturating_sub(Duration::from_secs(4)));
        }
        Some(Rule::HearAll) => {
            let revision = revision(view);
            let heard: Vec<MemberName> = view
                .peers
                .iter()
                .filter(|(_, peer)| peer.stopped_for == revision)
                .map(|(name, _)| name.clone())
                .collect();
            electing(view, now, |state| {
                if let SyncSet::Members(set) = &mut state.sync_set {
                    set.retain(|name| heard.contains(name) || name == me);
                }
            });
        }
        Some(Rule::OnlyTheSyncSet) => {
            let all: Vec<MemberName> = view.members.iter().map(|m| m.name.clone()).collect();
            let writer = view.state().map(|state| state.writer.clone());
            let heard: Vec<MemberName> = all
                .into_iter()
                .filter(|name| Some(name) != writer.as_ref())
                .collect();
            electing(view, now, |state| {
                if let SyncSet::Members(set) = &mut state.sync_set {
                    set.extend(heard);
                }
            });
        }
        Some(Rule::CountWhatWasReceived) => {
            let free = is_free(view, now);
            if free {
                for peer in view.peers.values_mut() {
                    peer.received = peer.applied.clone();
                }
                if let Engine::Answers(status) = &mut view.engine {
                    let applied = status.applied();
                    if let Some(replication) = &mut status.replication {
                        replication.received = applied;
                    }
                }
            }
        }
        Some(Rule::PromiseForOneRevision) => {
            let revision = revision(view);
            for peer in view.peers.values_mut().filter(|p| p.stopped_for.is_some()) {
                peer.stopped_for = revision;
            }
        }
        Some(Rule::WaitForTheBarrier) => view.barrier = Some(Default::default()),
        Some(Rule::DrainBeforeOpening) => {
            let mine = view.state().is_some_and(|state| !state.is_open());
            if let Engine::Answers(status) = &mut view.engine
                && mine
            {
                let applied = status.applied();
                if let Some(replication) = &mut status.replication {
                    replication.received = applied;
                }
            }
        }
        Some(Rule::OnlyWholeMembers) => {
            view.whole = true;
            for peer in view.peers.values_mut() {
                peer.whole = true;
            }
        }
        // As if the setting outlived a restart.
        Some(Rule::WaitBeforeWritable) => {
            let waits = view
                .state()
                .is_some_and(|state| state.primary == *me && state.sync_set.members().is_some());
            if let Engine::Answers(status) = &mut view.engine {
                status.semi_sync |= waits;
            }
        }
        Some(Rule::AnnounceBeforeReceiving) => view.announced = true,
        _ => {}
    }
}

/// What is done instead of what was decided.
pub fn decision(off: Option<Rule>, decision: &mut Decision, view: &View) {
    let Store::Names(state) = &view.store else {
        return;
    };
    let lapsed = decision.diagnosis == Diagnosis::LeaseLapsed;
    decision.actions = std::mem::take(&mut decision.actions)
        .into_iter()
        .filter_map(|action| match (off, action) {
            (Some(Rule::FenceInTime), Action::Fence) if lapsed => None,
            (Some(Rule::AddInTheStoreFirst), Action::PutState(Put::SyncSet, next)) => {
                Some(added(state, &next).unwrap_or(Action::PutState(Put::SyncSet, next)))
            }
            (Some(Rule::AddInTheStoreFirst), Action::LockOut(_, name))
                if view.peers.get(&name).is_some_and(|peer| peer.linked) =>
            {
                None
            }
            (Some(Rule::GoAloneInTheStoreFirst), Action::PutState(Put::SyncSet, next))
                if state.sync_set.members().is_some() && next.sync_set.members().is_none() =>
            {
                let waits = view.status().is_some_and(|status| status.semi_sync);
                Some(match waits {
                    true => Action::SemiSync(state.generation, false),
                    false => Action::PutState(Put::SyncSet, next),
                })
            }
            (Some(Rule::LockBeforeRemoving), Action::LockOut(generation, name)) => {
                Some(removed(state, view, &name).unwrap_or(Action::LockOut(generation, name)))
            }
            (_, action) => Some(action),
        })
        .collect();
}

fn added(state: &StateRecord, next: &StateRecord) -> Option<Action> {
    let before = state.sync_set.members()?;
    let new = next.sync_set.members()?.difference(before).next()?;
    Some(Action::LetIn(state.generation, new.clone()))
}

fn removed(state: &StateRecord, view: &View, name: &MemberName) -> Option<Action> {
    let set = state.sync_set.members()?;
    if !set.contains(name) {
        return None;
    }
    let rest = set.iter().filter(|other| *other != name).cloned().collect();
    let next = database::failover::state_change::with_sync_set(
        state,
        SyncSet::Members(rest),
        view.status()?,
    );
    Some(Action::PutState(Put::SyncSet, Box::new(next)))
}

fn revision(view: &View) -> Option<u64> {
    match &view.store {
        Store::Names(state) => Some(state.revision),
        Store::Empty | Store::Unusable(_) => None,
    }
}

fn is_free(view: &View, now: Time) -> bool {
    view.state()
        .is_some_and(|state| now >= database::failover::lease::free_since(view, state))
}

/// Changes the state that a candidate sees in an election.
fn electing(view: &mut View, now: Time, change: impl FnOnce(&mut StateRecord)) {
    if is_free(view, now)
        && let Store::Names(state) = &mut view.store
    {
        change(state);
    }
}

/// Of one that has promised.
pub fn say_stopped(view: &mut View) {
    if view.promised.is_some()
        && let Engine::Answers(status) = &mut view.engine
        && let Some(replication) = &mut status.replication
    {
        replication.io = Io::Stopped;
    }
}
