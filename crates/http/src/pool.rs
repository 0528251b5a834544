//! Idle connections of one thread to one upstream. The one used last is taken first: the others grow old,
//! are left to other threads, and at last are closed, so the pool shrinks to what is needed.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use crate::client::Upstream;
use crate::shared_idle::{Keep, SharedIdle};

/// The connections.
#[derive(Debug)]
pub struct Pool {
    idle: RefCell<Vec<(Upstream, Instant)>>,
    /// The fewest there were since the last sweep: so many nobody has needed.
    fewest: Cell<usize>,
    /// Since the last sweep: requests that found one here, and requests that had to open one.
    own: Cell<u64>,
    new: Cell<u64>,
    shared: Arc<SharedIdle>,
}

impl Default for Pool {
    /// Of a thread that shares with nobody.
    fn default() -> Self {
        let shared = SharedIdle::new(Keep::default(), 1, Instant::now());
        Self::new(Arc::new(shared))
    }
}

impl Pool {
    pub fn new(shared: Arc<SharedIdle>) -> Self {
        Self {
            idle: RefCell::default(),
            fewest: Cell::new(0),
            own: Cell::new(0),
            new: Cell::new(0),
            shared,
        }
    }

    /// With whom it shares.
    pub fn shared(&self) -> &Arc<SharedIdle> {
        &self.shared
    }

    /// A connection that is open as far as we know: of this thread, or one that another has left. `None`
    /// is counted as a connection to be opened.
    pub fn checkout(&self) -> Option<Upstream> {
        let mut idle = self.idle.borrow_mut();
        while let Some((mut upstream, _)) = idle.pop() {
            self.fewest.set(self.fewest.get().min(idle.len()));
            if !upstream.stream.is_stale() {
                self.own.set(self.own.get() + 1);
                return Some(upstream);
            }
        }
        let taken = self.shared.take(Instant::now());
        if taken.is_none() {
            self.new.set(self.new.get() + 1);
        }
        taken
    }

    /// Keeps a connection whose last exchange is complete on both sides.
    pub fn give_back(&self, mut upstream: Upstream, now: Instant) {
        // Bytes that nobody asked for: the next response would be the wrong one.
        if !upstream.buffer.is_empty() {
            return;
        }
        upstream.reused = true;
        upstream.buffer.release();
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.shared.each() {
            idle.push((upstream, now));
        } else {
            self.shared.leave(upstream, now);
        }
    }

    /// Closes what is old or was closed by the other side, and leaves to other threads what was not
    /// needed since the last sweep, but for one.
    pub fn sweep(&self, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        let age = self.shared.keep().age;
        idle.retain_mut(|(upstream, since)| {
            now.duration_since(*since) < age && !upstream.stream.is_stale()
        });
        let unneeded = self.fewest.get().min(idle.len()).saturating_sub(1);
        for (upstream, since) in idle.drain(..unneeded.min(self.shared.room())) {
            self.shared.leave(upstream, since);
        }
        self.fewest.set(idle.len());
        self.shared.sweep(now);
        self.shared.count(self.own.take(), self.new.take());
    }

    /// Closes all, also what was left by others: the upstream is gone, or is not to be used.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.shared.clear();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.count(self.own.take(), self.new.take());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::buffer::Buffer;
    use crate::shared_idle::Reuse;
    use crate::stream::Stream;

    const KEEP: Keep = Keep {
        idle: 8,
        age: Duration::from_secs(10),
    };

    async fn pair() -> (Upstream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(to), listener.accept());
        let upstream = Upstream {
            stream: Stream::Tcp(ours.unwrap()),
            buffer: Buffer::new(),
            reused: false,
        };
        (upstream, theirs.unwrap().0)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn what_one_thread_does_not_need_another_takes_over() {
        let now = Instant::now();
        let shared = Arc::new(SharedIdle::new(KEEP, 2, now));
        let mine = Arc::clone(&shared);
        // The threads that had them are gone with their runtimes; the connections are not.
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let pool = Pool::new(mine);
                let mut theirs = Vec::new();
                for _ in 0..3 {
                    let (upstream, other) = pair().await;
                    pool.give_back(upstream, now);
                    theirs.push(other.into_std().unwrap());
                }
                // All three are idle from here on.
                pool.sweep(now);
                assert_eq!(pool.shared.room(), 2);
                pool.sweep(now);
                assert_eq!(pool.shared.room(), 0);
                assert!(pool.checkout().is_some());
                theirs
            })
        });
        let theirs = thread.join().unwrap();
        runtime().block_on(async {
            let pool = Pool::new(Arc::clone(&shared));
            let (Some(one), Some(two)) = (pool.checkout(), pool.checkout()) else {
                panic!()
            };
            assert!(pool.checkout().is_none());
            pool.give_back(one, now);
            assert!(pool.checkout().is_some());
            // The last left is the first taken; it works in this runtime.
            let Stream::Tcp(stream) = &two.stream else {
                panic!()
            };
            let mut other = TcpStream::from_std(theirs.into_iter().next().unwrap()).unwrap();
            stream.writable().await.unwrap();
            stream.try_write(b"hi").unwrap();
            let mut got = [0; 2];
            other.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"hi");
            drop(pool);
            let expected = Reuse {
                own: 2,
                taken_over: 2,
                new: 1,
            };
            assert_eq!(shared.reuse(), expected);
        });
    }

    #[tokio::test]
    async fn what_is_in_use_stays_and_the_bounds_hold() {
        let now = Instant::now();
        let shared = Arc::new(SharedIdle::new(KEEP, 1, now));
        let pool = Pool::new(Arc::clone(&shared));
        let mut theirs = Vec::new();
        for _ in 0..12 {
            let (upstream, other) = pair().await;
            pool.give_back(upstream, now);
            theirs.push(other);
        }
        assert_eq!((pool.idle.borrow().len(), shared.room()), (6, 0));
        pool.clear();
        assert_eq!((pool.idle.borrow().len(), shared.room()), (0, 2));
        for _ in 0..3 {
            let (upstream, other) = pair().await;
            pool.give_back(upstream, now);
            theirs.push(other);
        }
        // Each sweep sees that two of the three were needed.
        for _ in 0..3 {
            pool.sweep(now);
            let busy = [pool.checkout().unwrap(), pool.checkout().unwrap()];
            for upstream in busy {
                pool.give_back(upstream, now);
            }
        }
        assert_eq!((pool.idle.borrow().len(), shared.room()), (3, 2));
        pool.sweep(now + KEEP.age);
        assert_eq!(pool.idle.borrow().len(), 0);
    }

    #[tokio::test]
    async fn closed_connections_are_not_taken_over() {
        let now = Instant::now();
        let shared = Arc::new(SharedIdle::new(KEEP, 2, now));
        let (one, first) = pair().await;
        let (two, _second) = pair().await;
        shared.leave(two, now);
        shared.leave(one, now);
        drop(first);
        let pool = Pool::new(Arc::clone(&shared));
        // The kernel has the end at once on loopback; the lock's side reads it.
        assert!(pool.checkout().is_some());
        assert!(pool.checkout().is_none());
        let (old, _third) = pair().await;
        shared.leave(old, now);
        shared.sweep(now + KEEP.age);
        assert_eq!(shared.room(), 2);
        let none = Keep { idle: 0, ..KEEP };
        let pool = Pool::new(Arc::new(SharedIdle::new(none, 2, now)));
        let (upstream, _fourth) = pair().await;
        pool.give_back(upstream, now);
        assert!(pool.checkout().is_none());
    }
}
