//! The lock around a backend's queue. Requests of all threads wait in one order, so that nobody is
//! overtaken because he came by another thread. Taken only when a backend has a bound and is at it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::queue::{Called, Ticket, Waiting};
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
    bells: HashMap<Ticket, oneshot::Sender<Call>>,
    /// Places that have become free: the number of the last.
    free: u64,
}

/// It is somebody's turn: there is room at an endpoint, which may not be one for him.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    called: Called,
    free: u64,
}

impl Default for WaitingRoom {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            inside: Mutex::new(Inside {
                waiting: Waiting::new(0, Duration::ZERO),
                bells: HashMap::new(),
                free: 0,
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

    /// Waits until it is this request's turn to look for an endpoint again; `former`: its last turn, which
    /// was of no use to it, and is passed on. `is_free`: whether there is room for it after all, asked
    /// when it has its place in the queue: whoever leaves an endpoint from then on calls, and who left
    /// before called nobody.
    pub(crate) async fn wait(
        &self,
        has_body: bool,
        former: Option<Call>,
        timeout: Duration,
        is_free: impl FnOnce() -> bool,
    ) -> Result<Call, Reason> {
        let (ring, mut bell) = oneshot::channel();
        let ticket = {
            let mut inside = self.lock();
            let ticket = match former {
                Some(Call { called, free }) => {
                    inside.waiting.back(called, free);
                    called.ticket
                }
                None => inside.waiting.join(has_body, self.start.elapsed())?,
            };
            inside.bells.insert(ticket, ring);
            ticket
        };
        // Also when the client goes while it waits.
        let mut place = Place {
            room: self,
            ticket,
            called: false,
        };
        if let Some(call) = former {
            self.pass(call);
        }
        if is_free() {
            self.call();
        }
        let called = match tokio::time::timeout(timeout, &mut bell).await {
            Ok(Ok(call)) => Some(call),
            // Called at the last moment is called: the free place is his.
            _ => bell.try_recv().ok(),
        };
        place.called = called.is_some();
        called.ok_or(Reason::QueueTimeout)
    }

    /// An endpoint has room: whose turn it is may look.
    pub(crate) fn call(&self) {
        let mut inside = self.lock();
        inside.free += 1;
        let free = inside.free;
        inside.ring(free, self.start.elapsed());
    }

    /// The turn is another's, since the one who had it cannot use it.
    pub(crate) fn pass(&self, call: Call) {
        self.lock().ring(call.free, self.start.elapsed());
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn ring(&mut self, free: u64, now: Duration) {
        while let Some(called) = self.waiting.call(now, free) {
            let bell = self.bells.remove(&called.ticket);
            let rung = bell.map(|bell| bell.send(Call { called, free }));
            if rung == Some(Ok(())) {
                return;
            }
        }
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
        let mut first = Box::pin(room.wait(false, None, Duration::from_secs(60), || false));
        let mut second = Box::pin(room.wait(false, None, Duration::from_secs(60), || false));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(cx).is_pending());
        assert!(second.as_mut().poll(cx).is_pending());
        let third = room
            .wait(false, None, Duration::from_secs(60), || false)
            .await;
        assert_eq!(third, Err(Reason::QueueFull));
        room.call();
        drop(first);
        assert!(second.await.is_ok());
        assert_eq!(room.len(), 0);
    }

    /// The only one at the endpoint leaves it between another's look and his wait.
    #[tokio::test]
    async fn who_comes_when_it_has_become_free_does_not_wait() {
        let room = WaitingRoom::default();
        room.resize(2, Duration::from_secs(60));
        room.call();
        let waited = room
            .wait(false, None, Duration::from_secs(60), || true)
            .await;
        assert!(waited.is_ok());
    }

    /// The first is bound to an endpoint that is still full.
    #[tokio::test]
    async fn who_has_no_use_for_his_turn_passes_it_on_and_waits_in_front() {
        let room = WaitingRoom::default();
        room.resize(9, Duration::from_secs(60));
        let cx = &mut Context::from_waker(Waker::noop());
        let wait = |former| Box::pin(room.wait(false, former, Duration::from_secs(60), || false));
        let (mut first, mut second, mut third) = (wait(None), wait(None), wait(None));
        assert!(first.as_mut().poll(cx).is_pending());
        assert!(second.as_mut().poll(cx).is_pending());
        assert!(third.as_mut().poll(cx).is_pending());
        room.call();
        let mut first = wait(Some(first.await.unwrap()));
        assert!(first.as_mut().poll(cx).is_pending());
        second.await.unwrap();
        assert!(third.as_mut().poll(cx).is_pending());
        room.call();
        first.await.unwrap();
        assert!(third.as_mut().poll(cx).is_pending());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told() {
        let room = WaitingRoom::default();
        room.resize(2, Duration::from_secs(1));
        let waited = room
            .wait(true, None, Duration::from_secs(1), || false)
            .await;
        assert_eq!(waited, Err(Reason::QueueTimeout));
        assert_eq!(room.len(), 0);
    }
}
