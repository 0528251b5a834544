//! Pure: (View, me, now) → Decision. One match, one arm per diagnosis; the lease is kept up beside it.

use site::name::MemberName;

use super::candidate::{self, Choice};
use super::decision::{Action, Decision, Put, Reason};
use super::diagnose::diagnose;
use super::diagnosis::Diagnosis;
use super::flapping;
use super::lag::BEAT_INTERVAL;
use super::lease;
use super::no_state;
use super::rebuild::{Rebuild, may_begin};
use super::state_change;
use super::switchover::{self, Switchover};
use super::sync_set;
use super::upkeep::{self, Duty};
use super::view::{Io, Status, Store, Time, View};
use crate::record::{Lease, StateRecord};

/// What `me` is to do at `now`.
pub fn decide(view: &View, me: &MemberName, now: Time) -> Decision {
    let diagnosis = diagnose(view, me, now);
    let (mut actions, reason) = answer(view, me, now, &diagnosis);
    if let Some(put) = lease_put(view, me, now, &actions) {
        actions.insert(0, put);
    }
    Decision {
        diagnosis,
        actions,
        reason,
    }
}

/// Every write of the state renews the lease: one is enough. A server that is ended needs none.
fn lease_put(view: &View, me: &MemberName, now: Time, actions: &[Action]) -> Option<Action> {
    let state = view.state()?;
    let enough = |action: &Action| matches!(action, Action::PutState(..) | Action::Fence);
    if actions.iter().any(enough) {
        return None;
    }
    match upkeep::duty(view, me, now) {
        Duty::Nothing => None,
        Duty::Renew => Some(put(Put::Renew, state_change::renewed(state, view.status()))),
        Duty::Release => Some(put(Put::Release, state_change::released(state))),
    }
}

fn put(why: Put, next: StateRecord) -> Action {
    Action::PutState(why, Box::new(next))
}

type Answer = (Vec<Action>, Reason);

fn answer(view: &View, me: &MemberName, now: Time, diagnosis: &Diagnosis) -> Answer {
    match diagnosis {
        Diagnosis::EngineDown { .. } if view.request.paused => waiting(Reason::AsDiagnosed),
        Diagnosis::EngineDown { start_at, .. } if now < *start_at => {
            waiting(Reason::StartNotBefore(*start_at))
        }
        Diagnosis::EngineDown { .. } => doing(vec![Action::Start]),
        Diagnosis::LeaseLapsed | Diagnosis::Deposed(_) | Diagnosis::Hung { .. } => {
            doing(vec![Action::Fence])
        }
        Diagnosis::WritableUnentitled => doing(vec![Action::SetReadOnly]),
        Diagnosis::NoState => match no_state::claim(view, me) {
            Ok(generation) => doing(vec![
                Action::PrepareAccounts(generation),
                put(Put::Create, state_change::first(me, generation, view)),
            ]),
            Err(reason) => waiting(reason),
        },
        // The state and the server's answer are known in every arm below: `diagnose` has seen them.
        _ => match (&view.store, view.status()) {
            (Store::Names(state), Some(status)) => known(view, me, now, diagnosis, state, status),
            _ => waiting(Reason::AsDiagnosed),
        },
    }
}

fn known(
    view: &View,
    me: &MemberName,
    now: Time,
    diagnosis: &Diagnosis,
    state: &StateRecord,
    status: &Status,
) -> Answer {
    let generation = state.generation;
    match diagnosis {
        Diagnosis::NewState => doing(vec![Action::Obey(state.obeyed())]),
        Diagnosis::Draining => draining(state, status),
        Diagnosis::DrainStopped { .. } => {
            let next = view.replication_starts.next_at();
            match now < next {
                true => waiting(Reason::ReplicationNotBefore(next)),
                false => doing(vec![Action::ApplyReceived(generation)]),
            }
        }
        Diagnosis::Drained => doing(vec![Action::Promote(generation)]),
        Diagnosis::Opening => doing(vec![put(
            Put::Open,
            state_change::opened(state, view, status),
        )]),
        Diagnosis::PrimaryUnprepared => doing(vec![Action::PrepareAccounts(generation)]),
        Diagnosis::PrimaryReadOnly => {
            let first = sync_set::before_writable(view, me, state, status);
            let reason = refused(view, me, state, status, now);
            (
                vec![first.unwrap_or(Action::SetWritable(generation))],
                reason,
            )
        }
        Diagnosis::Switching => match switchover::next(view, me, state, status, now) {
            Switchover::Step(action) => doing(vec![action]),
            Switchover::Waiting(to) => waiting(Reason::SwitchoverWaits(to)),
            Switchover::NotWanted | Switchover::Refused(_) => waiting(Reason::AsDiagnosed),
        },
        Diagnosis::PrimaryServes => serve(view, me, now, state, status),
        Diagnosis::LeaseFree { .. } => elect(view, me, now, state, status),
        Diagnosis::ReplicaWaits => doing(vec![Action::SemiSync(generation, false)]),
        Diagnosis::NotFollowing(source) => {
            let was_primary = !status.slave_pos.contains(&status.binlog_pos);
            announced(view, || {
                doing(vec![Action::Follow {
                    source: source.clone(),
                    generation,
                    was_primary: was_primary && !status.start_from,
                }])
            })
        }
        Diagnosis::NotStarted(_) | Diagnosis::ReplicationStopped { .. } => {
            let next = view.replication_starts.next_at();
            if now < next {
                return waiting(Reason::ReplicationNotBefore(next));
            }
            announced(view, || doing(vec![Action::StartReplication(generation)]))
        }
        Diagnosis::ErrantTransactions { .. }
        | Diagnosis::HistoryUnknown
        | Diagnosis::LostPlace { .. } => rebuild(view, state, now, diagnosis),
        _ => waiting(Reason::AsDiagnosed),
    }
}

fn doing(actions: Vec<Action>) -> Answer {
    (actions, Reason::AsDiagnosed)
}

fn waiting(reason: Reason) -> Answer {
    (Vec::new(), reason)
}

/// A promise that an earlier life of this keeper sent may be under way still: it is overwritten before
/// anything is received again.
fn announced(view: &View, then: impl FnOnce() -> Answer) -> Answer {
    match view.announced {
        true => then(),
        false => waiting(Reason::Announcing),
    }
}

fn draining(state: &StateRecord, status: &Status) -> Answer {
    let receives = status
        .replication
        .as_ref()
        .is_some_and(|replication| replication.io != Io::Stopped);
    match receives {
        true => doing(vec![Action::StopReceiving(state.revision)]),
        false => waiting(Reason::AsDiagnosed),
    }
}

fn elect(view: &View, me: &MemberName, now: Time, state: &StateRecord, status: &Status) -> Answer {
    let receives = status
        .replication
        .as_ref()
        .is_some_and(|replication| replication.io != Io::Stopped);
    if receives || view.promised != Some(state.revision) {
        return doing(vec![Action::StopReceiving(state.revision)]);
    }
    if !view.announced {
        return waiting(Reason::Announcing);
    }
    let free = lease::free_since(view, state);
    if candidate::is_forced(view, state, me) {
        let why = "forced by order";
        let next = state_change::taken_over(state, me, true, why);
        return doing(vec![put(Put::Campaign, next)]);
    }
    let not_before = free.after(flapping::wait(&state.history, view.wall_ms));
    if now < not_before {
        return waiting(Reason::ElectionNotBefore(not_before));
    }
    match candidate::choose(view, state, me, now) {
        Choice::Nobody(refused) => waiting(Reason::NoCandidate(refused)),
        Choice::Elect(other) if other != *me => waiting(Reason::ForCandidate(other)),
        Choice::Elect(_) => {
            let why = match state.lease {
                Lease::Released => format!("{} gave the lease up", state.primary),
                Lease::Held => format!("{} did not renew its lease", state.primary),
            };
            let next = state_change::taken_over(state, me, false, &why);
            doing(vec![put(Put::Campaign, next)])
        }
    }
}

fn refused(
    view: &View,
    me: &MemberName,
    state: &StateRecord,
    status: &Status,
    now: Time,
) -> Reason {
    match switchover::next(view, me, state, status, now) {
        Switchover::Refused(refusal) => Reason::SwitchoverRefused(refusal),
        _ => Reason::AsDiagnosed,
    }
}

/// The sync set first: as long as it is not as it should be, a failure costs more.
fn serve(view: &View, me: &MemberName, now: Time, state: &StateRecord, status: &Status) -> Answer {
    let reason = refused(view, me, state, status, now);
    let mut actions: Vec<Action> = sync_set::next(view, me, state, status, now)
        .into_iter()
        .collect();
    let due = view
        .last_beat
        .is_none_or(|last| now.since(last) >= BEAT_INTERVAL);
    // A heartbeat that nobody acknowledges would keep the keeper waiting.
    let waits = status.semi_sync && status.connected.is_empty();
    if actions.is_empty() && due && !waits {
        actions.push(Action::Beat(state.generation));
    }
    (actions, reason)
}

fn rebuild(view: &View, state: &StateRecord, now: Time, diagnosis: &Diagnosis) -> Answer {
    let Some(source) = view
        .address(&state.primary)
        .filter(|_| !view.request.paused)
    else {
        return waiting(Reason::AsDiagnosed);
    };
    match may_begin(&view.rebuilds, now) {
        Rebuild::NotBefore(time) => waiting(Reason::RebuildNotBefore(time)),
        Rebuild::Allowed => doing(vec![Action::Rebuild {
            source: source.clone(),
            generation: state.generation,
            why: diagnosis.to_string(),
        }]),
    }
}
