//! Pure: View → Diagnosis. An ordered list of checks; the first that matches is the answer.

use std::time::Duration;

use site::name::MemberName;

use super::candidate;
use super::diagnosis::Diagnosis;
use super::lease;
use super::rejoin::{self, Rejoin};
use super::replication_error::{broken, io_verdict, is_lost, sql_verdict};
use super::switchover::{self, Switchover};
use super::view::{Engine, Io, Replication, Status, Store, Time, View};
use crate::accounts;
use crate::record::{Lease, StateRecord};

/// A primary that does not answer is ended after this long, the two seconds of the first look's limit
/// not counted.
const HUNG: Duration = Duration::from_secs(2);

/// What is the case with `me`.
pub fn diagnose(view: &View, me: &MemberName, now: Time) -> Diagnosis {
    if let Some(in_flight) = &view.in_flight {
        return Diagnosis::ActionInFlight(in_flight.what);
    }
    let status = match &view.engine {
        Engine::Down {
            why,
            start_at,
            needs_you,
        } => {
            return Diagnosis::EngineDown {
                why: why.clone(),
                start_at: *start_at,
                needs_you: *needs_you,
            };
        }
        Engine::Silent { why, since } => return silent(view, me, now, why, *since),
        Engine::Answers(status) => status,
    };
    if !status.read_only
        && let Some(diagnosis) = unentitled(view, me, status, now)
    {
        return diagnosis;
    }
    let named = match &view.store {
        Store::Unusable(why) => return Diagnosis::StoreUnusable { why: why.clone() },
        Store::Empty => return Diagnosis::NoState,
        Store::Names(named) => named,
    };
    if let Some(obeyed) = &view.obeyed
        && named.generation < obeyed.generation
    {
        return Diagnosis::StateOutdated {
            generation: named.generation,
            obeyed: obeyed.generation,
        };
    }
    if view.obeyed.as_ref() != Some(&named.obeyed()) {
        return Diagnosis::NewState;
    }
    // Elected, and given up: it takes part in the next election as any other.
    let gave_up = named.lease == Lease::Released && !named.is_open();
    if named.primary == *me && !gave_up {
        primary(view, me, status, named, now)
    } else {
        replica(view, me, status, named, now)
    }
}

fn was_primary(view: &View, me: &MemberName) -> bool {
    view.obeyed
        .as_ref()
        .is_some_and(|obeyed| obeyed.primary == *me)
}

/// A server that does not answer may still write.
fn silent(view: &View, me: &MemberName, now: Time, why: &str, since: Time) -> Diagnosis {
    let why = why.to_owned();
    if !was_primary(view, me) {
        return Diagnosis::EngineSilent { why };
    }
    let lapsed = view
        .held
        .as_ref()
        .is_some_and(|held| now >= lease::fence_by(held));
    if lapsed {
        return Diagnosis::LeaseLapsed;
    }
    if now.since(since) >= HUNG && !view.request.paused {
        return Diagnosis::Hung { why };
    }
    Diagnosis::EngineSilent { why }
}

/// Only the primary of the state this member obeys, when it follows nobody, and only with the lease.
fn unentitled(view: &View, me: &MemberName, status: &Status, now: Time) -> Option<Diagnosis> {
    if !was_primary(view, me) {
        return Some(Diagnosis::WritableUnentitled);
    }
    let lapsed = view
        .held
        .as_ref()
        .is_none_or(|held| now >= lease::fence_by(held));
    if lapsed {
        return Some(Diagnosis::LeaseLapsed);
    }
    if status.replication.is_some() {
        return Some(Diagnosis::WritableUnentitled);
    }
    match &view.store {
        Store::Names(state) if state.primary != *me => {
            Some(Diagnosis::Deposed(state.primary.clone()))
        }
        Store::Names(state) if !state.is_open() => Some(Diagnosis::WritableUnentitled),
        Store::Empty => Some(Diagnosis::WritableUnentitled),
        // Without the store it goes on until the lease ends.
        Store::Names(_) | Store::Unusable(_) => None,
    }
}

fn primary(
    view: &View,
    me: &MemberName,
    status: &Status,
    state: &StateRecord,
    now: Time,
) -> Diagnosis {
    if !state.is_open() {
        return elected(view, status, state, now);
    }
    if let Some(replication) = &status.replication {
        return Diagnosis::PrimaryIsReplica {
            source: format!("{}:{}", replication.host, replication.port),
        };
    }
    // Accounts are made before the state is: a primary without a single transaction lost its data.
    if status.binlog_pos.is_empty() {
        return Diagnosis::PrimaryIsEmpty;
    }
    let position = state.position.parse().unwrap_or_default();
    if !status.binlog_pos.contains(&position) {
        return Diagnosis::PrimaryLacks {
            position: state.position.clone(),
        };
    }
    if !lease::is_mine(view, state, now) {
        return Diagnosis::LeaseUnconfirmed;
    }
    if view.accounts_for != Some(state.generation) {
        return Diagnosis::PrimaryUnprepared;
    }
    match switchover::next(view, me, state, status, now) {
        Switchover::Step(_) | Switchover::Waiting(_) => Diagnosis::Switching,
        Switchover::NotWanted | Switchover::Refused(_) if status.read_only => {
            Diagnosis::PrimaryReadOnly
        }
        Switchover::NotWanted | Switchover::Refused(_) => Diagnosis::PrimaryServes,
    }
}

/// From the election until it has applied all that it received.
fn elected(view: &View, status: &Status, state: &StateRecord, now: Time) -> Diagnosis {
    if !view.whole && state.asks_for_proof() {
        return Diagnosis::ElectedNotWhole;
    }
    if !lease::is_mine(view, state, now) {
        return Diagnosis::LeaseUnconfirmed;
    }
    let Some(replication) = &status.replication else {
        return Diagnosis::Opening;
    };
    let all = status.applied().contains(&status.received());
    if all && replication.io == Io::Stopped {
        return Diagnosis::Drained;
    }
    if let Some(error) = broken(replication, view.replication_starts) {
        return Diagnosis::CannotApply {
            why: error.to_string(),
        };
    }
    match replication.sql_running || all {
        true => Diagnosis::Draining,
        false => Diagnosis::DrainStopped {
            why: replication
                .sql_error
                .as_ref()
                .map_or_else(|| "it was stopped".to_owned(), ToString::to_string),
        },
    }
}

fn replica(
    view: &View,
    me: &MemberName,
    status: &Status,
    state: &StateRecord,
    now: Time,
) -> Diagnosis {
    let free = now >= lease::free_since(view, state);
    let elects = !view.request.paused || candidate::is_forced(view, state, me);
    if free && elects {
        return Diagnosis::LeaseFree {
            holder: state.primary.clone(),
            released: state.lease == Lease::Released,
        };
    }
    if view.promised == Some(state.revision) {
        return Diagnosis::Promised;
    }
    if !state.is_open() {
        return Diagnosis::Unopened(state.primary.clone());
    }
    if status.semi_sync {
        return Diagnosis::ReplicaWaits;
    }
    follower(view, me, status, state)
}

fn follower(view: &View, me: &MemberName, status: &Status, state: &StateRecord) -> Diagnosis {
    let Some(source) = view.address(&state.primary) else {
        return Diagnosis::PrimaryUnknown(state.primary.clone());
    };
    let user = accounts::replication_user(me);
    let following = status
        .replication
        .as_ref()
        .filter(|replication| replication.follows(source.address, &user));
    let Some(replication) = following else {
        let began = rejoin::began_after(state, me);
        return match rejoin::plan(status, began.as_ref()) {
            Rejoin::Follow => Diagnosis::NotFollowing(source.clone()),
            Rejoin::Extra(extra) => Diagnosis::ErrantTransactions { extra },
            Rejoin::HistoryUnknown => Diagnosis::HistoryUnknown,
        };
    };
    if let Some(extra) = rejoin::extra(status, None) {
        return Diagnosis::ErrantTransactions { extra };
    }
    let source = state.primary.clone();
    if let Some(fault) = fault(view, replication) {
        return fault;
    }
    if !replication.sql_running || replication.io == Io::Stopped {
        return Diagnosis::NotStarted(source);
    }
    match status.lag {
        _ if replication.io == Io::Connecting => Diagnosis::SourceUnreachable {
            source,
            why: replication
                .io_error
                .as_ref()
                .map_or_else(|| "connecting".to_owned(), ToString::to_string),
        },
        None => Diagnosis::LagUnknown(source),
        Some(lag) if lag > view.max_lag => Diagnosis::Lagging { source, lag },
        Some(_) => Diagnosis::Following(source),
    }
}

/// A thread that an error stopped: it lost its place, or its surroundings stopped it.
fn fault(view: &View, replication: &Replication) -> Option<Diagnosis> {
    let applies = (!replication.sql_running)
        .then_some(replication.sql_error.as_ref())
        .flatten()
        .map(|error| (error, sql_verdict(error.code)));
    let receives = (replication.io == Io::Stopped)
        .then_some(replication.io_error.as_ref())
        .flatten()
        .map(|error| (error, io_verdict(error.code)));
    let (error, verdict) = applies.or(receives)?;
    let why = error.to_string();
    Some(match is_lost(verdict, view.replication_starts) {
        true => Diagnosis::LostPlace { why },
        false => Diagnosis::ReplicationStopped { why },
    })
}
