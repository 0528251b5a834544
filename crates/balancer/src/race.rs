//! A read that has no answer after a while is asked of a second endpoint too, and the one that answers
//! first is listened to (`hedge` says when). The other connection is closed: what it would still say is
//! of no use.

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
use crate::upstream::Connecting;

/// The one that answers: which endpoint, and the connection with the beginning of its answer.
#[derive(Debug)]
pub(crate) struct Winner {
    pub(crate) index: usize,
    pub(crate) upstream: Upstream,
}

/// Asks endpoint `first` and, when it takes longer than `after`, another one. The places of both are
/// taken; that of the one that is not listened to is left. On an error it is the first's that stays taken.
pub(crate) async fn race(
    exchange: &Exchange<'_>,
    backend: &Backend,
    prepared: &Prepared,
    request: &[u8],
    first: usize,
    after: Duration,
) -> Result<Winner, Failed> {
    let since = Instant::now();
    let route = exchange.view.state.rules.routes.get(prepared.route);
    let patience = route.map_or(after, |route| route.response_head);
    let mut one = asked(exchange, backend, prepared.backend, first, request).await?;
    let deadline = &exchange.client.deadline;
    deadline.set(patience);
    let failed = |fault, reused| Failed { fault, reused };
    let reused = one.reused;
    tokio::select! {
        begun = client::begins(&mut one, deadline) => {
            return begun
                .map(|()| Winner { index: first, upstream: one })
                .map_err(|fault| failed(fault, reused));
        }
        () = tokio::time::sleep(after.saturating_sub(since.elapsed())) => {}
    }
    let second = second(exchange, backend, prepared, first, after, since);
    let other = match second {
        None => None,
        Some(index) => match asked(exchange, backend, prepared.backend, index, request).await {
            Ok(other) => Some((index, other)),
            Err(_) => {
                leave(backend, index);
                None
            }
        },
    };
    deadline.set(patience);
    let Some((index, mut other)) = other else {
        let begun = client::begins(&mut one, deadline).await;
        return begun
            .map(|()| Winner {
                index: first,
                upstream: one,
            })
            .map_err(|fault| failed(fault, reused));
    };
    let (first_begun, second_begun) = tokio::select! {
        begun = client::begins(&mut one, deadline) => (Some(begun), None),
        begun = client::begins(&mut other, deadline) => (None, Some(begun)),
    };
    // One that fails leaves the other its chance.
    let (first_won, fault) = match (first_begun, second_begun) {
        (Some(Ok(())), _) => (true, None),
        (_, Some(Ok(()))) => (false, None),
        (Some(Err(fault)), _) => (
            false,
            client::begins(&mut other, deadline)
                .await
                .err()
                .map(|_| fault),
        ),
        (_, Some(Err(_))) => (true, client::begins(&mut one, deadline).await.err()),
        (None, None) => (
            true,
            Some(Fault::upstream(Phase::ResponseHead, Kind::Closed)),
        ),
    };
    match (fault, first_won) {
        (Some(fault), _) => {
            leave(backend, index);
            Err(failed(fault, reused))
        }
        (None, true) => {
            leave(backend, index);
            Ok(Winner {
                index: first,
                upstream: one,
            })
        }
        (None, false) => {
            leave(backend, first);
            Ok(Winner {
                index,
                upstream: other,
            })
        }
    }
}

/// Who is asked as well; his place is taken.
fn second(
    exchange: &Exchange<'_>,
    backend: &Backend,
    prepared: &Prepared,
    first: usize,
    after: Duration,
    since: Instant,
) -> Option<usize> {
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
    let worker = exchange.worker;
    let percent = backend.target.retries.budget_percent;
    let Choice::Endpoint(index) = backend.choose(worker, prepared.key, None, &[first]) else {
        return None;
    };
    if !backend.kept.budget.retry(worker.seconds(), percent) {
        leave(backend, index);
        return None;
    }
    Some(index)
}

fn leave(backend: &Backend, index: usize) {
    if let Some(load) = backend.loads.get(index) {
        load.open.leave();
        backend.freed();
    }
}

/// A connection to the endpoint over which the request was sent.
async fn asked(
    exchange: &Exchange<'_>,
    backend: &Backend,
    number: usize,
    index: usize,
    request: &[u8],
) -> Result<Upstream, Failed> {
    let view = Rc::clone(exchange.view);
    let lost = Fault::upstream(Phase::Connect, Kind::Closed);
    let kept = view.upstream(number, index).ok_or(Failed {
        fault: lost,
        reused: false,
    })?;
    let deadline = &exchange.client.deadline;
    let connecting = Connecting {
        backend,
        index,
        peer: exchange.peer.address,
        within: view.state.target.limits.connect,
        deadline,
    };
    let mut upstream = connecting.connection(kept, false).await?;
    let reused = upstream.reused;
    deadline.set(view.state.target.limits.idle_body);
    client::send(&mut upstream, request, deadline)
        .await
        .map_err(|fault| Failed { fault, reused })?;
    Ok(upstream)
}
