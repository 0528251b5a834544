//! A request's turn: who is asked, after a wait when all have as much to do as they may.

use std::pin::pin;
use std::time::Instant;

use crate::backend::Backend;
use crate::choose::Choice;
use crate::choose::load::Load;
use crate::reason::Reason;
use crate::worker::Worker;

/// What a choice depends on; of a connection of TCP as of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Of `Algorithm::Hash`.
    pub(crate) key: u64,
    /// Whom the visitor's cookie names.
    pub(crate) bound: Option<usize>,
    /// Those who were asked before.
    pub(crate) tried: &'a [usize],
    pub(crate) has_body: bool,
}

/// A place at an endpoint. `gone`: the client has lost interest, which matters while it waits.
pub(crate) async fn turn<'b>(
    worker: &Worker,
    backend: &'b Backend,
    wanted: Wanted<'_>,
    gone: impl Future<Output = ()>,
) -> Result<Place<'b>, Reason> {
    let none = match wanted.tried {
        [] => Reason::NoEndpoint,
        _ => Reason::EndpointsTried,
    };
    let mut choice = if backend.somebody_waits() {
        Choice::Full
    } else {
        backend.choose(worker, wanted)
    };
    // Only who waits looks at the clock.
    if let Choice::Endpoint(index) = choice {
        return Ok(Place::taken(backend, index));
    }
    let since = Instant::now();
    let mut gone = pin!(gone);
    let mut call = None;
    loop {
        match choice {
            Choice::Endpoint(index) => return Ok(Place::taken(backend, index)),
            Choice::Nobody => {
                if let Some(call) = call {
                    backend.kept.room.pass(call);
                }
                return Err(none);
            }
            Choice::Full => {
                let timeout = backend.target.queue.timeout.saturating_sub(since.elapsed());
                // A place that became free between the look and the wait called nobody.
                let is_free = || backend.has_room(worker, wanted);
                let room = &backend.kept.room;
                let waited = room.wait(wanted.has_body, call, timeout, is_free);
                // In this order: who is in the queue passes on what he was called for.
                call = tokio::select! {
                    biased;
                    called = waited => Some(called?),
                    () = &mut gone => return Err(Reason::ClientGone),
                };
                choice = backend.choose(worker, wanted);
            }
        }
    }
}

/// A request's place at an endpoint, left when it is dropped: also when a client goes in the middle of
/// its request.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) index: usize,
    backend: &'a Backend,
    load: Option<&'a Load>,
}

impl<'a> Place<'a> {
    /// The one that `Backend::choose` has taken.
    pub(crate) fn taken(backend: &'a Backend, index: usize) -> Self {
        let load = backend.loads.get(index).map(|load| &**load);
        Self {
            index,
            backend,
            load,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(load) = self.load {
            load.open.leave();
            self.backend.freed();
        }
    }
}
