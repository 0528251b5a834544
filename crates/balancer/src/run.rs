//! The process: takes its sockets, starts the threads, and obeys the control connection. This thread
//! alone changes the state that the others read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::front::Listener;
use http::workers::{self, Crew};
use process::message::About;
use process::role::{self, Control, Inherit, Inherited, Order, RoleError, Voice};
use process::snapshot::Shared;
use site::target::balancer::Ask;
use telemetry::Severity;
use telemetry::wall_clock::now_ms;
use tokio::sync::mpsc;

use crate::access_log::Writer;
use crate::backend::Known;
use crate::ejections::Ejections;
use crate::explain;
use crate::hash::Seed;
use crate::health::probe::Probed;
use crate::health::probes::Probes;
use crate::metrics::{self, Reasons};
use crate::outlier::Change;
use crate::snapshot::{Question, Snapshot};
use crate::state::{Lasting, State};
use crate::worker::{self, Parts};

/// News of endpoints waiting to be taken up: a thousand endpoints may change at once.
const QUEUE: usize = 4096;
/// How often ejected endpoints are looked at: whether their time is over.
const SWEEP: Duration = Duration::from_secs(1);

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
    lasting: Lasting,
    crew: Crew,
    log: Writer,
    reasons: Arc<Reasons>,
    probes: Probes,
    ejections: Ejections,
    /// Of the budgets' clock.
    start: Instant,
    voice: Voice,
}

/// What the other threads and the probes say.
#[derive(Debug)]
pub(crate) enum News {
    Probed(Probed),
    /// An endpoint has failed so often that it may have to be put out.
    Failing {
        backend: String,
        endpoint: String,
    },
}

async fn control(mut inherited: Inherited) -> Result<(), RoleError> {
    let mut control = Control::<Snapshot>::call(&inherited).await?;
    let doors = inherited.take_all();
    let (news, mut told) = mpsc::channel(QUEUE);
    let lasting = Lasting {
        resumption: http::tls::Resumption::default(),
        threads: workers::threads(),
        seed: seed()?,
    };
    let state = loop {
        match control.next().await {
            Order::Snapshot { version, value } => {
                match State::new(*value, None, &lasting, now_ms()) {
                    Ok(state) => {
                        control.accepted(version).await;
                        break state;
                    }
                    Err(e) => control.refused(version, e.to_string()).await,
                }
            }
            Order::Ask { id, .. } | Order::Question { id, .. } => {
                control.answer(id, String::new()).await;
            }
            Order::Drain { .. } | Order::ParentGone => return Ok(()),
        }
    };
    let mut balancer = Balancer::start(state, lasting, &doors, news, control.voice())?;
    // The threads have theirs. One more would keep a listener open that nobody accepts from, when this
    // process drains and its successor has it no longer.
    drop(doors);
    control.ready().await;
    let mut parent = true;
    let mut heard = Vec::new();
    let mut sweep = tokio::time::Instant::now() + SWEEP;
    loop {
        tokio::select! {
            order = control.next(), if parent => match order {
                Order::Snapshot { version, value } => match balancer.swap(*value) {
                    Ok(()) => control.accepted(version).await,
                    Err(e) => control.refused(version, e).await,
                },
                Order::Drain { deadline_ms } => {
                    let Balancer { crew, log, .. } = balancer;
                    crew.drain(Duration::from_millis(deadline_ms)).await;
                    log.end().await;
                    return Ok(());
                }
                Order::Ask { id, about } => control.answer(id, balancer.answer(about)).await,
                Order::Question { id, value } => control.answer(id, balancer.explain(value)).await,
                // Traffic goes on from the last snapshot.
                Order::ParentGone => parent = false,
            },
            // All there is: with a thousand endpoints, a change costs more than it takes them to change.
            1.. = told.recv_many(&mut heard, QUEUE) => balancer.take(&mut heard),
            () = balancer.grown() => balancer.grow(),
            () = tokio::time::sleep_until(sweep) => {
                balancer.sweep();
                sweep += SWEEP;
            }
        }
    }
}

fn seed() -> std::io::Result<Seed> {
    let random = || getrandom::u64().map_err(|e| std::io::Error::other(e.to_string()));
    Ok(Seed(random()?, random()?))
}

impl Balancer {
    fn start(
        state: State,
        lasting: Lasting,
        doors: &[(String, Inherit)],
        news: mpsc::Sender<News>,
        voice: Voice,
    ) -> Result<Self, RoleError> {
        let connections = state.target.limits.connections;
        let shared = Shared::new(state);
        let (start, reasons) = (Instant::now(), Arc::new(Reasons::default()));
        let log = Writer::start()?;
        let crew = Crew::start("balancer", connections, |place| {
            let seed = getrandom::u64().map_err(|e| std::io::Error::other(e.to_string()))?;
            let copies = doors.iter().map(|(name, door)| {
                let listener = match door {
                    Inherit::Tcp(listener) => Listener::from(listener.try_clone()?),
                    Inherit::Unix(listener) => Listener::from(listener.try_clone()?),
                };
                Ok((listener, name.clone()))
            });
            let parts = Parts {
                shared: shared.clone(),
                listeners: copies.collect::<std::io::Result<_>>()?,
                index: place.index,
                seed,
                start,
                reasons: Arc::clone(&reasons),
                news: news.clone(),
                log: log.lines(),
                place,
            };
            Ok(move || worker::run(parts))
        })?;
        let mut balancer = Self {
            probes: Probes::new(news),
            ejections: Ejections::new(start),
            start,
            shared,
            lasting,
            reasons,
            log,
            crew,
            voice,
        };
        balancer.probes.follow(&balancer.shared.load());
        Ok(balancer)
    }

    /// Another snapshot takes effect between two requests, or not at all.
    fn swap(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let former = self.shared.load();
        let state = State::new(snapshot, Some(&former), &self.lasting, now_ms())
            .map_err(|e| e.to_string())?;
        self.shared.store(state);
        self.probes.follow(&self.shared.load());
        Ok(())
    }

    fn take(&mut self, heard: &mut Vec<News>) {
        let mut probed = Vec::new();
        for news in heard.drain(..) {
            match news {
                News::Probed(result) => probed.push(result),
                News::Failing { backend, endpoint } => self.failing(&backend, &endpoint),
            }
        }
        self.probed(&probed);
    }

    /// Takes up changes of health and says so.
    fn probed(&self, results: &[Probed]) {
        let (state, ms) = (self.shared.load(), now_ms());
        let mut changes: BTreeMap<usize, Vec<(usize, &Probed)>> = BTreeMap::new();
        for result in results {
            let Some((index, endpoint)) = state.find(&result.backend, &result.endpoint) else {
                continue;
            };
            // Not what was on its way when the checks were taken out of the site file.
            let backend = state.backends.get(index);
            if backend.is_some_and(|backend| backend.target.health.ask != Ask::Nothing) {
                changes.entry(index).or_default().push((endpoint, result));
            }
        }
        for (index, changes) in changes {
            let state = self.shared.load();
            let Some(backend) = state.backends.get(index) else {
                continue;
            };
            let of_each = changes.iter().map(|(endpoint, result)| {
                let change = |known: &mut Known| {
                    known.health = result.state;
                    known.health_ms = ms;
                    known.reason.clone_from(&result.reason);
                };
                (*endpoint, change)
            });
            let changed = backend.with_all(ms, of_each);
            self.shared.store(state.with_backend(index, changed));
            for (_, result) in changes {
                self.tell(result);
            }
        }
    }

    fn tell(&self, result: &Probed) {
        let up = result.state.takes_requests();
        let (severity, kind) = match up {
            true => (Severity::Info, "endpoint-up"),
            false => (Severity::Error, "endpoint-down"),
        };
        // The first result ever is worth no alarm when it is good.
        if !(result.first && up) {
            let word = if up { "is up" } else { "is down" };
            let what = format!("endpoint {} {word}: {}", result.endpoint, result.reason);
            let subject = format!("endpoint {}", result.endpoint);
            self.voice.event(severity, subject, kind, what);
        }
    }

    /// An endpoint has failed many requests in a row: it is put out, unless too few would be left.
    fn failing(&mut self, backend: &str, endpoint: &str) {
        let state = self.shared.load();
        if let Some((index, endpoint)) = state.find(backend, endpoint)
            && let Some(backend) = state.backends.get(index)
        {
            let changes = self.ejections.failing(backend, endpoint);
            self.eject(index, &changes);
        }
    }

    /// Endpoints whose time is over come back; those that succeed too seldom go.
    fn sweep(&mut self) {
        let state = self.shared.load();
        for (index, backend) in state.backends.iter().enumerate() {
            let changes = self.ejections.sweep(backend);
            self.eject(index, &changes);
        }
    }

    fn eject(&self, index: usize, changes: &[Change]) {
        for change in changes {
            let (state, ms) = (self.shared.load(), now_ms());
            let Some(backend) = state.backends.get(index) else {
                return;
            };
            let (number, ejected, reason) = match change {
                Change::Ejected {
                    endpoint,
                    time,
                    why,
                } => {
                    let reason = format!("{why}; out for {} s", time.as_secs());
                    (*endpoint, Some(ms), reason)
                }
                Change::Returned { endpoint } => {
                    (*endpoint, None, "its time out is over".to_owned())
                }
            };
            let Some(endpoint) = backend.endpoints.get(number) else {
                continue;
            };
            let changed = backend.with(number, ms, |known| {
                known.ejected = ejected;
                known.reason.clone_from(&reason);
            });
            self.shared.store(state.with_backend(index, changed));
            let (severity, kind, word) = match ejected {
                Some(_) => (Severity::Warning, "endpoint-ejected", "is out"),
                None => (Severity::Info, "endpoint-returned", "is back"),
            };
            let subject = format!("endpoint {}", endpoint.name);
            let what = format!("endpoint {} {word}: {reason}", endpoint.name);
            self.voice.event(severity, subject, kind, what);
        }
    }

    /// Returns when some endpoint's share has to grow; never, while none starts slowly.
    fn grown(&self) -> impl Future<Output = ()> + use<> {
        let (state, now) = (self.shared.load(), now_ms());
        let next = state
            .backends
            .iter()
            .filter_map(|backend| backend.grows_in(now))
            .min();
        async move {
            match next {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        }
    }

    fn grow(&self) {
        let (mut state, now) = (self.shared.load(), now_ms());
        let growing: Vec<usize> = (0..state.backends.len())
            .filter(|index| {
                state
                    .backends
                    .get(*index)
                    .is_some_and(|b| b.grows_in(now).is_some())
            })
            .collect();
        for index in growing {
            if let Some(backend) = state.backends.get(index) {
                self.shared
                    .store(state.with_backend(index, backend.later(now)));
                state = self.shared.load();
            }
        }
    }

    fn explain(&self, question: serde_json::Value) -> String {
        let answer = serde_json::from_value::<Question>(question)
            .map_err(|e| e.to_string())
            .map(|question| explain::answer(&self.shared.load(), &question));
        match answer {
            Ok(answer) => serde_json::to_string(&answer).unwrap_or_default(),
            Err(e) => {
                tracing::error!("a question that cannot be read: {e}");
                String::new()
            }
        }
    }

    fn answer(&self, about: About) -> String {
        let state = self.shared.load();
        match about {
            About::Status => serde_json::to_string(&metrics::status(&state, self.crew.total()))
                .unwrap_or_default(),
            About::Metrics => metrics::exposition(
                &state,
                &self.crew.total(),
                &self.reasons,
                self.log.lost(),
                self.start.elapsed().as_secs(),
            ),
        }
    }
}
