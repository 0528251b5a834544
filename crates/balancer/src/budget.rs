//! Pure: how many retries a backend gets: a part of its requests of the last seconds, but ten a second
//! at least, so that a small site is not left without (Finagle's `RetryBudget`: 20 %, 10 a second, 10
//! seconds). When everything is slow, retries would double the load that makes it slow; with a budget
//! they add a fifth.
//!
//! Ten slots of a second each, shared by all threads; a slot is a second's number and a count in one
//! word. A retry is counted first and taken back when that was too much: never more than the budget.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SECONDS: u64 = 10;
const LEAST_PER_SECOND: u64 = 10;

#[derive(Debug, Default)]
pub struct Budget {
    requests: Window,
    retries: Window,
}

#[derive(Debug, Default)]
struct Window([AtomicU64; 10]);

impl Budget {
    /// A request that is not a retry. `now_s`: of a clock that does not go back; wraps after 136 years.
    pub fn request(&self, now_s: u64) {
        self.requests.change(now_s, |count| count.saturating_add(1));
    }

    /// Whether there may be one more; if so it is counted.
    #[must_use]
    pub fn retry(&self, now_s: u64, percent: u8) -> bool {
        let part = self.requests.sum(now_s) * u64::from(percent) / 100;
        let most = part.max(LEAST_PER_SECOND * SECONDS);
        self.retries.change(now_s, |count| count.saturating_add(1));
        if self.retries.sum(now_s) <= most {
            return true;
        }
        self.retries.change(now_s, |count| count.saturating_sub(1));
        false
    }

    /// Retries of the last seconds, for metrics.
    pub fn retries(&self, now_s: u64) -> u64 {
        self.retries.sum(now_s)
    }
}

impl Window {
    fn change(&self, now_s: u64, change: impl Fn(u32) -> u32) {
        let slot = usize::try_from(now_s % SECONDS)
            .ok()
            .and_then(|at| self.0.get(at));
        let next = |word: u64| {
            let (second, count) = parts(word);
            let count = if second == now_s & HALF { count } else { 0 };
            Some((now_s & HALF) << 32 | u64::from(change(count)))
        };
        if let Some(slot) = slot {
            // Always Some: the result is the former value, of no interest.
            let _former = slot.fetch_update(Relaxed, Relaxed, next);
        }
    }

    fn sum(&self, now_s: u64) -> u64 {
        self.0
            .iter()
            .map(|slot| parts(slot.load(Relaxed)))
            // Another thread may be a second ahead.
            .filter(|(second, _)| (now_s + 1).wrapping_sub(*second) & HALF <= SECONDS)
            .map(|(_, count)| u64::from(count))
            .sum()
    }
}

const HALF: u64 = u32::MAX as u64;

/// Second and count.
fn parts(word: u64) -> (u64, u32) {
    (word >> 32, u32::try_from(word & HALF).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_site_has_ten_a_second() {
        let budget = Budget::default();
        let granted = (0..500).filter(|_| budget.retry(1000, 20)).count();
        assert_eq!(granted, 100);
        assert!(!budget.retry(1009, 20));
        assert!(budget.retry(1010, 20));
    }

    #[test]
    fn a_large_site_has_its_part() {
        let budget = Budget::default();
        for second in 0..10 {
            for _ in 0..1000 {
                budget.request(5000 + second);
            }
        }
        let granted = (0..5000).filter(|_| budget.retry(5009, 20)).count();
        assert_eq!(granted, 2000);
        assert_eq!(budget.retries(5009), 2000);
        assert_eq!(budget.retries(5030), 0);
    }

    #[test]
    fn threads_together_do_not_exceed_it() {
        let budget = Budget::default();
        let granted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if budget.retry(7, 0) {
                            granted.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert!(granted.into_inner() <= 100);
    }

    proptest! {
        #[test]
        fn no_ten_seconds_have_more_than_the_part_or_the_minimum(
            steps in proptest::collection::vec((0_u64..3, 0_u32..400, 0_u32..200), 1..30),
            percent in 0_u8..=100,
        ) {
            let budget = Budget::default();
            let mut now = 100;
            let mut seen: Vec<(u64, u64, u64)> = Vec::new();
            for (pause, requests, retries) in steps {
                now += pause;
                (0..requests).for_each(|_| budget.request(now));
                let new = (0..retries).filter(|_| budget.retry(now, percent)).count() as u64;
                seen.push((now, u64::from(requests), new));
                let last = seen.iter().filter(|(at, ..)| *at + SECONDS > now);
                let (asked, granted) =
                    last.fold((0, 0), |sum, (_, a, g)| (sum.0 + a, sum.1 + g));
                // What was granted stays when the requests it was for are long ago.
                prop_assert!(new == 0 || granted <= 100.max(asked * u64::from(percent) / 100));
            }
        }
    }
}
