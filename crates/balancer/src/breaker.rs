//! Pure: how many requests are open somewhere, and that they do not become too many: at one endpoint
//! (`max_requests`), at a whole backend (`breaker`). Threads share the number; the bound is exact.
//!
//! A breaker that opens by the number of open requests (Envoy's `max_requests`, Hystrix's semaphore)
//! needs no timer to close again: it is closed as soon as enough of them have ended.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[derive(Debug, Default)]
pub struct Open(AtomicU32);

impl Open {
    /// One more, unless there are `most`. 0: no bound. Whoever entered leaves.
    #[must_use]
    pub fn enter(&self, most: u32) -> bool {
        let within = |open: u32| (most == 0 || open < most).then(|| open.saturating_add(1));
        self.0.fetch_update(Relaxed, Relaxed, within).is_ok()
    }

    /// The same, left when the result is dropped: also when a client goes in the middle of its request.
    #[must_use]
    pub fn place(&self, most: u32) -> Option<Place<'_>> {
        self.enter(most).then_some(Place(self))
    }

    pub fn leave(&self) {
        let less = |open: u32| open.checked_sub(1);
        let left = self.0.fetch_update(Relaxed, Relaxed, less);
        debug_assert!(left.is_ok(), "left without having entered");
    }

    pub fn count(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// One of the open.
#[derive(Debug)]
pub struct Place<'a>(&'a Open);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_kept() {
        let open = Open::default();
        assert!(open.enter(2) && open.enter(2));
        assert!(!open.enter(2));
        open.leave();
        assert!(open.enter(2));
        assert!(open.enter(0));
        assert_eq!(open.count(), 3);
    }

    #[test]
    fn threads_together_do_not_exceed_it() {
        let open = Open::default();
        let entered = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if open.enter(100) {
                            entered.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!((entered.into_inner(), open.count()), (100, 100));
    }
}
