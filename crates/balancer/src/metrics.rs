//! Counters of one thread, summed up when somebody asks. Only the owning thread writes, so a count is a
//! load and a store, without a locked instruction.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use telemetry::metrics::{Exposition, LATENCY_SECONDS};

use crate::snapshot::{EndpointStatus, Status};
use crate::state::State;

const BUCKETS: usize = LATENCY_SECONDS.len() + 1;

/// One thread's counters.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    by_class: [AtomicU64; 5],
    /// Not cumulative; the last is for everything slower.
    latency: [AtomicU64; BUCKETS],
    /// Microseconds of all requests together.
    latency_sum: AtomicU64,
    bytes_out: AtomicU64,
    pub(crate) connections: AtomicU64,
}

fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Counts {
    pub(crate) fn add(&self, status: u16, took: Duration, bytes: u64) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.by_class.get(class) {
            bump(counter, 1);
        }
        let seconds = took.as_secs_f64();
        let bucket = LATENCY_SECONDS.iter().position(|bound| seconds <= *bound);
        if let Some(counter) = self.latency.get(bucket.unwrap_or(BUCKETS - 1)) {
            bump(counter, 1);
        }
        bump(
            &self.latency_sum,
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        );
        bump(&self.bytes_out, bytes);
    }
}

fn sum(threads: &[Arc<Counts>], of: impl Fn(&Counts) -> &AtomicU64) -> u64 {
    threads.iter().map(|counts| of(counts).load(Relaxed)).sum()
}

/// The process's status.
pub(crate) fn status(state: &State, threads: &[Arc<Counts>]) -> Status {
    let mut by_class = [0; 5];
    for (class, total) in by_class.iter_mut().enumerate() {
        *total = threads
            .iter()
            .filter_map(|counts| counts.by_class.get(class))
            .map(|counter| counter.load(Relaxed))
            .sum();
    }
    let mut latency = Vec::with_capacity(BUCKETS);
    let mut below = 0;
    for bucket in 0..BUCKETS {
        below += threads
            .iter()
            .filter_map(|counts| counts.latency.get(bucket))
            .map(|counter| counter.load(Relaxed))
            .sum::<u64>();
        latency.push(below);
    }
    let endpoints = state.endpoints.iter().map(|endpoint| EndpointStatus {
        name: endpoint.name.clone(),
        address: endpoint.address.to_string(),
        up: endpoint.up,
        since_ms: endpoint.since_ms,
        reason: endpoint.reason.clone(),
        requests: endpoint.counters.requests.load(Relaxed),
        failures: endpoint.counters.failures.load(Relaxed),
        open: endpoint.counters.open.load(Relaxed),
    });
    Status {
        endpoints: endpoints.collect(),
        requests: by_class.iter().sum(),
        by_class,
        latency,
        bytes_out: sum(threads, |counts| &counts.bytes_out),
        connections: sum(threads, |counts| &counts.connections),
    }
}

/// The same as Prometheus text.
pub(crate) fn exposition(state: &State, threads: &[Arc<Counts>]) -> String {
    let status = status(state, threads);
    let mut text = Exposition::default();
    text.family(
        "mainstay_http_requests_total",
        "counter",
        "Requests answered, by class of status.",
    );
    for (class, count) in status.by_class.iter().enumerate() {
        let labels = format!("class=\"{}xx\"", class + 1);
        text.sample("mainstay_http_requests_total", &labels, count);
    }
    let name = "mainstay_http_request_duration_seconds";
    text.family(
        name,
        "histogram",
        "From the end of a request's head to the end of its response.",
    );
    for (index, count) in status.latency.iter().enumerate() {
        let bound = LATENCY_SECONDS
            .get(index)
            .map_or("+Inf".to_owned(), f64::to_string);
        text.sample(&format!("{name}_bucket"), &format!("le=\"{bound}\""), count);
    }
    let microseconds = sum(threads, |counts| &counts.latency_sum);
    let seconds = Duration::from_micros(microseconds).as_secs_f64();
    text.sample(&format!("{name}_sum"), "", seconds);
    text.sample(&format!("{name}_count"), "", status.requests);
    text.family(
        "mainstay_http_response_bytes_total",
        "counter",
        "Body bytes sent to clients.",
    );
    text.sample("mainstay_http_response_bytes_total", "", status.bytes_out);
    text.family(
        "mainstay_http_connections",
        "gauge",
        "Client connections open.",
    );
    text.sample("mainstay_http_connections", "", status.connections);
    per_endpoint(&mut text, &status.endpoints);
    text.into_text()
}

fn per_endpoint(text: &mut Exposition, endpoints: &[EndpointStatus]) {
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
    for (name, kind, help, value) in families {
        text.family(name, kind, help);
        for endpoint in endpoints {
            text.sample(
                name,
                &format!("endpoint=\"{}\"", endpoint.name),
                value(endpoint),
            );
        }
    }
}
