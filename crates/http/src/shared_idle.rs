//! Idle connections to one upstream that their threads have had no use for: taken by a thread that has
//! none of its own. Behind a lock, which is asked for in the sweep and where otherwise a connection would
//! be opened; never on the way of a request that has one, never across an `await`.
//!
//! Also what all threads together are allowed to keep, and what they have made of it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_rustls::TlsStream;

use crate::buffer::Buffer;
use crate::client::Upstream;
use crate::limits;
use crate::parked::Parked;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::tls::transport::Transport;

/// How often closed connections are looked for here.
const SWEEP: Duration = Duration::from_secs(1);

/// What may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Idle connections to one upstream, of all threads together. Each thread may keep one, whatever
    /// this says, unless it is 0.
    pub idle: usize,
    /// Longer than this nobody keeps one.
    pub age: Duration,
}

impl Default for Keep {
    /// 55 s: longer than any keep-alive our own servers offer would only collect closed connections.
    fn default() -> Self {
        Self {
            idle: limits::IDLE_PER_UPSTREAM,
            age: Duration::from_secs(55),
        }
    }
}

/// Where the connections of requests came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reuse {
    /// The thread had one.
    pub own: u64,
    /// It took over one of another thread.
    pub taken_over: u64,
    /// It had to open one.
    pub new: u64,
}

/// One upstream's, of all threads.
#[derive(Debug)]
pub struct SharedIdle {
    keep: Keep,
    /// Shares of `keep.idle`: each thread's, and of what is here.
    each: usize,
    here: usize,
    idle: Mutex<Idle>,
    /// Its length, to be looked at without the lock.
    length: AtomicUsize,
    own: AtomicU64,
    taken_over: AtomicU64,
    new: AtomicU64,
}

#[derive(Debug)]
struct Idle {
    /// The one left last is at the end, and is taken first.
    left: Vec<(Left, Instant)>,
    swept: Instant,
}

/// A connection of no thread.
#[derive(Debug)]
enum Left {
    Plain(Parked),
    Tls(Box<TlsStream<Transport>>),
}

impl SharedIdle {
    /// `threads`: how many will share it.
    pub fn new(keep: Keep, threads: usize, now: Instant) -> Self {
        let (each, here) = shares(keep.idle, threads.max(1));
        Self {
            keep,
            each,
            here,
            idle: Mutex::new(Idle {
                left: Vec::new(),
                swept: now,
            }),
            length: AtomicUsize::new(0),
            own: AtomicU64::new(0),
            taken_over: AtomicU64::new(0),
            new: AtomicU64::new(0),
        }
    }

    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// What one thread may keep for itself.
    pub(crate) fn each(&self) -> usize {
        self.each
    }

    /// A sweep old at most.
    pub fn reuse(&self) -> Reuse {
        Reuse {
            own: self.own.load(Relaxed),
            taken_over: self.taken_over.load(Relaxed),
            new: self.new.load(Relaxed),
        }
    }

    pub(crate) fn count(&self, own: u64, new: u64) {
        self.own.fetch_add(own, Relaxed);
        self.new.fetch_add(new, Relaxed);
    }

    /// How many more would be taken.
    pub(crate) fn room(&self) -> usize {
        self.here.saturating_sub(self.length.load(Relaxed))
    }

    /// Leaves one that is open, idle since `since`. Without room it is closed, as when it cannot be moved.
    pub(crate) fn leave(&self, upstream: Upstream, since: Instant) {
        if self.room() == 0 {
            return;
        }
        let Some(left) = Left::new(upstream.stream) else {
            return;
        };
        let mut idle = self.lock();
        if idle.left.len() < self.here {
            idle.left.push((left, since));
        }
        self.length.store(idle.left.len(), Relaxed);
    }

    /// Takes over one that is open.
    pub(crate) fn take(&self, now: Instant) -> Option<Upstream> {
        while self.length.load(Relaxed) > 0 {
            let (left, since) = {
                let mut idle = self.lock();
                let taken = idle.left.pop();
                self.length.store(idle.left.len(), Relaxed);
                taken?
            };
            let fresh = now.duration_since(since) < self.keep.age && left.is_quiet();
            if let Some(stream) = Some(left).filter(|_| fresh).and_then(Left::wake) {
                self.taken_over.fetch_add(1, Relaxed);
                return Some(Upstream {
                    stream,
                    buffer: Buffer::new(),
                    reused: true,
                });
            }
        }
        None
    }

    /// Closes what is old or was closed by the other side; one thread does it for all.
    pub(crate) fn sweep(&self, now: Instant) {
        if self.length.load(Relaxed) == 0 {
            return;
        }
        let mut idle = self.lock();
        if now.duration_since(idle.swept) < SWEEP {
            return;
        }
        idle.swept = now;
        let age = self.keep.age;
        idle.left
            .retain(|(left, since)| now.duration_since(*since) < age && left.is_quiet());
        self.length.store(idle.left.len(), Relaxed);
    }

    pub(crate) fn clear(&self) {
        if self.length.load(Relaxed) > 0 {
            let mut idle = self.lock();
            idle.left.clear();
            self.length.store(0, Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Three quarters are divided among the threads, the rest is for what they do not need. Fixed shares and
/// not one common count: that would be a line of memory fought over twice per request.
fn shares(idle: usize, threads: usize) -> (usize, usize) {
    if idle == 0 {
        return (0, 0);
    }
    let each = (idle - idle / 4) / threads;
    (each.max(1), idle.saturating_sub(each.max(1) * threads))
}

impl Left {
    /// `None`: it cannot be moved, and is closed.
    fn new(stream: Stream) -> Option<Self> {
        let socket: Socket = match stream {
            Stream::Tcp(stream) => stream.into(),
            Stream::Unix(stream) => stream.into(),
            Stream::Tls(mut stream) => {
                stream.get_mut().0.park().ok()?;
                return Some(Self::Tls(stream));
            }
            // Parts of a connection that stays where it is.
            Stream::H2Served(_) | Stream::H2Asked(_) => return None,
        };
        Parked::new(socket).ok().map(Self::Plain)
    }

    fn is_quiet(&self) -> bool {
        match self {
            Self::Plain(parked) => parked.is_quiet(),
            Self::Tls(stream) => stream.get_ref().0.is_quiet(),
        }
    }

    fn wake(self) -> Option<Stream> {
        match self {
            Self::Plain(parked) => Some(parked.wake().ok()?.into_plain().0),
            Self::Tls(mut stream) => {
                stream.get_mut().0.wake().ok()?;
                Some(Stream::Tls(stream))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn shares_keep_the_sum() {
        assert_eq!(shares(256, 2), (96, 64));
        assert_eq!(shares(256, 64), (3, 64));
        assert_eq!(shares(0, 4), (0, 0));
        // One for each thread, and none in common.
        assert_eq!(shares(2, 4), (1, 0));
        for idle in 4..100 {
            let (each, here) = shares(idle, 4);
            assert!(each * 4 + here <= idle, "{idle}");
        }
    }
}
