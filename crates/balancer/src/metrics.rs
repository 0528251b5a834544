//! What the process tells of itself: its status, and the same as Prometheus text.
//!
//! The number of series is bounded whatever the site file has: of routes and endpoints beyond `SERIES` the
//! busiest have their own, the others are summed up under `other`.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use http::counts::{self, Total};
use telemetry::metrics::{Exposition, LATENCY_SECONDS};

use crate::backend::Backend;
use crate::reason::Reason;
use crate::snapshot::{BackendStatus, EndpointStatus, Status};
use crate::state::State;

/// Routes, and endpoints, with series of their own (no source; 100 times 20 series are what one scrape
/// can well carry).
const SERIES: usize = 100;

/// Answers of our own, by reason; of all threads together, since they are few.
#[derive(Debug)]
pub(crate) struct Reasons(Vec<(Reason, AtomicU64)>);

impl Default for Reasons {
    fn default() -> Self {
        let counts = Reason::ALL
            .iter()
            .map(|reason| (*reason, AtomicU64::new(0)));
        Self(counts.collect())
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
        let help = "Answers that the balancer made itself, by reason.";
        text.family(name, "counter", help);
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
        queued: backend.kept.room.len() as u64,
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
        wished_weight: endpoint.wished_weight,
        backup: target.backup,
        requests: counts::total(&endpoint.counters.counts.iter()).requests,
        failures: endpoint.counters.failures.load(Relaxed),
        open: u64::from(load.open.count()),
    });
    status.collect()
}

pub(crate) fn exposition(
    state: &State,
    total: &Total,
    reasons: &Reasons,
    lost_lines: u64,
    now_s: u64,
) -> String {
    let mut text = Exposition::default();
    total.expose(&mut text);
    reasons.expose(&mut text);
    let name = "mainstay_access_log_lost_lines_total";
    let help = "Lines of the access log dropped because the disk did not take them in time.";
    text.family(name, "counter", help)
        .sample(name, "", lost_lines);
    let routes = state.rules.routes.iter().map(|route| {
        let labels = format!("route=\"{}\"", route.name);
        (labels, counts::total(&route.counts.iter()))
    });
    let names = (
        "mainstay_route_requests_total",
        "mainstay_route_request_duration_seconds",
    );
    latencies(names, routes.collect(), "route=\"other\"", &mut text);
    let of_endpoints = state.backends.iter().flat_map(|backend| {
        let name = &backend.target.name;
        backend.endpoints.iter().map(move |endpoint| {
            let labels = format!("backend=\"{name}\",endpoint=\"{}\"", endpoint.name);
            (labels, counts::total(&endpoint.counters.counts.iter()))
        })
    });
    let other = "backend=\"other\",endpoint=\"other\"";
    let names = (
        "mainstay_endpoint_requests_total",
        "mainstay_endpoint_request_duration_seconds",
    );
    latencies(names, of_endpoints.collect(), other, &mut text);
    of_each_endpoint(state, &mut text);
    of_each_backend(state, now_s, &mut text);
    text.into_text()
}

/// Requests by class and their latency, of the busiest and of all others together.
fn latencies(
    (requests, durations): (&str, &str),
    mut all: Vec<(String, Total)>,
    other: &str,
    text: &mut Exposition,
) {
    all.sort_by_key(|(_, total)| std::cmp::Reverse(total.requests));
    let rest = all.split_off(all.len().min(SERIES));
    if let Some(sum) = rest.into_iter().map(|(_, total)| total).reduce(added) {
        all.push((other.to_owned(), sum));
    }
    let name = requests;
    text.family(name, "counter", "Requests answered, by class of status.");
    for (labels, total) in &all {
        for (class, count) in total
            .by_class
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            text.sample(name, &format!("{labels},class=\"{}xx\"", class + 1), count);
        }
    }
    let name = durations;
    text.family(
        name,
        "histogram",
        "From a request's head to the end of its response.",
    );
    for (labels, total) in all.iter().filter(|(_, total)| total.requests > 0) {
        for (index, count) in total.latency.iter().enumerate() {
            let bound = LATENCY_SECONDS
                .get(index)
                .map_or("+Inf".to_owned(), f64::to_string);
            text.sample(
                &format!("{name}_bucket"),
                &format!("{labels},le=\"{bound}\""),
                count,
            );
        }
        text.sample(
            &format!("{name}_sum"),
            labels,
            total.latency_sum.as_secs_f64(),
        );
        text.sample(&format!("{name}_count"), labels, total.requests);
    }
}

fn added(mut sum: Total, more: Total) -> Total {
    sum.requests += more.requests;
    for (sum, more) in sum.by_class.iter_mut().zip(more.by_class) {
        *sum += more;
    }
    for (sum, more) in sum.latency.iter_mut().zip(more.latency) {
        *sum += more;
    }
    sum.latency_sum += more.latency_sum;
    sum.bytes_out += more.bytes_out;
    sum
}

fn of_each_endpoint(state: &State, text: &mut Exposition) {
    type Value = fn(&EndpointStatus) -> u64;
    let families: [(&str, &str, &str, Value); 3] = [
        (
            "mainstay_endpoint_up",
            "gauge",
            "1: its health is good.",
            |e| u64::from(e.up),
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
    // Those that are not up are what one looks for: they come first.
    let mut all: BTreeMap<(bool, String), EndpointStatus> = BTreeMap::new();
    for backend in &state.backends {
        for endpoint in endpoints(backend) {
            let name = &backend.target.name;
            let labels = format!("backend=\"{name}\",endpoint=\"{}\"", endpoint.name);
            all.insert((endpoint.up, labels), endpoint);
        }
    }
    for (name, kind, help, value) in families {
        text.family(name, kind, help);
        for ((_, labels), endpoint) in all.iter().take(10 * SERIES) {
            text.sample(name, labels, value(endpoint));
        }
    }
}

fn of_each_backend(state: &State, now_s: u64, text: &mut Exposition) {
    type Value = fn(&Backend, u64) -> u64;
    let families: [(&str, &str, &str, Value); 7] = [
        (
            "mainstay_backend_open",
            "gauge",
            "Requests at all its endpoints.",
            |b, _| u64::from(b.kept.open.count()),
        ),
        (
            "mainstay_backend_queued",
            "gauge",
            "Requests that wait for an endpoint.",
            |b, _| b.kept.room.len() as u64,
        ),
        (
            "mainstay_backend_retries",
            "gauge",
            "Requests that were sent again in the last ten seconds.",
            |b, now| b.kept.budget.retries(now),
        ),
        (
            "mainstay_backend_endpoints_up",
            "gauge",
            "Endpoints whose health is good.",
            |b, _| {
                b.endpoints
                    .iter()
                    .filter(|endpoint| endpoint.is_up())
                    .count() as u64
            },
        ),
        (
            "mainstay_backend_connections_reused_total",
            "counter",
            "Requests over a kept connection of the same thread.",
            |b, _| {
                b.endpoints
                    .iter()
                    .map(|endpoint| endpoint.idle.reuse().own)
                    .sum()
            },
        ),
        (
            "mainstay_backend_connections_taken_over_total",
            "counter",
            "Requests over a kept connection of another thread.",
            |b, _| {
                b.endpoints
                    .iter()
                    .map(|endpoint| endpoint.idle.reuse().taken_over)
                    .sum()
            },
        ),
        (
            "mainstay_backend_connections_new_total",
            "counter",
            "Requests for which a connection was opened.",
            |b, _| {
                b.endpoints
                    .iter()
                    .map(|endpoint| endpoint.idle.reuse().new)
                    .sum()
            },
        ),
    ];
    for (name, kind, help, value) in families {
        text.family(name, kind, help);
        for backend in &state.backends {
            let labels = format!("backend=\"{}\"", backend.target.name);
            text.sample(name, &labels, value(backend, now_s));
        }
    }
}
