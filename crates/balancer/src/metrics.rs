//! What the process tells of itself: its status, and the same as Prometheus text.

use std::sync::atomic::Ordering::Relaxed;

use http::counts::Total;
use telemetry::metrics::Exposition;

use crate::snapshot::{EndpointStatus, Status};
use crate::state::State;

pub(crate) fn status(state: &State, total: Total) -> Status {
    Status {
        endpoints: endpoints(state),
        requests: total.requests,
        by_class: total.by_class,
        latency: total.latency,
        bytes_out: total.bytes_out,
        connections: total.connections,
    }
}

fn endpoints(state: &State) -> Vec<EndpointStatus> {
    let status = state.endpoints.iter().map(|endpoint| EndpointStatus {
        name: endpoint.name.clone(),
        address: endpoint.address.to_string(),
        up: endpoint.up,
        since_ms: endpoint.since_ms,
        reason: endpoint.reason.clone(),
        requests: endpoint.counters.requests.load(Relaxed),
        failures: endpoint.counters.failures.load(Relaxed),
        open: endpoint.counters.open.load(Relaxed),
    });
    status.collect()
}

pub(crate) fn exposition(state: &State, total: &Total) -> String {
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
    let endpoints = endpoints(state);
    for (name, kind, help, value) in families {
        text.family(name, kind, help);
        for endpoint in &endpoints {
            text.sample(
                name,
                &format!("endpoint=\"{}\"", endpoint.name),
                value(endpoint),
            );
        }
    }
    text.into_text()
}
