//! Pure: View → Diagnosis. An ordered list of checks; the first that matches is the answer.

use site::name::MemberName;

use super::diagnosis::Diagnosis;
use super::rejoin::{self, Rejoin};
use super::replication_error::{Verdict, io_verdict, sql_verdict};
use super::view::{Engine, Io, Replication, Status, Store, Time, View};
use crate::accounts;
use crate::record::Obeyed;

/// Times a stop of unclear cause is tried again before it counts as a lost place.
const UNCLEAR_TRIES: u32 = 3;

/// What is the case with `me`.
pub fn diagnose(view: &View, me: &MemberName, _now: Time) -> Diagnosis {
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
        Engine::Silent { why, .. } => return Diagnosis::EngineSilent { why: why.clone() },
        Engine::Answers(status) => status,
    };
    if !status.read_only && !entitled(view, me, status) {
        return Diagnosis::WritableUnentitled;
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
    if view.obeyed.as_ref() != Some(named) {
        return Diagnosis::NewState;
    }
    if named.primary == *me {
        primary(view, status, named)
    } else {
        replica(view, me, status, named)
    }
}

/// Only the primary of the state this member obeys, and only when it follows nobody.
fn entitled(view: &View, me: &MemberName, status: &Status) -> bool {
    status.replication.is_none() && view.state().is_some_and(|state| state.primary == *me)
}

fn primary(view: &View, status: &Status, named: &Obeyed) -> Diagnosis {
    if let Some(replication) = &status.replication {
        return Diagnosis::PrimaryIsReplica {
            source: format!("{}:{}", replication.host, replication.port),
        };
    }
    // Accounts are made before the state is: a primary without a single transaction lost its data.
    if status.binlog_pos.is_empty() {
        return Diagnosis::PrimaryIsEmpty;
    }
    if view.accounts_for != Some(named.generation) {
        return Diagnosis::PrimaryUnprepared;
    }
    if status.read_only {
        return Diagnosis::PrimaryReadOnly;
    }
    Diagnosis::PrimaryServes
}

fn replica(view: &View, me: &MemberName, status: &Status, named: &Obeyed) -> Diagnosis {
    let Some(source) = view.address(&named.primary) else {
        return Diagnosis::PrimaryUnknown(named.primary.clone());
    };
    let user = accounts::replication_user(me);
    let following = status
        .replication
        .as_ref()
        .filter(|replication| replication.follows(source.address, &user));
    let Some(replication) = following else {
        return match rejoin::plan(status) {
            Rejoin::Follow => Diagnosis::NotFollowing(source.clone()),
            Rejoin::Extra(extra) => Diagnosis::ErrantTransactions { extra },
            Rejoin::HistoryUnknown => Diagnosis::HistoryUnknown,
        };
    };
    if let Some(extra) = rejoin::extra(status) {
        return Diagnosis::ErrantTransactions { extra };
    }
    let source = named.primary.clone();
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
    Some(match verdict {
        Verdict::Lost => Diagnosis::LostPlace { why },
        Verdict::Unclear if view.replication_starts.count >= UNCLEAR_TRIES => {
            Diagnosis::LostPlace { why }
        }
        Verdict::Unclear | Verdict::Surroundings => Diagnosis::ReplicationStopped { why },
    })
}
