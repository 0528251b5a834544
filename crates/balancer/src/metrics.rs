//! What the process tells of itself: its status, and the same as Prometheus text.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use http::counts::{self, Total};
use telemetry::metrics::Exposition;

use crate::backend::Backend;
use crate::reason::Reason;
use crate::snapshot::{BackendStatus, EndpointStatus, Status};
use crate::state::State;

/// Answers of our own, by reason; of all threads together, since they are few.
#[derive(Debug)]
pub(crate) struct Reasons(Vec<(Reason, AtomicU64)>);

impl Default for Reasons {
    fn default() -> Self {
        Self(
            Reason::ALL
                .iter()
                .map(|reason| (*reason, AtomicU64::new(0)))
                .collect(),
        )
    }
}

impl Reasons {
    pub(crate) fn add(&self, reason: Reason) {
        if let Some((_, count)) = self.0.iter().find(|(of, _)| *of == reason) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn expose(&self, text: &mut Exposition) {
        let name = "mainstay_balancer_answers_total";
        text.family(
            name,
            "counter",
            "Answers that the balancer made itself, by reason.",
        );
        for (reason, count) in &self.0 {
            let count = count.load(Relaxed);
            if count > 0 {
                text.sample(name, &format!("reason=\"{reason}\""), count);
            }
        }
    }
}

pub(crate) fn status(state: &State, total: Total) -> Status {
    let backends = state.backends.iter().map(|backend| BackendStatus {
        name: backend.target.name.clone(),
        uses: backend.pool.mode().to_string(),
        queued: 0,
        endpoints: endpoints(backend),
    });
    Status {
        backends: backends.collect(),
        requests: total.requests,
        by_class: total.by_class,
        latency: total.latency,
        bytes_out: total.bytes_out,
        connections: total.connections,
    }
}

fn endpoints(backend: &Backend) -> Vec<EndpointStatus> {
    let of = backend
        .target
        .endpoints
        .iter()
        .zip(&backend.endpoints)
        .zip(&backend.loads);
    let status = of.map(|((target, endpoint), load)| EndpointStatus {
        name: endpoint.name.clone(),
        address: target.address.to_string(),
        up: endpoint.is_up(),
        standing: endpoint.standing.why.to_string(),
        since_ms: endpoint.standing.since_ms,
        reason: endpoint.known.reason.clone(),
        weight: target.weight,
        backup: target.backup,
        requests: counts::total(endpoint.counters.counts.iter()).requests,
        failures: endpoint.counters.failures.load(Relaxed),
        open: u64::from(load.open.count()),
    });
    status.collect()
}

pub(crate) fn exposition(state: &State, total: &Total, reasons: &Reasons) -> String {
    type Value = fn(&EndpointStatus) -> u64;
    let families: [(&str, &str, &str, Value); 4] = [
        ("mainstay_endpoint_up", "gauge", "1: takes requests.", |e| {
            u64::from(e.up)
        }),
        (
            "mainstay_endpoint_requests_total",
            "counter",
            "Requests it answered.",
            |e| e.requests,
        ),
        (
            "mainstay_endpoint_failures_total",
            "counter",
            "Attempts that failed.",
            |e| e.failures,
        ),
        (
            "mainstay_endpoint_open",
            "gauge",
            "Requests it is working on.",
            |e| e.open,
        ),
    ];
    let mut text = Exposition::default();
    total.expose(&mut text);
    reasons.expose(&mut text);
    let backends: Vec<(&str, Vec<EndpointStatus>)> = state
        .backends
        .iter()
        .map(|backend| (backend.target.name.as_str(), endpoints(backend)))
        .collect();
    for (name, kind, help, value) in families {
        text.family(name, kind, help);
        for (backend, endpoints) in &backends {
            for endpoint in endpoints {
                let labels = format!("backend=\"{backend}\",endpoint=\"{}\"", endpoint.name);
                text.sample(name, &labels, value(endpoint));
            }
        }
    }
    text.into_text()
}
