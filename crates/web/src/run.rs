//! The process: takes its socket, starts the threads, and obeys the control connection.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::counts::{self, Counts};
use http::workers;
use process::message::About;
use process::role::{self, Control, Inherited, Order};
use process::snapshot::Shared;
use telemetry::metrics::Exposition;
use tokio::sync::watch;

use crate::snapshot::{Snapshot, Status};
use crate::state::State;
use crate::worker::{self, Parts};

/// Why the web server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Inherit(#[from] role::InheritError),
    #[error(transparent)]
    Control(#[from] process::control::ControlError),
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
}

/// Runs the web server until it is told to drain.
pub fn run() -> Result<(), RunError> {
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
    threads: Vec<JoinHandle<()>>,
    counts: Vec<Arc<Counts>>,
    draining: watch::Sender<bool>,
}

async fn control(mut inherited: Inherited) -> Result<(), RunError> {
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
            Order::Ask { id, .. } => control.answer(id, String::new()).await,
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
            Order::Ask { id, about } => control.answer(id, web.answer(about)).await,
            Order::Drain { deadline_ms } => {
                web.drain(Duration::from_millis(deadline_ms)).await;
                return Ok(());
            }
            // Traffic goes on from the last snapshot.
            Order::ParentGone => std::future::pending().await,
        }
    }
}

impl Web {
    fn start(state: State, listeners: &[TcpListener]) -> Result<Self, RunError> {
        let count = workers::count();
        let connections = state.snapshot.target.limits.connections;
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        let shared = Shared::new(state);
        let (draining, draining_of) = watch::channel(false);
        let (mut threads, mut counts) = (Vec::new(), Vec::new());
        for index in 0..count {
            let own = Arc::new(Counts::default());
            counts.push(Arc::clone(&own));
            let clones = listeners.iter().map(TcpListener::try_clone);
            let parts = Parts {
                shared: shared.clone(),
                counts: own,
                listeners: clones.collect::<Result<_, _>>()?,
                draining: draining_of.clone(),
                connections: (connections / count).max(1),
            };
            threads.push(workers::start("web", index, move || worker::run(parts))?);
        }
        Ok(Self {
            shared,
            threads,
            counts,
            draining,
        })
    }

    fn answer(&self, about: About) -> String {
        let total = counts::total(&self.counts);
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

    /// Lets open requests finish, up to the deadline.
    async fn drain(self, deadline: Duration) {
        self.draining.send_replace(true);
        let finished = async {
            while !self.threads.iter().all(JoinHandle::is_finished) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(deadline, finished).await.is_err() {
            tracing::warn!("requests were still open at the end of the drain");
        }
    }
}
