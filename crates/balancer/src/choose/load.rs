//! Pure: what an endpoint is doing, as its own requests show it: how many are open, how fast they are
//! answered. One value per endpoint, kept across snapshots, shared by all threads without a lock.
//!
//! The speed is a peak EWMA as Finagle and Linkerd have it (`PeakEwma.scala`): a slower answer counts
//! at once and in full, a faster one pulls the value down slowly, and time alone makes it forget; so an
//! endpoint that stalls loses traffic after one answer and gets it back by and by. Decay by halves
//! instead of `exp`: integers only.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::breaker::Open;

/// Time in which a value loses half: Finagle's decay time of 10 s, times ln 2.
const HALF_LIFE_MS: u64 = 6_931;
/// What a failed request counts as at least, so that one that fails fast is not the fastest (no source:
/// slower than any endpoint one would rather ask).
const FAILURE_US: u64 = 1_000_000;
/// What an endpoint whose speed is not known costs while it works on its first requests: it is tried
/// with one, and the others wait for what becomes of it (Finagle's `Penalty`).
const UNKNOWN_US: u64 = 60_000_000;

#[derive(Debug, Default)]
pub struct Load {
    pub open: Open,
    /// Upper half: milliseconds (wrapping); lower half: microseconds, 0: not known. Together, so that
    /// they are of one answer.
    speed: AtomicU64,
}

impl Load {
    /// An answer's head came after so long. `now_ms`: of any clock that does not go back.
    pub fn answered(&self, took_us: u64, now_ms: u64) {
        self.observe(took_us.max(1), now_ms);
    }

    /// No answer, or none worth the name.
    pub fn failed(&self, took_us: u64, now_ms: u64) {
        let twice = self.speed_us(now_ms).saturating_mul(2);
        self.observe(took_us.max(twice).max(FAILURE_US), now_ms);
    }

    /// 0: not known.
    pub fn speed_us(&self, now_ms: u64) -> u64 {
        let (at, cost) = unpacked(self.speed.load(Relaxed));
        decayed(cost, age(at, now_ms))
    }

    /// What one more request would cost here; to be divided by the weight.
    pub fn cost(&self, now_ms: u64) -> u64 {
        let open = u64::from(self.open.count());
        match (self.speed_us(now_ms), open) {
            (0, 0) => 0,
            (0, open) => UNKNOWN_US.saturating_mul(open),
            (speed, open) => speed.saturating_mul(open + 1),
        }
    }

    fn observe(&self, took_us: u64, now_ms: u64) {
        let next = |before: u64| {
            let (at, cost) = unpacked(before);
            let age = age(at, now_ms);
            let old = decayed(cost, age);
            let new = if cost == 0 || took_us >= old {
                took_us
            } else {
                // The old value fades by its age, the new one comes in by as much; at least by an
                // eighth of the way, since many answers within a millisecond have no age.
                let faded = old.saturating_sub(took_us);
                let by_age = decayed(faded, age);
                took_us + by_age.min(faded - faded / 8)
            };
            Some(packed(now_ms, new))
        };
        // Always Some: the result is the former value, of no interest.
        let _former = self.speed.fetch_update(Relaxed, Relaxed, next);
    }
}

fn packed(now_ms: u64, cost_us: u64) -> u64 {
    now_ms << 32 | cost_us.min(u64::from(u32::MAX))
}

fn unpacked(speed: u64) -> (u64, u64) {
    (speed >> 32, speed & u64::from(u32::MAX))
}

/// Modulo 2^32 ms, 49 days: who was not asked for so long is as good as new.
fn age(at_ms: u64, now_ms: u64) -> u64 {
    let age = now_ms.wrapping_sub(at_ms) & u64::from(u32::MAX);
    // Another thread's clock was read a little later.
    if age > u64::from(u32::MAX / 2) {
        0
    } else {
        age
    }
}

/// Half for each half-life, and a straight line between.
fn decayed(cost: u64, age_ms: u64) -> u64 {
    let halves = age_ms / HALF_LIFE_MS;
    let left = cost
        .checked_shr(u32::try_from(halves).unwrap_or(u32::MAX))
        .unwrap_or(0);
    left - left * (age_ms % HALF_LIFE_MS) / (2 * HALF_LIFE_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slow_answer_counts_at_once_and_is_forgotten_slowly() {
        let load = Load::default();
        assert_eq!(load.speed_us(5), 0);
        load.answered(1000, 10);
        assert_eq!(load.speed_us(10), 1000);
        load.answered(50_000, 20);
        assert_eq!(load.speed_us(20), 50_000);
        load.answered(1000, 30);
        assert!(load.speed_us(30) > 40_000);
        assert_eq!(
            load.speed_us(30 + HALF_LIFE_MS),
            load.speed_us(30) - load.speed_us(30) / 2
        );
        for _ in 0..100 {
            load.answered(1000, 40);
        }
        assert!(load.speed_us(40) < 1010, "{}", load.speed_us(40));
    }

    #[test]
    fn who_fails_fast_is_not_fast() {
        let load = Load::default();
        load.failed(100, 10);
        assert!(load.speed_us(10) >= FAILURE_US);
    }

    #[test]
    fn who_is_not_known_is_tried_with_one_request() {
        let load = Load::default();
        assert_eq!(load.cost(1), 0);
        assert!(load.open.enter(0));
        assert!(load.cost(1) >= UNKNOWN_US);
    }

    proptest! {
        #[test]
        fn it_stays_between_what_was_seen(
            answers in proptest::collection::vec((1_u64..1_000_000, 0_u64..20_000), 1..50)
        ) {
            let load = Load::default();
            let mut now = 0;
            for (took, pause) in &answers {
                now += pause;
                load.answered(*took, now);
                prop_assert!(load.speed_us(now) >= *took);
            }
            let most = answers.iter().map(|(took, _)| *took).max().unwrap();
            prop_assert!(load.speed_us(now) <= most);
            prop_assert!(load.speed_us(now + 500_000) <= load.speed_us(now));
        }
    }
}
