//! Idle connections of one thread to one upstream. The one used last is taken first: the others grow old
//! and are closed, so the pool shrinks to what is needed.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::client::Upstream;
use crate::limits;

/// Longer than any keep-alive our own servers offer would only collect closed connections.
const IDLE: Duration = Duration::from_secs(55);

/// The connections.
#[derive(Debug, Default)]
pub struct Pool {
    idle: RefCell<Vec<(Upstream, Instant)>>,
}

impl Pool {
    /// A connection that is open as far as we know.
    pub fn checkout(&self) -> Option<Upstream> {
        let mut idle = self.idle.borrow_mut();
        while let Some((mut upstream, _)) = idle.pop() {
            if !upstream.stream.is_stale() {
                return Some(upstream);
            }
        }
        None
    }

    /// Keeps a connection whose last exchange is complete on both sides.
    pub fn give_back(&self, mut upstream: Upstream, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        // Bytes that nobody asked for: the next response would be the wrong one.
        if upstream.buffer.is_empty() && idle.len() < limits::IDLE_PER_UPSTREAM {
            upstream.reused = true;
            upstream.buffer.release();
            idle.push((upstream, now));
        }
    }

    /// Closes what is old or was closed by the other side.
    pub fn sweep(&self, now: Instant) {
        self.idle.borrow_mut().retain_mut(|(upstream, since)| {
            now.duration_since(*since) < IDLE && !upstream.stream.is_stale()
        });
    }

    /// Closes all: the upstream is gone, or is not to be used.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
    }
}
