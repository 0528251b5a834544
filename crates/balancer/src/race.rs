//! A read that has no answer after a while is asked of a second endpoint too, and the one that answers
//! first is listened to (`hedge` says when). The other connection is closed: what it would still say is
//! of no use.

use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::client::{self, Upstream};
use http::{Fault, Kind, Phase};

use crate::attempt::Failed;
use crate::backend::Backend;
use crate::choose::Choice;
use crate::exchange::Exchange;
use crate::hedge::{self, Asked};
use crate::prepare::Prepared;
use crate::turn::{Place, Wanted};
use crate::upstream::Connecting;

/// An endpoint that was asked: its place, and the connection with the beginning of its answer.
#[derive(Debug)]
pub(crate) struct Runner<'b> {
    pub(crate) place: Place<'b>,
    pub(crate) upstream: Upstream,
}

/// Asks the endpoint of `first` and, when it takes longer than `after`, another one. The value is the one
/// that answers first. The error is the first one's.
pub(crate) async fn race<'b>(
    exchange: &Exchange<'_>,
    backend: &'b Backend,
    prepared: &Prepared,
    request: &[u8],
    first: Place<'b>,
    after: Duration,
) -> Result<Runner<'b>, Failed> {
    let since = Instant::now();
    let route = exchange.view.state.rules.routes.get(prepared.route);
    let patience = route.map_or(after, |route| route.response_head);
    let deadline = &exchange.client.deadline;
    let mut one = start(exchange, backend, prepared.backend, request, first).await?;
    let reused = one.upstream.reused;
    let failed = |fault| Failed { fault, reused };
    deadline.set(patience);
    tokio::select! {
        begun = client::begins(&mut one.upstream, deadline) => {
            return begun.map(|()| one).map_err(failed);
        }
        () = tokio::time::sleep(after.saturating_sub(since.elapsed())) => {}
    }
    let second = match second(exchange, backend, prepared, &one.place, after, since) {
        None => None,
        Some(place) => {
            let number = prepared.backend;
            let mut start = pin!(start(exchange, backend, number, request, place));
            // The first may answer while nobody answers at the second. Biased: when the second's time to
            // connect is over, that is not the first's.
            tokio::select! {
                biased;
                started = &mut start => started.ok(),
                begun = client::begins(&mut one.upstream, deadline) => match begun {
                    Ok(()) => return Ok(one),
                    Err(fault) => {
                        let Ok(mut two) = start.await else {
                            return Err(failed(fault));
                        };
                        deadline.set(patience);
                        let begun = client::begins(&mut two.upstream, deadline).await;
                        return begun.map(|()| two).map_err(|_| failed(fault));
                    }
                },
            }
        }
    };
    deadline.set(patience);
    let Some(mut two) = second else {
        let begun = client::begins(&mut one.upstream, deadline).await;
        return begun.map(|()| one).map_err(failed);
    };
    // One that fails leaves the other its chance.
    tokio::select! {
        begun = client::begins(&mut one.upstream, deadline) => match begun {
            Ok(()) => Ok(one),
            Err(fault) => match client::begins(&mut two.upstream, deadline).await {
                Ok(()) => Ok(two),
                Err(_) => Err(failed(fault)),
            },
        },
        begun = client::begins(&mut two.upstream, deadline) => match begun {
            Ok(()) => Ok(two),
            Err(_) => {
                let begun = client::begins(&mut one.upstream, deadline).await;
                begun.map(|()| one).map_err(failed)
            }
        },
    }
}

/// Who is asked as well.
fn second<'b>(
    exchange: &Exchange<'_>,
    backend: &'b Backend,
    prepared: &Prepared,
    first: &Place<'_>,
    after: Duration,
    since: Instant,
) -> Option<Place<'b>> {
    let asked = Asked {
        method: if prepared.is_read { "GET" } else { "POST" },
        has_body: prepared.has_body,
        upgrade: prepared.upgrade.is_some(),
        after: Some(after),
        waited: since.elapsed(),
        answered: false,
        hedged: false,
    };
    hedge::may(&asked).ok()?;
    let (worker, percent) = (exchange.worker, backend.target.retries.budget_percent);
    let wanted = Wanted {
        key: prepared.key,
        bound: None,
        tried: &[first.index],
        has_body: false,
    };
    let Choice::Endpoint(index) = backend.choose(worker, wanted) else {
        return None;
    };
    let place = Place::taken(backend, index);
    backend
        .kept
        .budget
        .retry(worker.seconds(), percent)
        .then_some(place)
}

/// Sends the request to the endpoint of the place.
async fn start<'b>(
    exchange: &Exchange<'_>,
    backend: &'b Backend,
    number: usize,
    request: &[u8],
    place: Place<'b>,
) -> Result<Runner<'b>, Failed> {
    let view = Rc::clone(exchange.view);
    let kept = view.upstream(number, place.index).ok_or(Failed {
        fault: Fault::upstream(Phase::Connect, Kind::Closed),
        reused: false,
    })?;
    let deadline = &exchange.client.deadline;
    let connecting = Connecting {
        backend,
        index: place.index,
        peer: exchange.peer.address,
        destination: exchange.peer.destination,
        within: view.state.target.limits.connect,
        deadline,
    };
    let mut upstream = connecting.connection(kept, false).await?;
    let reused = upstream.reused;
    deadline.set(view.state.target.limits.idle_body);
    client::send(&mut upstream, request, deadline)
        .await
        .map_err(|fault| Failed { fault, reused })?;
    Ok(Runner { place, upstream })
}
