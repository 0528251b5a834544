//! To an instance of the app, and to another when that is safe.

use std::time::Instant;

use http::body::Framing;
use http::client::{self, Times};
use http::copy::Copy;
use http::exchange::{self, Late, Manner};
use http::head::traits::Traits;
use http::limits::{LINGER, LINGER_BYTES};
use http::retry::{Attempt, Verdict, is_harmless, verdict};
use http::server::Connection;
use http::{Fault, Kind, Phase, Side};

use crate::answer;
use crate::exchange::Outcome;
use crate::instance;
use crate::visitor::{Visit, Visitor};
use crate::worker::{View, Worker};

/// The status that says: nothing was done with this request, or nothing that cannot be done again.
const NOBODY: u16 = 503;
/// See `http::head::forwarded::NOT_HANDLED`.
const NOT_HANDLED_FIELDS: &str = "Mainstay-Not-Handled: 1\r\nRetry-After: 1\r\n";

/// A request as it goes to an instance.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The head, with the body when all of it was there.
    pub(crate) bytes: Vec<u8>,
    /// Of what is still to be sent.
    pub(crate) framing: Framing,
    /// Bytes of the body that `bytes` contains.
    pub(crate) body_taken: usize,
    pub(crate) upgrade: Option<String>,
    /// When what he has seen goes with him.
    pub(crate) visitor: Option<Visitor>,
}

/// Asks one ready instance after the other until one answers or no more may be asked.
pub(crate) async fn forward(
    worker: &Worker,
    view: &View,
    client: &mut Connection,
    outgoing: Outgoing,
    traits: Traits,
) -> Outcome {
    let snapshot = &view.state.snapshot;
    let body_limit = snapshot.target.limits.request_body;
    let mut request = Copy::new(outgoing.bytes, outgoing.framing, body_limit);
    let limit = u32::try_from(snapshot.instances.len())
        .unwrap_or(u32::MAX)
        .max(1);
    let (mut tried, mut fresh) = (Vec::new(), false);
    let visit = visit(worker, view, outgoing.visitor.as_ref());
    if let Some(visit) = &visit {
        visit.begin().await;
    }
    loop {
        let turn = worker.turn.replace(worker.turn.get().wrapping_add(1));
        let Some(index) = instance::choose(&snapshot.instances, turn, &tried) else {
            // Only harmless failures lead here: the balancer may ask another server.
            let text = "no instance of the app answers\n";
            return give_up(view, client, NOBODY, text, traits, &request).await;
        };
        let way = Way {
            index,
            fresh,
            upgrade: outgoing.upgrade.as_deref(),
            visit: visit.as_ref(),
        };
        let asked = attempt(view, client, &mut request, traits, way).await;
        let (fault, reused) = match asked {
            Ok(outcome) => return outcome,
            Err(failed) => failed,
        };
        let attempt = Attempt {
            sent: request.has_sent(),
            reused,
            idempotent: traits.idempotent,
            replayable: request.restart(),
            number: u32::try_from(tried.len())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
            limit,
        };
        match verdict(&attempt, &fault) {
            Verdict::TryFresh => fresh = true,
            Verdict::TryAnother => {
                tried.push(index);
                fresh = false;
            }
            Verdict::GiveUp => {
                if fault.side == Side::Upstream {
                    let name = snapshot
                        .instances
                        .get(index)
                        .map_or("", |it| it.name.as_str());
                    tracing::info!("instance {name}: {fault}");
                }
                let harmless = attempt.replayable && is_harmless(&attempt, &fault);
                let status = if harmless { NOBODY } else { fault.status() };
                let text = format!("{fault}\n");
                return give_up(view, client, status, &text, traits, &request).await;
            }
        }
    }
}

fn visit<'a>(
    worker: &'a Worker,
    view: &'a View,
    visitor: Option<&'a Visitor>,
) -> Option<Visit<'a>> {
    let visitors = view.state.snapshot.visitors.as_ref()?;
    Some(Visit {
        link: &worker.link,
        socket: &visitors.socket,
        signer: view.state.signer.as_ref()?,
        visitor: visitor?,
    })
}

/// How an instance is asked.
#[derive(Debug, Clone, Copy)]
struct Way<'a> {
    index: usize,
    /// Over a new connection.
    fresh: bool,
    upgrade: Option<&'a str>,
    visit: Option<&'a Visit<'a>>,
}

/// An error means that nothing was written to the client; with it, whether the connection was kept.
async fn attempt(
    view: &View,
    client: &mut Connection,
    request: &mut Copy,
    traits: Traits,
    way: Way<'_>,
) -> Result<Outcome, (Fault, bool)> {
    let limits = &view.state.snapshot.target.limits;
    let (Some(address), Some(pool)) = (
        view.state.addresses.get(way.index),
        view.pools.get(way.index),
    ) else {
        return Err((Fault::upstream(Phase::Connect, Kind::Closed), false));
    };
    if way.fresh {
        // One kept connection was dead: its neighbours are no better.
        pool.clear();
    }
    let mut upstream = match pool.checkout() {
        Some(kept) => kept,
        None => client::connect(address, &client.deadline, limits.connect)
            .await
            .map_err(|fault| (fault, false))?,
    };
    let reused = upstream.reused;
    let times = Times {
        response_head: limits.response_head,
        idle_body: limits.idle_body,
    };
    let manner = Manner {
        upgrade: way.upgrade,
        times,
        edit: None,
        late: way.visit.map(|visit| visit as &dyn Late),
        own: false,
    };
    let relayed = exchange::converse(client, &mut upstream, request, traits, &manner).await;
    let relayed = relayed.map_err(|fault| (fault, reused))?;
    if relayed.keep_upstream {
        pool.give_back(upstream, Instant::now());
    }
    Ok(Outcome {
        status: relayed.status,
        bytes: relayed.bytes,
        keep: relayed.keep_client,
    })
}

async fn give_up(
    view: &View,
    client: &mut Connection,
    status: u16,
    text: &str,
    traits: Traits,
    request: &Copy,
) -> Outcome {
    // What is left of a body stands before the next request.
    let keep = traits.keep && !request.has_body();
    let mut out = Vec::new();
    let extra = if status == NOBODY {
        NOT_HANDLED_FIELDS
    } else {
        ""
    };
    answer::text(status, extra, text, !traits.is_head, !keep, &mut out);
    let within = view.state.snapshot.target.limits.idle_body;
    let written = client.write_all(&out, within).await;
    if written.is_ok() && !keep {
        client.linger(LINGER_BYTES, LINGER).await;
    }
    Outcome {
        status,
        bytes: out.len() as u64,
        keep: keep && written.is_ok(),
    }
}
