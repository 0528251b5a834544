//! Pure: so many requests at once for each client. As `rate`, words in sets, without a lock: 32 bits of
//! the client's hash and the number of his open requests. A word with open requests is never given to
//! somebody else, so that every request is taken off where it was counted.
//!
//! The table has twice as many words as there can be open requests, so a full set is rare; a request
//! that finds none is let in without being counted: a limit that is there to keep one client from taking
//! everything must not turn away those who come when there are many.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Words of a set: one cache line.
const WAYS: usize = 8;
/// At least one set of each size that matters; at most 8 MiB, a million clients with open requests.
const LEAST: usize = 1 << 10;
const MOST: usize = 1 << 20;
/// How often a word is fought over; each round, another thread got through.
const ROUNDS: u32 = 64;

#[derive(Debug)]
pub struct Table {
    words: Box<[AtomicU64]>,
    uncounted: AtomicU64,
}

/// A counted request. Whoever has it leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat(Option<u32>);

/// The client has all he may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken;

impl Table {
    /// `open`: requests that can be open at once.
    pub fn new(open: u32) -> Self {
        let wanted = usize::try_from(open).unwrap_or(MOST).saturating_mul(2);
        let words = wanted.clamp(LEAST, MOST).next_power_of_two();
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            uncounted: AtomicU64::new(0),
        }
    }

    pub fn enter(&self, key: u64, most: u32) -> Result<Seat, Taken> {
        let tag = key >> 32;
        let sets = (self.words.len() / WAYS).max(1) as u64;
        let first = usize::try_from(key % sets).unwrap_or(0) * WAYS;
        for _ in 0..ROUNDS {
            let Some((at, before)) = self.slot(first, tag) else {
                break;
            };
            let (_, open) = parts(before);
            if open >= most {
                return Err(Taken);
            }
            let after = tag << 32 | u64::from(open + 1);
            let word = self.words.get(at);
            let swapped = word.is_some_and(|word| {
                word.compare_exchange(before, after, Relaxed, Relaxed)
                    .is_ok()
            });
            if swapped {
                return Ok(Seat(u32::try_from(at).ok()));
            }
        }
        self.uncounted.fetch_add(1, Relaxed);
        Ok(Seat(None))
    }

    pub fn leave(&self, seat: Seat) {
        let at = seat.0.and_then(|at| usize::try_from(at).ok());
        let Some(word) = at.and_then(|at| self.words.get(at)) else {
            return;
        };
        // The lower half is above zero as long as somebody has a seat here.
        let less = |word: u64| (parts(word).1 > 0).then(|| word - 1);
        let left = word.fetch_update(Relaxed, Relaxed, less);
        debug_assert!(left.is_ok(), "left without having entered");
    }

    /// Requests let in without being counted.
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Relaxed)
    }

    /// The client's word, or else a free one, and what stands in it.
    fn slot(&self, first: usize, tag: u64) -> Option<(usize, u64)> {
        let mut free = None;
        for (at, word) in (first..).zip(self.words.get(first..first + WAYS)?) {
            let value = word.load(Relaxed);
            let (of, open) = parts(value);
            if open == 0 {
                free = free.or(Some((at, value)));
            } else if of == tag {
                return Some((at, value));
            }
        }
        free
    }
}

/// Hash and open requests.
fn parts(word: u64) -> (u64, u32) {
    (
        word >> 32,
        u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_his_own_number() {
        let table = Table::new(10);
        let a = table.enter(1 << 32, 2).unwrap();
        assert!(table.enter(1 << 32, 2).is_ok());
        assert_eq!(table.enter(1 << 32, 2), Err(Taken));
        assert!(table.enter(2 << 32, 2).is_ok());
        table.leave(a);
        assert!(table.enter(1 << 32, 2).is_ok());
        assert_eq!(table.enter(3 << 32, 0), Err(Taken));
    }

    #[test]
    fn a_full_set_lets_in_without_counting() {
        let table = Table::new(10);
        let seats: Vec<Seat> = (1..=9_u64)
            .map(|n| table.enter(n << 32, 1).unwrap())
            .collect();
        assert_eq!(table.uncounted(), 1);
        for seat in seats {
            table.leave(seat);
        }
        assert!(table.enter(9 << 32, 1).is_ok());
        assert_eq!(table.uncounted(), 1);
    }

    #[test]
    fn threads_together_do_not_exceed_it() {
        let table = Table::new(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..2000_u64 {
                        if let Ok(seat) = table.enter((n % 3) << 32, 2) {
                            table.leave(seat);
                        }
                    }
                });
            }
        });
        for n in 0..3_u64 {
            assert!(table.enter(n << 32, 2).is_ok() && table.enter(n << 32, 2).is_ok());
            assert!(table.enter(n << 32, 2).is_err());
        }
    }
}
