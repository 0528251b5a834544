//! The lock around a backend's queue. Requests of all threads wait in one order, so that nobody is
//! overtaken because he came by another thread. Taken only when a backend has a bound and is at it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::queue::{Ticket, Waiting};
use crate::reason::Reason;

/// Those who wait.
#[derive(Debug)]
pub(crate) struct WaitingRoom {
    start: Instant,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    waiting: Waiting,
    /// They ring with the first ticket that is not meant: see `pass`.
    bells: HashMap<Ticket, oneshot::Sender<Ticket>>,
}

impl Default for WaitingRoom {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            inside: Mutex::new(Inside {
                waiting: Waiting::new(0, Duration::ZERO),
                bells: HashMap::new(),
            }),
        }
    }
}

impl WaitingRoom {
    pub(crate) fn resize(&self, size: u32, timeout: Duration) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.lock().waiting.resize(size, timeout);
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Waits until it is this request's turn to look for an endpoint again. `is_free`: whether there is
    /// room for it after all, asked when it has its place in the queue: whoever leaves an endpoint from
    /// then on calls, and who left before called nobody. The value is for `pass`.
    pub(crate) async fn wait(
        &self,
        has_body: bool,
        timeout: Duration,
        is_free: impl FnOnce() -> bool,
    ) -> Result<Ticket, Reason> {
        let (ring, mut bell) = oneshot::channel();
        let ticket = {
            let mut inside = self.lock();
            let ticket = inside.waiting.join(has_body, self.start.elapsed())?;
            inside.bells.insert(ticket, ring);
            ticket
        };
        // Also when the client goes while it waits.
        let mut place = Place {
            room: self,
            ticket,
            called: false,
        };
        if is_free() {
            self.call();
        }
        let called = tokio::time::timeout(timeout, &mut bell).await;
        // Called at the last moment is called: the free place is his.
        let called = called.ok().and_then(Result::ok).or(bell.try_recv().ok());
        place.called = called.is_some();
        called.ok_or(Reason::QueueTimeout)
    }

    /// An endpoint has room: whose turn it is may look.
    pub(crate) fn call(&self) {
        let limit = self.lock().waiting.next_ticket();
        self.pass(limit);
    }

    /// Who was called cannot use what has become free (he is bound to another endpoint, or has tried
    /// this one): for the next of those who waited then. Not for those who came since, so that it ends.
    pub(crate) fn pass(&self, limit: Ticket) {
        let mut inside = self.lock();
        while let Some(ticket) = inside.waiting.call_before(limit, self.start.elapsed()) {
            let rung = inside.bells.remove(&ticket).map(|bell| bell.send(limit));
            if rung == Some(Ok(())) {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, given up when it is dropped.
struct Place<'a> {
    room: &'a WaitingRoom,
    ticket: Ticket,
    called: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let (left, bell) = {
            let mut inside = self.room.lock();
            let left = inside.waiting.leave(self.ticket);
            (left, inside.bells.remove(&self.ticket))
        };
        // Called, and gone without having used it: the next one's.
        if !left && bell.is_none() && !self.called {
            self.room.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn who_is_called_goes_and_who_gives_up_calls_the_next() {
        let room = WaitingRoom::default();
        room.resize(2, Duration::from_secs(60));
        let mut first = Box::pin(room.wait(false, Duration::from_secs(60), || false));
        let mut second = Box::pin(room.wait(false, Duration::from_secs(60), || false));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(cx).is_pending());
        assert!(second.as_mut().poll(cx).is_pending());
        let third = room.wait(false, Duration::from_secs(60), || false).await;
        assert_eq!(third, Err(Reason::QueueFull));
        room.call();
        drop(first);
        assert!(second.await.is_ok());
        assert_eq!(room.len(), 0);
    }

    #[tokio::test]
    async fn who_cannot_use_it_passes_it_on_but_not_in_a_circle() {
        let room = WaitingRoom::default();
        room.resize(3, Duration::from_secs(60));
        let wait = || Box::pin(room.wait(false, Duration::from_secs(60), || false));
        let (mut first, mut second) = (wait(), wait());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(cx).is_pending());
        assert!(second.as_mut().poll(cx).is_pending());
        room.call();
        let called = first.await.unwrap();
        let mut again = wait();
        assert!(again.as_mut().poll(cx).is_pending());
        room.pass(called);
        let called = second.await.unwrap();
        room.pass(called);
        assert!(again.as_mut().poll(cx).is_pending());
    }

    /// The only one at the endpoint leaves it between another's look and his wait.
    #[tokio::test]
    async fn who_comes_when_it_has_become_free_does_not_wait() {
        let room = WaitingRoom::default();
        room.resize(2, Duration::from_secs(60));
        room.call();
        let waited = room.wait(false, Duration::from_secs(60), || true).await;
        assert!(waited.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told() {
        let room = WaitingRoom::default();
        room.resize(2, Duration::from_secs(1));
        let waited = room.wait(true, Duration::from_secs(1), || false).await;
        assert_eq!(waited, Err(Reason::QueueTimeout));
        assert_eq!(room.len(), 0);
    }
}
