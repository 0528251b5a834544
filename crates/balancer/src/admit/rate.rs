//! Pure: so many requests per time for each client: GCRA, the leaky bucket of ATM (ITU-T I.371, annex
//! A): one number per client, the time at which he would be due if he kept to his rate exactly. In no
//! window does he get more than `burst` and what the rate gives for the window's length.
//!
//! A client's number and sixteen bits of his hash are one 64-bit word, changed by compare-and-swap: a
//! limit holds for all threads together without a lock. Eight words are a set, in one cache line; the
//! hash says which set. A client who was quiet long enough is as good as one never seen, so his word is
//! taken for another. When all eight of a set are busy, which takes more clients at once than the table
//! has words, the one who is nearest to being as good as new makes room: whoever asks most stays
//! limited, nobody is locked out, and the worst is that somebody gets one more burst. Two clients in
//! one set are taken for one with a chance of one in eight thousand.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use site::target::balancer::RateLimit;

/// Clients counted at once: 64 Ki words are 512 KiB for each limit (no source; HAProxy's examples have
/// stick tables of 100 k to 1 m entries of some 100 bytes).
const WORDS: usize = 1 << 16;
/// Words of a set: one cache line.
const WAYS: usize = 8;
/// Bits of a word for the time, counted in units: it wraps around, and what lies further ahead than a
/// burst is long past.
const TIME: u32 = 48;
const MASK: u64 = (1 << TIME) - 1;
/// A burst takes at most so many units: a 256th of the time there is, so that a stale word is seldom
/// taken for a fresh one.
const LONGEST: u128 = 1 << 40;
/// How often a word is fought over before the request is let in; each round, another thread got through.
const ROUNDS: u32 = 64;

#[derive(Debug)]
pub struct Table {
    sets: Box<[[AtomicU64; WAYS]]>,
    /// Nanoseconds of a unit, as a power of two.
    shift: u32,
    /// Units per request, rounded up: rather too few than too many.
    interval: u64,
    /// Units of a burst.
    tolerance: u64,
    displaced: AtomicU64,
}

/// A word, read.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Never 0 in use.
    tag: u64,
    due: u64,
}

impl Table {
    pub fn new(limit: &RateLimit) -> Self {
        Self::with_words(limit, WORDS)
    }

    fn with_words(limit: &RateLimit, words: usize) -> Self {
        let per = limit.per.as_nanos().max(1);
        let interval = per.div_ceil(u128::from(limit.requests.max(1))).max(1);
        let burst = u128::from(limit.burst.max(1));
        let whole = interval.saturating_mul(burst + 1);
        let shift = (0..64).find(|shift| whole >> shift < LONGEST).unwrap_or(64);
        let interval = interval.div_ceil(1 << shift).max(1);
        let sets = (words / WAYS).next_power_of_two();
        Self {
            sets: (0..sets).map(|_| Default::default()).collect(),
            shift,
            interval: u64::try_from(interval).unwrap_or(MASK),
            tolerance: u64::try_from(interval * burst).unwrap_or(MASK),
            displaced: AtomicU64::new(0),
        }
    }

    /// The error: after how long it is worth asking again.
    pub fn admit(&self, key: u64, now: Duration) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos() >> self.shift).unwrap_or(u64::MAX) & MASK;
        let tag = (key >> TIME).max(1);
        // A power of two.
        let last = self.sets.len() as u64 - 1;
        let set = usize::try_from(key & last)
            .ok()
            .and_then(|at| self.sets.get(at));
        for _ in 0..ROUNDS {
            let Some((word, before, busy)) = set.and_then(|set| self.slot(set, tag, now)) else {
                break;
            };
            let same = entry(before).tag == tag;
            let ahead = if same { self.ahead(before, now) } else { 0 };
            let after = ahead + self.interval;
            if after > self.tolerance {
                return Err(self.time(after - self.tolerance));
            }
            let due = (now + after) & MASK;
            if word
                .compare_exchange(before, tag << TIME | due, Relaxed, Relaxed)
                .is_ok()
            {
                if busy {
                    self.displaced.fetch_add(1, Relaxed);
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// How often somebody had to make room: above zero, there are more clients than the table holds.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Relaxed)
    }

    /// The client's word, or the best one for him, what stands in it, and whether that is somebody
    /// else's who is not as good as new.
    fn slot<'t>(
        &self,
        set: &'t [AtomicU64; WAYS],
        tag: u64,
        now: u64,
    ) -> Option<(&'t AtomicU64, u64, bool)> {
        let mut own: Option<(u64, &AtomicU64, u64)> = None;
        let mut other: Option<(u64, &AtomicU64, u64)> = None;
        for word in set {
            let value = word.load(Relaxed);
            let ahead = self.ahead(value, now);
            if entry(value).tag == tag {
                // Of two (two threads at once, in a full set), the one that says more.
                if own.is_none_or(|(most, ..)| ahead > most) {
                    own = Some((ahead, word, value));
                }
            } else if other.is_none_or(|(least, ..)| ahead < least) {
                other = Some((ahead, word, value));
            }
        }
        match (own, other) {
            (Some((_, word, value)), _) => Some((word, value, false)),
            (None, Some((ahead, word, value))) => Some((word, value, ahead > 0)),
            (None, None) => None,
        }
    }

    /// Units until a word's client is as good as new.
    fn ahead(&self, word: u64, now: u64) -> u64 {
        let ahead = entry(word).due.wrapping_sub(now) & MASK;
        // Further ahead than anybody can be: long past. One interval more than the tolerance, since
        // threads read the clock before they come here.
        if entry(word).tag == 0 || ahead > self.tolerance + self.interval {
            0
        } else {
            ahead
        }
    }

    fn time(&self, units: u64) -> Duration {
        let nanos = u128::from(units) << self.shift;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn entry(word: u64) -> Entry {
    Entry {
        tag: word >> TIME,
        due: word & MASK,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use site::target::balancer::ClientKey;

    use super::*;

    fn limit(requests: u32, per: Duration, burst: u32) -> RateLimit {
        RateLimit {
            requests,
            per,
            burst,
            key: ClientKey::Everybody,
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_and_then_the_rate() {
        let table = Table::new(&limit(10, SECOND, 3));
        let at = |ms| table.admit(7 << 48, Duration::from_millis(ms));
        assert!(at(1000).is_ok() && at(1000).is_ok() && at(1000).is_ok());
        let wait = at(1000).unwrap_err();
        assert!((99..=101).contains(&wait.as_millis()), "{wait:?}");
        assert!(at(1050).is_err());
        assert!(at(1101).is_ok());
        assert!(at(1102).is_err());
        // Another one has his own.
        assert!(table.admit(8 << 48, Duration::from_millis(1102)).is_ok());
    }

    #[test]
    fn threads_together_get_what_one_gets() {
        let table = Table::new(&limit(100, Duration::from_secs(3600), 500));
        let admitted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if table.admit(5 << 48 | 3, SECOND).is_ok() {
                            admitted.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 500);
    }

    #[test]
    fn an_attack_of_many_keys_frees_nobody_who_asks_a_lot() {
        let table = Table::with_words(&limit(1, SECOND, 4), WAYS);
        let heavy = 1 << 48;
        while table.admit(heavy, SECOND).is_ok() {}
        for key in 2..1000_u64 {
            // New keys get in; memory stays what it is.
            assert!(table.admit(key << 48, SECOND).is_ok());
        }
        assert!(table.admit(heavy, SECOND).is_err());
        assert!(table.displaced() > 900);
    }

    #[test]
    fn rates_of_all_sizes_are_kept() {
        for (requests, per) in [
            (1_000_000, SECOND),
            (1, Duration::from_secs(86_400)),
            (5, Duration::from_secs(60)),
            (u32::MAX, Duration::from_millis(1)),
        ] {
            let table = Table::new(&limit(requests, per, 1));
            let interval = per / requests;
            let start = Duration::from_secs(500_000_000);
            assert!(table.admit(9, start).is_ok());
            assert!(table.admit(9, start).is_err(), "{requests} in {per:?}");
            let after = start + interval + interval / 100 + Duration::from_nanos(2);
            assert!(table.admit(9, after).is_ok(), "{requests} in {per:?}");
        }
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_the_burst_and_the_rate(
            requests in 1_u32..50,
            per_ms in 1_u64..5000,
            burst in 1_u32..10,
            pauses in proptest::collection::vec(prop_oneof![Just(0_u64), 0..50_u64, 0..3000_u64], 1..120),
            start in any::<u32>(),
        ) {
            let per = Duration::from_millis(per_ms);
            let table = Table::new(&limit(requests, per, burst));
            let mut now = Duration::from_millis(u64::from(start));
            let mut admitted = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                match table.admit(3, now) {
                    Ok(()) => admitted.push(now),
                    Err(wait) => {
                        // The wait that is told is neither too short nor much too long.
                        prop_assert!(wait <= per / requests + Duration::from_millis(1));
                    }
                }
            }
            for (i, from) in admitted.iter().enumerate() {
                for (j, to) in admitted.iter().enumerate().skip(i) {
                    let window = (*to - *from).as_secs_f64();
                    let rate = f64::from(requests) / per.as_secs_f64();
                    let most = f64::from(burst) + window * rate;
                    prop_assert!((j - i + 1) as f64 <= most + 0.001, "{} {most}", j - i + 1);
                }
            }
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_refused(
            requests in 1_u32..5000, per_ms in 1_u64..60_000, start in any::<u32>(),
        ) {
            let per = Duration::from_millis(per_ms);
            let table = Table::new(&limit(requests, per, 1));
            let mut now = Duration::from_millis(u64::from(start));
            for _ in 0..50 {
                prop_assert!(table.admit(3, now).is_ok());
                // Units are rounded up: a little slower than the rate.
                now += per / requests + per / requests / 1000 + Duration::from_nanos(2);
            }
        }
    }
}
