//! The life of a request, top to bottom: read, prepare, choose, send, wait, relay; on failure, again.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime};

use http::client::{self, Address, Times};
use http::copy::Copy;
use http::exchange;
use http::head::traits::Traits;
use http::limits::{LINGER, LINGER_BYTES};
use http::retry::{Attempt, Verdict, verdict};
use http::server::Connection;
use http::{Fault, Kind, Phase, Side};
use telemetry::access_log;

use crate::answer;
use crate::choose::round_robin;
use crate::prepare::{Line, Prepared, Refusal, Terms, prepare};
use crate::worker::{Peer, View, Worker};

/// How an exchange ended.
#[derive(Debug)]
struct Outcome {
    status: u16,
    bytes: u64,
    endpoint: Option<usize>,
    attempts: u32,
    fault: Option<Fault>,
    /// The client's connection can take another request.
    keep: bool,
}

impl Outcome {
    fn ours(status: u16, fault: Option<Fault>, keep: bool) -> Self {
        Self {
            status,
            bytes: 0,
            endpoint: None,
            attempts: 0,
            fault,
            keep,
        }
    }
}

/// Serves a client's connection until it ends.
pub(crate) async fn serve(worker: &Rc<Worker>, mut client: Connection, peer: Peer) {
    let mut line = Line::default();
    let mut scratch = Vec::new();
    loop {
        let view = worker.view();
        let limits = &view.state.target.limits;
        let read = client
            .read_head(limits.keep_alive, limits.request_head)
            .await;
        drop(view);
        let length = match read {
            Ok(None) => break,
            Ok(Some(length)) => Ok(length),
            Err(fault) if fault.kind == Kind::Closed => break,
            Err(fault) => Err(fault),
        };
        let view = worker.view();
        let started = Instant::now();
        worker.request_id(&mut line.id);
        let outcome = match length {
            Ok(length) => one(&view, &mut client, peer, length, &mut line, &mut scratch).await,
            Err(why) => {
                let refusal = Refusal {
                    status: why.status(),
                    why,
                    keep: false,
                    is_head: false,
                };
                refuse(&view, &mut client, &refusal, &line).await
            }
        };
        record(worker, &view, peer, &line, &outcome, started);
        if !outcome.keep || worker.watch.draining() {
            break;
        }
    }
    // A TLS client is told that this is the end and not a cut (RFC 8446 section 6.1).
    if peer.secure {
        client.linger(0, LINGER).await;
    }
}

/// One request, whose head of `length` bytes is in the buffer.
async fn one(
    view: &View,
    client: &mut Connection,
    peer: Peer,
    length: usize,
    line: &mut Line,
    scratch: &mut Vec<u8>,
) -> Outcome {
    let target = &view.state.target;
    let terms = Terms {
        client: peer.address.ip(),
        scheme: peer.scheme(),
        domains: &target.domains,
        request_body: target.limits.request_body,
    };
    let bytes = client.buffer.filled();
    match prepare(bytes, length, &terms, line, std::mem::take(scratch)) {
        Ok(prepared) => {
            client.buffer.consume(prepared.taken);
            forward(view, client, prepared, &line.id, scratch).await
        }
        Err(refusal) => {
            client.buffer.consume(length);
            refuse(view, client, &refusal, line).await
        }
    }
}

/// Sends the request to one endpoint after the other until one answers or no more may be asked.
async fn forward(
    view: &View,
    client: &mut Connection,
    prepared: Prepared,
    id: &str,
    scratch: &mut Vec<u8>,
) -> Outcome {
    let limits = &view.state.target.limits;
    let traits = prepared.traits;
    let mut request = Copy::new(prepared.outgoing, prepared.framing, limits.request_body);
    let mut tried = Vec::new();
    let (mut attempts, mut fresh) = (0, false);
    loop {
        let turn = view.state.turn.fetch_add(1, Relaxed);
        let Some(index) = round_robin::choose(&view.state.rotation, turn, &tried) else {
            let status = if attempts == 0 { 503 } else { 502 };
            return give_up(view, client, status, None, &request, traits, id, attempts).await;
        };
        if !fresh {
            attempts += 1;
        }
        let upgrade = prepared.upgrade.as_deref();
        let tried_now = attempt(
            view,
            client,
            index,
            fresh,
            &mut request,
            traits,
            upgrade,
            id,
        )
        .await;
        let (fault, reused) = match tried_now {
            Ok(mut outcome) => {
                *scratch = request.into_head();
                outcome.attempts = attempts;
                return outcome;
            }
            Err(failed) => failed,
        };
        let sent = request.has_sent();
        let attempt = Attempt {
            sent,
            reused,
            idempotent: traits.idempotent,
            replayable: request.restart(),
            number: attempts,
            limit: limits.attempts,
        };
        match verdict(&attempt, &fault) {
            Verdict::TryFresh => fresh = true,
            Verdict::TryAnother => {
                count_failure(view, index);
                tried.push(index);
                fresh = false;
            }
            Verdict::GiveUp => {
                if fault.side == Side::Upstream {
                    count_failure(view, index);
                }
                let status = fault.status();
                let mut outcome = give_up(
                    view,
                    client,
                    status,
                    Some(fault),
                    &request,
                    traits,
                    id,
                    attempts,
                )
                .await;
                outcome.endpoint = Some(index);
                return outcome;
            }
        }
    }
}

fn count_failure(view: &View, index: usize) {
    if let Some(endpoint) = view.state.endpoints.get(index) {
        endpoint.counters.failures.fetch_add(1, Relaxed);
    }
}

/// One endpoint asked once. An error means that nothing was written to the client; with it, whether the
/// connection was a kept one.
#[expect(
    clippy::too_many_arguments,
    reason = "one exchange's facts; a struct would only rename them"
)]
async fn attempt(
    view: &View,
    client: &mut Connection,
    index: usize,
    fresh: bool,
    request: &mut Copy,
    traits: Traits,
    upgrade: Option<&str>,
    id: &str,
) -> Result<Outcome, (Fault, bool)> {
    let limits = &view.state.target.limits;
    let times = Times {
        response_head: limits.response_head,
        idle_body: limits.idle_body,
    };
    let (Some(endpoint), Some(pool)) = (view.state.endpoints.get(index), view.pools.get(index))
    else {
        return Err((Fault::upstream(Phase::Connect, Kind::Closed), false));
    };
    if fresh {
        // One kept connection was dead: its neighbours are no better.
        pool.clear();
    }
    let mut upstream = match pool.checkout() {
        Some(kept) => kept,
        None => client::connect(
            &Address::Tcp(endpoint.address),
            &client.deadline,
            limits.connect,
        )
        .await
        .map_err(|fault| (fault, false))?,
    };
    let reused = upstream.reused;
    let counters = &endpoint.counters;
    counters.open.fetch_add(1, Relaxed);
    let result = exchange::converse(
        client,
        &mut upstream,
        request,
        traits,
        upgrade,
        times,
        Some(id),
    )
    .await;
    counters.open.fetch_sub(1, Relaxed);
    let relayed = result.map_err(|fault| (fault, reused))?;
    counters.requests.fetch_add(1, Relaxed);
    if relayed
        .fault
        .is_some_and(|fault| fault.side == Side::Upstream)
    {
        counters.failures.fetch_add(1, Relaxed);
    }
    if relayed.keep_upstream {
        pool.give_back(upstream, Instant::now());
    }
    Ok(Outcome {
        status: relayed.status,
        bytes: relayed.bytes,
        endpoint: Some(index),
        attempts: 0,
        fault: relayed.fault,
        keep: relayed.keep_client,
    })
}

/// Tells the client that nobody answered.
#[expect(
    clippy::too_many_arguments,
    reason = "one exchange's facts; a struct would only rename them"
)]
async fn give_up(
    view: &View,
    client: &mut Connection,
    status: u16,
    fault: Option<Fault>,
    request: &Copy,
    traits: Traits,
    id: &str,
    attempts: u32,
) -> Outcome {
    let refusal = Refusal {
        status,
        why: fault.unwrap_or(Fault::upstream(Phase::Connect, Kind::Closed)),
        // What is left of a body stands before the next request.
        keep: traits.keeps_by_default() && !request.has_body(),
        is_head: traits.is_head,
    };
    let mut outcome = answer(view, client, &refusal, id).await;
    outcome.fault = Some(refusal.why);
    outcome.attempts = attempts;
    outcome
}

async fn refuse(view: &View, client: &mut Connection, refusal: &Refusal, line: &Line) -> Outcome {
    answer(view, client, refusal, &line.id).await
}

async fn answer(view: &View, client: &mut Connection, refusal: &Refusal, id: &str) -> Outcome {
    let mut out = Vec::new();
    answer::error(
        refusal.status,
        id,
        !refusal.is_head,
        !refusal.keep,
        &mut out,
    );
    let within = view.state.target.limits.idle_body;
    let written = client.write_all(&out, within).await;
    let keep = refusal.keep && written.is_ok();
    if written.is_ok() && !keep {
        client.linger(LINGER_BYTES, LINGER).await;
    }
    let mut outcome = Outcome::ours(refusal.status, Some(refusal.why), keep);
    outcome.bytes = out.len() as u64;
    outcome
}

/// Counts and logs what happened.
fn record(
    worker: &Worker,
    view: &View,
    peer: Peer,
    line: &Line,
    outcome: &Outcome,
    started: Instant,
) {
    let took = started.elapsed();
    worker.counts.add(outcome.status, took, outcome.bytes);
    let endpoint = outcome
        .endpoint
        .and_then(|index| view.state.endpoints.get(index));
    let at = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let fault = outcome
        .fault
        .map(|fault| fault.to_string())
        .unwrap_or_default();
    let mut client = String::with_capacity(40);
    // Writing to a String cannot fail.
    std::fmt::Write::write_fmt(&mut client, format_args!("{}", peer.address.ip()))
        .unwrap_or_default();
    worker.log(&access_log::Exchange {
        at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
        request_id: &line.id,
        client: &client,
        scheme: peer.scheme(),
        host: &line.host,
        method: &line.method,
        target: &line.target,
        status: outcome.status,
        bytes: outcome.bytes,
        duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        endpoint: endpoint.map_or("", |endpoint| endpoint.name.as_str()),
        attempts: outcome.attempts,
        fault: &fault,
    });
}
