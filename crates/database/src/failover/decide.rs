//! Pure: (View, me, now) → Decision. One match, one arm per diagnosis.

use site::name::MemberName;

use super::decision::{Action, Decision, Reason};
use super::diagnose::diagnose;
use super::diagnosis::Diagnosis;
use super::lag::BEAT_INTERVAL;
use super::no_state;
use super::rebuild::{Rebuild, may_begin};
use super::view::{Store, Time, View};
use crate::record::{Generation, Obeyed};

/// What `me` is to do at `now`.
pub fn decide(view: &View, me: &MemberName, now: Time) -> Decision {
    let diagnosis = diagnose(view, me, now);
    let (actions, reason) = answer(view, me, now, &diagnosis);
    Decision {
        diagnosis,
        actions,
        reason,
    }
}

type Answer = (Vec<Action>, Reason);

fn answer(view: &View, me: &MemberName, now: Time, diagnosis: &Diagnosis) -> Answer {
    match diagnosis {
        Diagnosis::EngineDown { start_at, .. } if now < *start_at => {
            waiting(Reason::StartNotBefore(*start_at))
        }
        Diagnosis::EngineDown { .. } => doing(vec![Action::Start]),
        Diagnosis::WritableUnentitled => doing(vec![Action::SetReadOnly]),
        Diagnosis::NoState => match no_state::claim(view, me) {
            Ok(generation) => doing(vec![
                Action::PrepareAccounts(generation),
                Action::CreateState(generation),
            ]),
            Err(reason) => waiting(reason),
        },
        // The state is known in every arm below: `diagnose` has seen it.
        Diagnosis::NewState => with_state(view, |named| doing(vec![Action::Obey(named.clone())])),
        Diagnosis::PrimaryUnprepared => with_state(view, |named| {
            doing(vec![Action::PrepareAccounts(named.generation)])
        }),
        Diagnosis::PrimaryReadOnly => with_state(view, |named| {
            doing(vec![Action::SetWritable(named.generation)])
        }),
        Diagnosis::PrimaryServes => with_state(view, |named| beat(view, named.generation, now)),
        Diagnosis::NotFollowing(source) => with_state(view, |named| {
            doing(vec![Action::Follow {
                source: source.clone(),
                generation: named.generation,
            }])
        }),
        Diagnosis::NotStarted(_) | Diagnosis::ReplicationStopped { .. } => {
            with_state(view, |named| {
                let next = view.replication_starts.next_at();
                if now < next {
                    return waiting(Reason::ReplicationNotBefore(next));
                }
                doing(vec![Action::StartReplication(named.generation)])
            })
        }
        Diagnosis::ErrantTransactions { .. }
        | Diagnosis::HistoryUnknown
        | Diagnosis::LostPlace { .. } => {
            with_state(view, |named| rebuild(view, named, now, diagnosis))
        }
        Diagnosis::ActionInFlight(_)
        | Diagnosis::EngineSilent { .. }
        | Diagnosis::StoreUnusable { .. }
        | Diagnosis::StateOutdated { .. }
        | Diagnosis::PrimaryUnknown(_)
        | Diagnosis::PrimaryIsReplica { .. }
        | Diagnosis::PrimaryIsEmpty
        | Diagnosis::SourceUnreachable { .. }
        | Diagnosis::LagUnknown(_)
        | Diagnosis::Lagging { .. }
        | Diagnosis::Following(_) => waiting(Reason::AsDiagnosed),
    }
}

fn doing(actions: Vec<Action>) -> Answer {
    (actions, Reason::AsDiagnosed)
}

fn waiting(reason: Reason) -> Answer {
    (Vec::new(), reason)
}

fn with_state(view: &View, then: impl FnOnce(&Obeyed) -> Answer) -> Answer {
    match &view.store {
        Store::Names(named) => then(named),
        Store::Empty | Store::Unusable(_) => waiting(Reason::AsDiagnosed),
    }
}

fn beat(view: &View, generation: Generation, now: Time) -> Answer {
    let due = view
        .last_beat
        .is_none_or(|last| now.since(last) >= BEAT_INTERVAL);
    if due {
        doing(vec![Action::Beat(generation)])
    } else {
        waiting(Reason::AsDiagnosed)
    }
}

fn rebuild(view: &View, named: &Obeyed, now: Time, diagnosis: &Diagnosis) -> Answer {
    let Some(source) = view.address(&named.primary) else {
        return waiting(Reason::AsDiagnosed);
    };
    match may_begin(&view.rebuilds, now) {
        Rebuild::NotBefore(time) => waiting(Reason::RebuildNotBefore(time)),
        Rebuild::Allowed => doing(vec![Action::Rebuild {
            source: source.clone(),
            generation: named.generation,
            why: diagnosis.to_string(),
        }]),
    }
}
