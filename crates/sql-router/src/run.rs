//! The process: takes its socket, starts the router, obeys the control connection.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use process::message::About;
use process::role::{self, Control, Inherit, Inherited, Order, Voice};
use process::snapshot::Shared;
use telemetry::Severity;

use crate::explain;
use crate::router::{self, Patience, Router};
use crate::snapshot::{Question, Snapshot};
use crate::tls;
use crate::visitors::Visitors;

/// What the agent calls the listening socket.
const SOCKET: &str = "sql";

/// Why the router cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Inherit(#[from] role::InheritError),
    #[error(transparent)]
    Control(#[from] process::control::ControlError),
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
    #[error("no listening socket was handed over")]
    NoSocket,
    #[error("{0}")]
    Tls(String),
}

/// Runs the SQL router until it is told to drain.
pub fn run() -> Result<(), RunError> {
    let inherited = role::inherit()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(control(inherited))
}

async fn control(mut inherited: Inherited) -> Result<(), RunError> {
    let mut control = Control::<Snapshot>::call(&inherited).await?;
    let listeners = inherited.take(SOCKET);
    let sockets = sockets(&mut inherited);
    if listeners.is_empty() {
        return Err(RunError::NoSocket);
    }
    let (router, shared) = loop {
        match control.next().await {
            Order::Snapshot { version, value } => {
                tls::check(&value).map_err(RunError::Tls)?;
                let shared = Shared::new(*value);
                let router = Router::start_with(
                    &listeners,
                    &sockets,
                    &shared,
                    router::threads(),
                    Patience::default(),
                )?;
                control.accepted(version).await;
                control.ready().await;
                break (router, shared);
            }
            Order::Ask { id, .. } | Order::Question { id, .. } => {
                control.answer(id, String::new()).await;
            }
            Order::Drain { .. } | Order::ParentGone => return Ok(()),
        }
    };
    let voice = control.voice();
    let mut visitors = Visitors::default();
    visitors.follow(&shared, &router.floor);
    let mut parent = true;
    // The main thread has nothing to do without a parent; its threads go on.
    while parent {
        match control.next().await {
            Order::Snapshot { version, value } => match replace(&shared, *value, &voice) {
                Ok(()) => {
                    visitors.follow(&shared, &router.floor);
                    control.accepted(version).await;
                }
                Err(why) => control.refused(version, why).await,
            },
            Order::Question { id, value } => {
                control.answer(id, answer(&router, &shared, value)).await;
            }
            Order::Ask { id, about } => {
                let text = match about {
                    About::Status => serde_json::to_string(&router.status()).unwrap_or_default(),
                    About::Metrics => router.metrics(),
                };
                control.answer(id, text).await;
            }
            Order::Drain { deadline_ms } => {
                if !router.drain(Duration::from_millis(deadline_ms)).await {
                    tracing::warn!("sessions were still open at the end of the drain");
                }
                return Ok(());
            }
            // Statements go on by the last snapshot.
            Order::ParentGone => parent = false,
        }
    }
    std::future::pending().await
}

/// The unix sockets handed over under the same name.
fn sockets(inherited: &mut Inherited) -> Vec<UnixListener> {
    let left = inherited.take_all().into_iter();
    let unix = left.filter(|(name, _)| name == SOCKET);
    unix.filter_map(|(_, socket)| match socket {
        Inherit::Unix(socket) => Some(socket),
        Inherit::Tcp(_) => None,
    })
    .collect()
}

/// As JSON; empty for a question that cannot be read.
fn answer(router: &Router, shared: &Shared<Snapshot>, question: serde_json::Value) -> String {
    let text = match serde_json::from_value(question) {
        Ok(Question::Statistics { reset }) => serde_json::to_string(&router.statistics(reset)),
        Ok(Question::Route(question)) => {
            serde_json::to_string(&explain::answer(&shared.load(), &question))
        }
        Err(e) => Err(e),
    };
    text.unwrap_or_else(|e| {
        tracing::error!("a question that cannot be answered: {e}");
        String::new()
    })
}

/// Takes a snapshot up, unless it goes back behind a change of primary.
fn replace(shared: &Shared<Snapshot>, new: Snapshot, voice: &Voice) -> Result<(), String> {
    let old = shared.load();
    if let Err(why) = check(&old, &new) {
        let kind = "generation-refused";
        voice.event(Severity::Error, "sql-router", kind, why.clone());
        return Err(why);
    }
    let same = new.certificate_files() == old.certificate_files();
    if !same || new.servers_tls != old.servers_tls {
        tls::check(&new)?;
    }
    let now = new.servers.generation;
    if new.servers.primary != old.servers.primary {
        let what = match &new.servers.primary {
            Some(member) => format!("writes go to {member} (generation {now})"),
            None => "there is no primary: statements wait".to_owned(),
        };
        voice.event(Severity::Info, "sql-router", "primary", what);
    }
    shared.store(new);
    Ok(())
}

fn check(old: &Snapshot, new: &Snapshot) -> Result<(), String> {
    let (now, then) = (new.servers.generation, old.servers.generation);
    match now < then {
        true => Err(format!(
            "generation {now} is older than {then}, which is obeyed"
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_never_goes_back() {
        let snapshot = |generation: u64| {
            let example = include_str!("snapshot/example.json");
            let mut snapshot: Snapshot = serde_json::from_str(example).unwrap();
            snapshot.servers.generation = generation;
            snapshot
        };
        assert!(check(&snapshot(2), &snapshot(2)).is_ok());
        assert!(check(&snapshot(2), &snapshot(3)).is_ok());
        assert!(check(&snapshot(2), &snapshot(1)).is_err());
    }
}
