//! The process: takes its socket, starts the threads, and obeys the control connection.

use std::net::TcpListener;
use std::time::Duration;

use http::workers::Crew;
use process::message::About;
use process::role::{self, Control, Inherited, Order, RoleError};
use process::snapshot::Shared;
use telemetry::metrics::Exposition;

use crate::snapshot::{Snapshot, Status};
use crate::state::State;
use crate::worker::{self, Parts};

/// Runs the web server until it is told to drain.
pub fn run() -> Result<(), RoleError> {
    let inherited = role::inherit()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(control(inherited))
}

/// What the control thread keeps.
#[derive(Debug)]
struct Web {
    shared: Shared<State>,
    crew: Crew,
}

async fn control(mut inherited: Inherited) -> Result<(), RoleError> {
    let mut control = Control::<Snapshot>::call(&inherited).await?;
    let listeners = inherited.take("web");
    let web = loop {
        match control.next().await {
            Order::Snapshot { version, value } => match State::new(*value, None) {
                Ok(state) => {
                    let web = Web::start(state, &listeners)?;
                    control.accepted(version).await;
                    control.ready().await;
                    break web;
                }
                Err(e) => control.refused(version, e.to_string()).await,
            },
            Order::Ask { id, .. } | Order::Question { id, .. } => {
                control.answer(id, String::new()).await;
            }
            Order::Drain { .. } | Order::ParentGone => return Ok(()),
        }
    };
    loop {
        match control.next().await {
            Order::Snapshot { version, value } => {
                match State::new(*value, Some(&web.shared.load())) {
                    Ok(state) => {
                        web.shared.store(state);
                        control.accepted(version).await;
                    }
                    Err(e) => control.refused(version, e.to_string()).await,
                }
            }
            Order::Question { id, .. } => control.answer(id, String::new()).await,
            Order::Ask { id, about } => control.answer(id, web.answer(about)).await,
            Order::Drain { deadline_ms } => {
                web.crew.drain(Duration::from_millis(deadline_ms)).await;
                return Ok(());
            }
            // Traffic goes on from the last snapshot.
            Order::ParentGone => std::future::pending().await,
        }
    }
}

impl Web {
    fn start(state: State, listeners: &[TcpListener]) -> Result<Self, RoleError> {
        let connections = state.snapshot.target.limits.connections;
        let shared = Shared::new(state);
        let crew = Crew::start("web", connections, |place| {
            let listeners = listeners.iter().map(TcpListener::try_clone);
            let listeners = listeners.collect::<Result<_, _>>()?;
            let parts = Parts {
                shared: shared.clone(),
                listeners,
                place,
            };
            Ok(move || worker::run(parts))
        })?;
        Ok(Self { shared, crew })
    }

    fn answer(&self, about: About) -> String {
        let total = self.crew.total();
        let state = self.shared.load();
        match about {
            About::Status => {
                let status = Status {
                    requests: total.requests,
                    by_class: total.by_class,
                    bytes_out: total.bytes_out,
                    connections: total.connections,
                    files: state.paths.len() as u64,
                    instances_ready: state.ready() as u64,
                };
                serde_json::to_string(&status).unwrap_or_default()
            }
            About::Metrics => {
                let mut text = Exposition::default();
                total.expose(&mut text);
                let name = "mainstay_app_instances_ready";
                text.family(name, "gauge", "Instances that take requests.");
                text.sample(name, "", state.ready());
                text.into_text()
            }
        }
    }
}
