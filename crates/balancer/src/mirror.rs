//! Copies of requests to a second backend, whose answers nobody reads: to try a new version with real
//! traffic. A copy never delays or fails its original: it has a task and time limits of its own, and
//! when too many are under way it is left out.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::client;

use crate::backend::Backend;
use crate::choose::Choice;
use crate::turn::{Place, Wanted};
use crate::upstream::Connecting;
use crate::worker::{View, Worker};

/// Copies of one thread under way (no source; each holds a connection and its head).
const MOST: usize = 256;
/// From the beginning to the head of the answer.
const WITHIN: Duration = Duration::from_secs(10);

/// Sends `head`, a request without a body, to an endpoint of the backend.
pub(crate) fn send(worker: &Rc<Worker>, view: &Rc<View>, backend: usize, head: &[u8]) {
    let Some(permit) = worker.mirrored(MOST) else {
        return;
    };
    let (worker, view, head) = (Rc::clone(worker), Rc::clone(view), head.to_vec());
    // Ends by itself within `WITHIN`.
    tokio::task::spawn_local(async move {
        if let Some(of) = view.backend(backend) {
            copy(&worker, &view, backend, of, &head).await;
        }
        drop(permit);
    });
}

async fn copy(worker: &Worker, view: &View, number: usize, backend: &Backend, head: &[u8]) {
    let wanted = Wanted {
        key: 0,
        bound: None,
        tried: &[],
        has_body: false,
    };
    let Choice::Endpoint(index) = backend.choose(worker, wanted) else {
        return;
    };
    let _place = Place::taken(backend, index);
    let deadline = worker.watch.deadline();
    let nobody = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    let connecting = Connecting {
        backend,
        index,
        peer: nobody,
        destination: nobody,
        within: WITHIN,
        deadline: &deadline,
    };
    let started = Instant::now();
    if let Some(kept) = view.upstream(number, index)
        && let Ok(upstream) = connecting.connection(kept, false).await
    {
        deadline.set(WITHIN);
        let asked = client::ask_over(upstream, head, &deadline).await;
        let counts = backend
            .endpoints
            .get(index)
            .and_then(|endpoint| endpoint.counters.counts.get(worker.index));
        match (asked, counts) {
            (Ok((upstream, length)), Some(counts)) => {
                let status = upstream.buffer.filled().get(9..12.min(length));
                let status = status.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
                counts.add(status.unwrap_or(0), started.elapsed(), 0);
            }
            (Err(fault), _) => tracing::debug!("a copy to {}: {fault}", backend.target.name),
            _ => {}
        }
    }
}
