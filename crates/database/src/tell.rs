//! Pure: what is news. An event only when the diagnosis, the role or the state changed, never for a
//! figure that moved.

use std::time::Duration;

use telemetry::Severity;

use crate::failover::decision::Decision;
use crate::failover::diagnosis::Diagnosis;
use crate::failover::view::{Engine, Time, View};
use crate::record::Generation;

/// A lag or a lost connection shorter than this is not news: a primary that was restarted in place
/// is back in a fraction of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// An event without its time and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) severity: Severity,
    pub(crate) kind: &'static str,
    pub(crate) what: String,
}

pub(crate) fn news(severity: Severity, kind: &'static str, what: impl Into<String>) -> News {
    News {
        severity,
        kind,
        what: what.into(),
    }
}

/// What was told last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    up: Option<bool>,
    primary: Option<Generation>,
    /// Writable without being primary.
    writable: bool,
    following: bool,
    broken: bool,
    unreachable_since: Option<Time>,
    late_since: Option<Time>,
    late: bool,
    stuck: Option<std::mem::Discriminant<Diagnosis>>,
}

/// The news of this tick, and what is told then.
pub(crate) fn tell(
    before: &Told,
    view: &View,
    decision: &Decision,
    now: Time,
) -> (Told, Vec<News>) {
    let mut told = before.clone();
    let mut all = Vec::new();
    up_or_down(&mut told, view, decision, &mut all);
    primary(&mut told, view, decision, &mut all);
    replica(&mut told, decision, now, &mut all);
    lag(&mut told, decision, now, &mut all);
    stuck(&mut told, decision, &mut all);
    (told, all)
}

fn up_or_down(told: &mut Told, view: &View, decision: &Decision, all: &mut Vec<News>) {
    let sentence = || decision.diagnosis.to_string();
    match &decision.diagnosis {
        Diagnosis::ActionInFlight(_) => return,
        Diagnosis::EngineDown { start_at, .. } if *start_at == Time::default() => return,
        Diagnosis::EngineDown { .. } | Diagnosis::EngineSilent { .. } => {
            if told.up != Some(false) {
                all.push(news(Severity::Error, "member-down", sentence()));
            }
            *told = Told {
                up: Some(false),
                broken: told.broken,
                late: told.late,
                ..Told::default()
            };
            return;
        }
        _ => {}
    }
    if let Engine::Answers(status) = &view.engine
        && told.up != Some(true)
    {
        told.up = Some(true);
        let what = format!("the server answers (MariaDB {})", status.version);
        all.push(news(Severity::Info, "member-up", what));
    }
}

fn primary(told: &mut Told, view: &View, decision: &Decision, all: &mut Vec<News>) {
    match &decision.diagnosis {
        Diagnosis::PrimaryServes => {
            let generation = view.state().map(|state| state.generation);
            if let Some(number) = generation.filter(|_| told.primary != generation) {
                let what = format!("it is the primary and takes writes (generation {number})");
                all.push(news(Severity::Info, "primary", what));
            }
            told.primary = generation;
            told.writable = false;
        }
        Diagnosis::WritableUnentitled => {
            if !told.writable {
                let what = "it took writes although it is not the primary; it is set to read-only";
                all.push(news(Severity::Error, "member-writable", what));
            }
            told.writable = true;
        }
        _ => told.writable = false,
    }
}

fn replica(told: &mut Told, decision: &Decision, now: Time, all: &mut Vec<News>) {
    match &decision.diagnosis {
        Diagnosis::Following(_) | Diagnosis::Lagging { .. } | Diagnosis::LagUnknown(_) => {
            if !told.following {
                // After a stop the newest heartbeat is as old as the stop was long: no lag to speak of.
                let what = match &decision.diagnosis {
                    Diagnosis::Lagging { source, .. } => Diagnosis::Following(source.clone()),
                    diagnosis => diagnosis.clone(),
                };
                all.push(news(Severity::Info, "replica-following", what.to_string()));
            }
            told.following = true;
            told.broken = false;
            told.unreachable_since = None;
        }
        Diagnosis::ErrantTransactions { .. }
        | Diagnosis::HistoryUnknown
        | Diagnosis::LostPlace { .. }
        | Diagnosis::ReplicationStopped { .. } => broken(told, decision, all),
        Diagnosis::SourceUnreachable { .. } => {
            let since = *told.unreachable_since.get_or_insert(now);
            if now.since(since) >= PATIENCE {
                broken(told, decision, all);
            }
        }
        _ => {}
    }
}

fn broken(told: &mut Told, decision: &Decision, all: &mut Vec<News>) {
    if !told.broken {
        all.push(news(
            Severity::Error,
            "replication-broken",
            decision.sentence(),
        ));
    }
    told.broken = true;
    told.following = false;
}

fn lag(told: &mut Told, decision: &Decision, now: Time, all: &mut Vec<News>) {
    match &decision.diagnosis {
        Diagnosis::Lagging { .. } => {
            let since = *told.late_since.get_or_insert(now);
            if !told.late && now.since(since) >= PATIENCE {
                told.late = true;
                let what = decision.diagnosis.to_string();
                all.push(news(Severity::Warning, "replica-lagging", what));
            }
        }
        Diagnosis::Following(source) => {
            if told.late {
                let what = format!("this replica has caught up with {source}");
                all.push(news(Severity::Info, "replica-caught-up", what));
            }
            told.late = false;
            told.late_since = None;
        }
        // Not known: neither late nor caught up.
        _ => {}
    }
}

/// What only a person can put right.
fn stuck(told: &mut Told, decision: &Decision, all: &mut Vec<News>) {
    told.stuck = match &decision.diagnosis {
        Diagnosis::StoreUnusable { .. }
        | Diagnosis::StateOutdated { .. }
        | Diagnosis::PrimaryUnknown(_)
        | Diagnosis::PrimaryIsReplica { .. }
        | Diagnosis::PrimaryIsEmpty => {
            let kind = decision.diagnosis.kind();
            if told.stuck != Some(kind) {
                all.push(news(Severity::Error, "member-stuck", decision.sentence()));
            }
            Some(kind)
        }
        Diagnosis::ActionInFlight(_) => told.stuck,
        _ => None,
    };
}

#[cfg(test)]
mod tests;
