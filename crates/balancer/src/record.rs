//! What is counted and written down of an exchange when it is over.

use std::time::{Instant, SystemTime};

use http::Fault;
use http::head::address::AddressText;
use telemetry::access_log::{self, Format};

use crate::prepare::Line;
use crate::reason::Reason;
use crate::worker::{Peer, View, Worker};

/// How an exchange ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    /// Why we answered ourselves.
    pub(crate) reason: Option<Reason>,
    pub(crate) bytes: u64,
    pub(crate) backend: Option<usize>,
    pub(crate) endpoint: Option<usize>,
    pub(crate) attempts: u32,
    pub(crate) fault: Option<Fault>,
    /// The client's connection can take another request.
    pub(crate) keep: bool,
}

impl Outcome {
    /// The client reset its stream before the answer was whole (nginx's 499).
    pub(crate) fn client_gone() -> Self {
        Self {
            status: Reason::ClientGone.status(),
            reason: Some(Reason::ClientGone),
            bytes: 0,
            backend: None,
            endpoint: None,
            attempts: 0,
            fault: None,
            keep: false,
        }
    }
}

pub(crate) fn record(
    worker: &Worker,
    view: &View,
    peer: &Peer,
    line: &Line,
    outcome: &Outcome,
    started: Instant,
) {
    let took = started.elapsed();
    worker.counts.add(outcome.status, took, outcome.bytes);
    let state = &view.state;
    let route = line.route.and_then(|index| state.rules.routes.get(index));
    if let Some(counts) = route.and_then(|route| route.counts.get(worker.index)) {
        counts.add(outcome.status, took, outcome.bytes);
    }
    if let Some(reason) = outcome.reason {
        worker.count_reason(reason);
    }
    if *state.log == Format::Off {
        return;
    }
    let backend = outcome.backend.and_then(|index| state.backends.get(index));
    let endpoint = outcome
        .endpoint
        .and_then(|index| backend?.endpoints.get(index));
    let at = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let fault = outcome
        .fault
        .map(|fault| fault.to_string())
        .unwrap_or_default();
    let client = AddressText::new(line.client.unwrap_or(peer.address.ip()));
    worker.log(
        &state.log,
        &access_log::Exchange {
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            request_id: &line.id,
            client: client.as_str(),
            scheme: if line.client.is_some() {
                line.scheme
            } else {
                peer.scheme()
            },
            protocol: line.protocol,
            referer: &line.referer,
            user_agent: &line.user_agent,
            host: &line.host,
            method: &line.method,
            target: &line.target,
            status: outcome.status,
            reason: outcome.reason.map_or("", Reason::as_str),
            bytes: outcome.bytes,
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            route: route.map_or("", |route| &*route.name),
            backend: backend.map_or("", |backend| backend.target.name.as_str()),
            endpoint: endpoint.map_or("", |endpoint| endpoint.name.as_str()),
            attempts: outcome.attempts,
            fault: &fault,
        },
    );
}
