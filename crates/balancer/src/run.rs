//! The process: takes its sockets, starts the threads, and obeys the control connection.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use http::deadline::Watch;
use http::workers::Crew;
use process::message::About;
use process::role::{self, Control, Inherited, Order, RoleError, Voice};
use process::snapshot::Shared;
use telemetry::Severity;
use telemetry::wall_clock::now_ms;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::health::probe::{self, Change};
use crate::metrics;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::worker::{self, Parts};

/// Changes of health waiting to be taken up.
const QUEUE: usize = 64;

/// Runs the balancer until it is told to drain.
pub fn run() -> Result<(), RoleError> {
    let inherited = role::inherit()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(control(inherited))
}

/// What the control thread keeps.
#[derive(Debug)]
struct Balancer {
    shared: Shared<State>,
    crew: Crew,
    probes: HashMap<SocketAddr, AbortHandle>,
    watch: std::rc::Rc<Watch>,
    changes: mpsc::Sender<Change>,
    voice: Voice,
}

async fn control(mut inherited: Inherited) -> Result<(), RoleError> {
    let mut control = Control::<Snapshot>::call(&inherited).await?;
    let (http, https) = (inherited.take("http"), inherited.take("https"));
    let (changes, mut changed) = mpsc::channel(QUEUE);
    let mut balancer = loop {
        match control.next().await {
            Order::Snapshot { version, value } => match State::new(*value, None, now_ms()) {
                Ok(state) => {
                    let voice = control.voice();
                    let balancer = Balancer::start(state, &http, &https, changes, voice)?;
                    control.accepted(version).await;
                    control.ready().await;
                    break balancer;
                }
                Err(e) => control.refused(version, e.to_string()).await,
            },
            Order::Ask { id, .. } => control.answer(id, String::new()).await,
            Order::Drain { .. } | Order::ParentGone => return Ok(()),
        }
    };
    let mut parent = true;
    loop {
        tokio::select! {
            order = control.next(), if parent => match order {
                Order::Snapshot { version, value } => {
                    let former = balancer.shared.load();
                    match State::new(*value, Some(&former), now_ms()) {
                        Ok(state) => {
                            balancer.shared.store(state);
                            balancer.probe_all();
                            control.accepted(version).await;
                        }
                        Err(e) => control.refused(version, e.to_string()).await,
                    }
                }
                Order::Drain { deadline_ms } => {
                    balancer.crew.drain(Duration::from_millis(deadline_ms)).await;
                    return Ok(());
                }
                Order::Ask { id, about } => control.answer(id, balancer.answer(about)).await,
                // Traffic goes on from the last snapshot.
                Order::ParentGone => parent = false,
            },
            Some(change) = changed.recv() => balancer.take(change),
        }
    }
}

impl Balancer {
    fn start(
        state: State,
        http: &[TcpListener],
        https: &[TcpListener],
        changes: mpsc::Sender<Change>,
        voice: Voice,
    ) -> Result<Self, RoleError> {
        let connections = state.target.limits.connections;
        let shared = Shared::new(state);
        let clones = |listeners: &[TcpListener]| {
            listeners
                .iter()
                .map(TcpListener::try_clone)
                .collect::<Result<Vec<_>, _>>()
        };
        let crew = Crew::start("balancer", connections, |place| {
            let seed = getrandom::u64().map_err(|e| std::io::Error::other(e.to_string()))?;
            let (http, https) = (clones(http)?, clones(https)?);
            let parts = Parts {
                shared: shared.clone(),
                http,
                https,
                seed,
                place,
            };
            Ok(move || worker::run(parts))
        })?;
        let watch = Watch::new();
        tokio::task::spawn_local(std::rc::Rc::clone(&watch).run());
        let probes = HashMap::new();
        let mut balancer = Self {
            shared,
            crew,
            probes,
            watch,
            changes,
            voice,
        };
        balancer.probe_all();
        Ok(balancer)
    }

    /// Starts a probe for each endpoint that has none, ends those of endpoints that are gone.
    fn probe_all(&mut self) {
        let state = self.shared.load();
        let target = &state.target;
        self.probes.retain(|address, probe| {
            let stays = target
                .endpoints
                .iter()
                .any(|endpoint| endpoint.address == *address);
            if !stays {
                probe.abort();
            }
            stays
        });
        let host = target.domains.first().cloned().unwrap_or_default();
        for endpoint in &target.endpoints {
            self.probes.entry(endpoint.address).or_insert_with(|| {
                let probe = probe::run(
                    endpoint.clone(),
                    target.health.clone(),
                    host.clone(),
                    std::rc::Rc::clone(&self.watch),
                    self.changes.clone(),
                );
                tokio::task::spawn_local(probe).abort_handle()
            });
        }
    }

    /// Takes up a change of health and says so.
    fn take(&self, change: Change) {
        let Change {
            endpoint,
            up,
            reason,
            first,
        } = change;
        let state = self.shared.load();
        self.shared
            .store(state.with_health(endpoint.address, up, &reason, now_ms()));
        let (severity, kind) = match up {
            true => (Severity::Info, "endpoint-up"),
            false => (Severity::Error, "endpoint-down"),
        };
        if !(first && up) {
            let word = if up { "is up" } else { "is down" };
            let what = format!("endpoint {} {word}: {reason}", endpoint.name);
            self.voice
                .event(severity, format!("endpoint {}", endpoint.name), kind, what);
        }
    }

    fn answer(&self, about: About) -> String {
        let state = self.shared.load();
        match about {
            About::Status => serde_json::to_string(&metrics::status(&state, self.crew.total()))
                .unwrap_or_default(),
            About::Metrics => metrics::exposition(&state, &self.crew.total()),
        }
    }
}
