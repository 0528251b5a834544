//! One endpoint asked once: a kept connection or a new one, the request over it, the response back.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use http::client::{self, Times, Upstream};
use http::copy::Copy;
use http::exchange::converse;
use http::pool::Pool;
use http::{Fault, Kind, Phase};

use crate::backend::Backend;
use crate::exchange::{Exchange, blames_endpoint, micros};
use crate::prepare::Prepared;
use crate::record::Outcome;
use crate::tcp;

/// Nothing was written to the client.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    /// It went over a kept connection.
    pub(crate) reused: bool,
}

/// Leaves the place at the endpoint that was taken when it was chosen. `fresh`: over a new connection.
pub(crate) async fn attempt(
    exchange: &mut Exchange<'_>,
    backend: &Backend,
    prepared: &Prepared,
    index: usize,
    fresh: bool,
    request: &mut Copy,
    id: &str,
) -> Result<Outcome, Failed> {
    let started = Instant::now();
    let (worker, view) = (exchange.worker, exchange.view);
    let asked = ask(exchange, backend, prepared, index, fresh, request, id).await;
    let (Some(endpoint), Some(load)) = (backend.endpoints.get(index), backend.loads.get(index))
    else {
        return asked;
    };
    load.open.leave();
    backend.kept.freed();
    let (took, now_ms) = (started.elapsed(), worker.watch.now_ms());
    let fault = match &asked {
        Ok(outcome) => outcome.fault.as_ref(),
        // A kept connection that was closed meanwhile is nobody's failure.
        Err(failed) if failed.reused && failed.fault.kind == Kind::Closed => return asked,
        Err(failed) => Some(&failed.fault),
    };
    match fault.filter(|fault| blames_endpoint(fault)) {
        Some(fault) => {
            load.failed(micros(took), now_ms);
            endpoint.counters.failures.fetch_add(1, Relaxed);
            worker.failed(view, prepared.backend, index, fault);
        }
        None => load.answered(micros(took), now_ms),
    }
    if let (Ok(outcome), Some(counts)) = (&asked, endpoint.counters.counts.get(worker.index)) {
        counts.add(outcome.status, took, outcome.bytes);
    }
    asked
}

async fn ask(
    exchange: &mut Exchange<'_>,
    backend: &Backend,
    prepared: &Prepared,
    index: usize,
    fresh: bool,
    request: &mut Copy,
    id: &str,
) -> Result<Outcome, Failed> {
    let limits = &exchange.view.state.target.limits;
    let route = exchange.view.state.rules.routes.get(prepared.route);
    let response_head = route.and_then(|route| route.target.response_head);
    let times = Times {
        response_head: response_head.map_or(limits.response_head, |time| time.0),
        idle_body: limits.idle_body,
    };
    let view = std::rc::Rc::clone(exchange.view);
    let Some(pool) = view.pool(prepared.backend, index) else {
        let fault = Fault::upstream(Phase::Connect, Kind::Closed);
        return Err(Failed {
            fault,
            reused: false,
        });
    };
    let mut upstream = connection(exchange, backend, index, fresh, pool).await?;
    let reused = upstream.reused;
    let own = backend.target.own.then_some(id);
    let relayed = converse(
        exchange.client,
        &mut upstream,
        request,
        prepared.traits,
        prepared.upgrade.as_deref(),
        times,
        own.or(Some(id)),
    )
    .await
    .map_err(|fault| Failed { fault, reused })?;
    if relayed.keep_upstream && backend.target.proxy_protocol.is_none() {
        pool.give_back(upstream, Instant::now());
    }
    Ok(Outcome {
        status: relayed.status,
        reason: None,
        bytes: relayed.bytes,
        backend: Some(prepared.backend),
        endpoint: Some(index),
        attempts: 0,
        fault: relayed.fault,
        keep: relayed.keep_client,
    })
}

async fn connection(
    exchange: &Exchange<'_>,
    backend: &Backend,
    index: usize,
    fresh: bool,
    pool: &Pool,
) -> Result<Upstream, Failed> {
    if fresh {
        // One kept connection was dead: its neighbours are no better.
        pool.clear();
    }
    if let Some(kept) = pool.checkout() {
        return Ok(kept);
    }
    let fault = Fault::upstream(Phase::Connect, Kind::Closed);
    let endpoint = backend.endpoints.get(index).ok_or(Failed {
        fault,
        reused: false,
    })?;
    let header = backend.target.proxy_protocol.map(|version| {
        let peer = exchange.peer.address;
        tcp::header(version, peer, peer)
    });
    let connected = client::connect_after(
        &endpoint.address,
        header.as_deref().unwrap_or_default(),
        backend.connector.as_ref(),
        &exchange.client.deadline,
        exchange.view.state.target.limits.connect,
    );
    connected.await.map_err(|fault| Failed {
        fault,
        reused: false,
    })
}
