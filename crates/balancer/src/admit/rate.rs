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

use site::target::balancer::{ClientKey, RateLimit};

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
/// What lies further ahead than a burst and this is long past. As much as threads can be apart between
/// reading the clock and coming here, and far more.
const APART: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Table {
    sets: Box<[[AtomicU64; WAYS]]>,
    /// Nanoseconds of a unit, as a power of two.
    shift: u32,
    /// Units per request, rounded up: rather too few than too many.
    interval: u64,
    /// Units of a burst.
    tolerance: u64,
    /// Units: what is further ahead is long past.
    horizon: u64,
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
        // All together are one client.
        let everybody = limit.key == ClientKey::Everybody;
        Self::with_words(limit, if everybody { WAYS } else { WORDS })
    }

    fn with_words(limit: &RateLimit, words: usize) -> Self {
        let per = limit.per.as_nanos().max(1);
        let interval = per.div_ceil(u128::from(limit.requests.max(1))).max(1);
        let burst = u128::from(limit.burst.max(1));
        let whole = interval.saturating_mul(burst + 1);
        let shift = (0..64).find(|shift| whole >> shift < LONGEST).unwrap_or(64);
        let interval = interval.div_ceil(1 << shift).max(1);
        let tolerance = u64::try_from(interval * burst).unwrap_or(MASK);
        let apart = u64::try_from(APART.as_nanos() >> shift).unwrap_or(MASK);
        let sets = (words / WAYS).next_power_of_two();
        Self {
            sets: (0..sets).map(|_| Default::default()).collect(),
            shift,
            interval: u64::try_from(interval).unwrap_or(MASK),
            tolerance,
            horizon: tolerance.saturating_add(apart),
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
        // Ends: in each round that is in vain, another thread's request got through.
        while let Some((word, before, busy)) = set.and_then(|set| self.slot(set, tag, now)) {
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
            std::hint::spin_loop();
        }
        // There always is a set.
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
        if entry(word).tag == 0 || ahead > self.horizon {
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
mod tests;
