//! One endpoint asked once: a kept connection or a new one, the request over it, the response back.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use http::client::{Times, Upstream};
use http::copy::Copy;
use http::exchange::{Manner, converse};
use http::head::write::Edit;
use http::{Fault, Kind, Phase, Side};

use crate::backend::Backend;
use crate::exchange::Exchange;
use crate::outlier::is_failure;
use crate::prepare::Prepared;
use crate::record::Outcome;
use crate::turn::Place;
use crate::upstream;

/// Nothing was written to the client.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    /// It went over a kept connection.
    pub(crate) reused: bool,
}

/// Over which connection an endpoint is asked.
#[derive(Debug)]
pub(crate) enum Over {
    /// A kept one, if there is one.
    Kept,
    /// A new one.
    Fresh,
    /// One that has got the request already.
    Asked(Box<Upstream>),
}

/// Leaves the place at the endpoint that was taken when it was chosen.
pub(crate) async fn attempt(
    exchange: &mut Exchange<'_>,
    backend: &Backend,
    prepared: &mut Prepared,
    place: Place<'_>,
    over: Over,
    request: &mut Copy,
) -> Result<Outcome, Failed> {
    let started = Instant::now();
    let index = place.index;
    let asked = ask(exchange, backend, prepared, index, over, request).await;
    drop(place);
    judge(exchange, backend, index, &asked, started.elapsed());
    asked
}

/// The same for an attempt that failed before there was anything to converse over.
pub(crate) fn failed(
    exchange: &Exchange<'_>,
    backend: &Backend,
    index: usize,
    failed: Failed,
) -> Result<Outcome, Failed> {
    let asked = Err(failed);
    judge(exchange, backend, index, &asked, Duration::ZERO);
    asked
}

/// What an attempt tells of its endpoint.
fn judge(
    exchange: &Exchange<'_>,
    backend: &Backend,
    index: usize,
    asked: &Result<Outcome, Failed>,
    took: Duration,
) {
    let worker = exchange.worker;
    let (Some(endpoint), Some(load)) = (backend.endpoints.get(index), backend.loads.get(index))
    else {
        return;
    };
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let now_ms = worker.watch.now_ms();
    let failed = match asked {
        Ok(outcome) => {
            if let Some(counts) = endpoint.counters.counts.get(worker.index) {
                counts.add(outcome.status, took, outcome.bytes);
            }
            is_failure(outcome.status) || outcome.fault.is_some_and(is_its_own)
        }
        // A kept connection that was closed meanwhile is nobody's failure.
        Err(failed) if failed.reused && failed.fault.kind == Kind::Closed => return,
        Err(failed) if failed.fault.side == Side::Client => return,
        Err(_) => true,
    };
    if failed {
        load.failed(micros, now_ms);
        endpoint.counters.failures.fetch_add(1, Relaxed);
        worker.failed(backend, index);
    } else {
        load.answered(micros, now_ms);
        if backend.target.ejection.is_some() {
            endpoint.counters.tally.succeeded();
        }
    }
}

fn is_its_own(fault: Fault) -> bool {
    fault.side == Side::Upstream
}

async fn ask(
    exchange: &mut Exchange<'_>,
    backend: &Backend,
    prepared: &mut Prepared,
    index: usize,
    over: Over,
    request: &mut Copy,
) -> Result<Outcome, Failed> {
    let view = std::rc::Rc::clone(exchange.view);
    let route = view.state.rules.routes.get(prepared.route);
    let kept = view.upstream(prepared.backend, index);
    let (Some(route), Some(kept)) = (route, kept) else {
        let fault = Fault::upstream(Phase::Connect, Kind::Closed);
        return Err(Failed {
            fault,
            reused: false,
        });
    };
    let limits = &view.state.target.limits;
    let connecting = upstream::Connecting {
        backend,
        index,
        peer: exchange.peer.address,
        destination: exchange.peer.destination,
        within: limits.connect,
        deadline: &exchange.client.deadline,
    };
    let mut upstream = match over {
        Over::Kept => connecting.connection(kept, false).await?,
        Over::Fresh => connecting.connection(kept, true).await?,
        Over::Asked(upstream) => {
            request.was_sent();
            *upstream
        }
    };
    let reused = upstream.reused;
    // A visitor who is bound to nobody, or to one who is gone, is bound to this one.
    let unbound = prepared.lines.len();
    if let Some(sticky) = backend
        .sticky
        .as_ref()
        .filter(|_| prepared.bound != Some(index))
    {
        sticky.set_cookie(index, prepared.secure, &mut prepared.lines);
    }
    let keeps =
        |name: &str| !name.eq_ignore_ascii_case("x-request-id") && route.response.keeps(name);
    let edit = Edit {
        keeps: &keeps,
        added: &prepared.lines,
    };
    let manner = Manner {
        upgrade: prepared.upgrade.as_deref(),
        times: Times {
            response_head: route.response_head,
            idle_body: limits.idle_body,
        },
        edit: Some(&edit),
        late: None,
        own: backend.target.own,
    };
    let relayed = converse(
        exchange.client,
        &mut upstream,
        request,
        prepared.traits,
        &manner,
    )
    .await;
    prepared.lines.truncate(unbound);
    let relayed = relayed.map_err(|fault| Failed { fault, reused })?;
    if relayed.keep_upstream && backend.target.proxy_protocol.is_none() {
        kept.pool.give_back(upstream, Instant::now());
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
