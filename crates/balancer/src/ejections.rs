//! Who is put out, of all backends: one `outlier::Watch` each, kept as long as the backend is there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::outlier::{Change, Tally, Watch};
use crate::standing::Why;

#[derive(Debug)]
pub(crate) struct Ejections {
    start: Instant,
    watched: HashMap<String, Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    watch: Watch,
    /// Of the endpoints, in the order that the watch knows.
    names: Vec<String>,
    swept: Duration,
}

impl Ejections {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            watched: HashMap::new(),
        }
    }

    /// An endpoint has failed as often in a row as its backend allows.
    pub(crate) fn failing(&mut self, backend: &Backend, endpoint: usize) -> Vec<Change> {
        let Some(rules) = &backend.target.ejection else {
            return Vec::new();
        };
        let now = self.start.elapsed();
        let watched = self.of(backend);
        match watched.watch.failing(endpoint, rules, &takes(backend), now) {
            Ok(change) => vec![change],
            Err(spared) => {
                let name = backend
                    .endpoints
                    .get(endpoint)
                    .map(|endpoint| &endpoint.name);
                tracing::info!("endpoint {name:?} fails and stays: {spared}");
                Vec::new()
            }
        }
    }

    /// What has changed by time. Without rules (any more), nobody is out.
    pub(crate) fn sweep(&mut self, backend: &Backend) -> Vec<Change> {
        let Some(rules) = &backend.target.ejection else {
            self.watched.remove(&backend.target.name);
            let out = backend.endpoints.iter().enumerate();
            return out
                .filter(|(_, endpoint)| endpoint.known.ejected.is_some())
                .map(|(endpoint, _)| Change::Returned { endpoint })
                .collect();
        };
        let now = self.start.elapsed();
        let watched = self.of(backend);
        if now.saturating_sub(watched.swept) < rules.interval {
            return Vec::new();
        }
        watched.swept = now;
        let tallies: Vec<&Tally> = backend
            .endpoints
            .iter()
            .map(|endpoint| &endpoint.counters.tally)
            .collect();
        watched.watch.sweep(rules, &takes(backend), &tallies, now)
    }

    /// The watch of a backend, for its endpoints as they are now.
    fn of(&mut self, backend: &Backend) -> &mut Watched {
        let watched = self.watched.entry(backend.target.name.clone()).or_default();
        let names = backend.endpoints.iter().map(|endpoint| &endpoint.name);
        if !names.clone().eq(&watched.names) {
            let from: Vec<Option<usize>> = names
                .clone()
                .map(|name| watched.names.iter().position(|known| known == name))
                .collect();
            watched.watch = Watch::new(&from, &watched.watch);
            watched.names = names.cloned().collect();
        }
        watched
    }
}

/// Which endpoints take requests, were none put out.
fn takes(backend: &Backend) -> Vec<bool> {
    let endpoints = backend.endpoints.iter();
    endpoints
        .map(|endpoint| endpoint.standing.takes_new || endpoint.standing.why == Why::Ejected)
        .collect()
}
