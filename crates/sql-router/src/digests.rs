//! What the statements of one digest have cost, counted by the thread that runs them and read by
//! whoever asks.
//!
//! A statement that was classified before has its digest at hand: counting it is a few plain stores,
//! no lock. The lock of a thread's table is taken for a digest met for the first time, and by those
//! who ask.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limits::{DIGEST_BYTES, DIGESTS};
use crate::metrics::{add, bump};
use crate::route::{Because, Destination};
use crate::snapshot::{DigestCount, Statistics, Went};

/// Under which what has no room is counted.
const OTHER: &str = "(other)";

const WAYS: usize = Because::ALL.len() * Destination::ALL.len();

/// The statements of one digest, of one thread.
#[derive(Debug)]
pub(crate) struct Digest {
    text: Arc<str>,
    /// Everything was set to nothing: whoever has this one shall get another.
    retired: AtomicBool,
    count: AtomicU64,
    errors: AtomicU64,
    rows: AtomicU64,
    total_us: AtomicU64,
    longest_us: AtomicU64,
    /// By destination, then by reason.
    went: [AtomicU64; WAYS],
}

impl Digest {
    fn new(text: &str) -> Arc<Self> {
        Arc::new(Self {
            text: text.into(),
            retired: AtomicBool::new(false),
            count: AtomicU64::default(),
            errors: AtomicU64::default(),
            rows: AtomicU64::default(),
            total_us: AtomicU64::default(),
            longest_us: AtomicU64::default(),
            went: std::array::from_fn(|_| AtomicU64::default()),
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// One statement more; only the digest's own thread may.
    pub(crate) fn count(
        &self,
        went: Option<(Destination, Because)>,
        time: Duration,
        rows: u64,
        failed: bool,
    ) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        bump(&self.count);
        add(&self.total_us, us);
        add(&self.rows, rows);
        if us > self.longest_us.load(Relaxed) {
            self.longest_us.store(us, Relaxed);
        }
        if failed {
            bump(&self.errors);
        }
        if let Some((to, because)) = went
            && let Some(counter) = self.went.get(way(to, because))
        {
            bump(counter);
        }
    }

    fn so_far(&self) -> DigestCount {
        let ways = Destination::ALL.iter().flat_map(|to| {
            Because::ALL.iter().filter_map(|because| {
                let count = self.went.get(way(*to, *because))?.load(Relaxed);
                (count > 0).then(|| Went {
                    to: to.as_str().to_owned(),
                    because: because.as_str().to_owned(),
                    count,
                })
            })
        });
        DigestCount {
            digest: self.text.to_string(),
            count: self.count.load(Relaxed),
            errors: self.errors.load(Relaxed),
            rows: self.rows.load(Relaxed),
            total_us: self.total_us.load(Relaxed),
            longest_us: self.longest_us.load(Relaxed),
            went: ways.collect(),
        }
    }
}

fn way(to: Destination, because: Because) -> usize {
    to.index() * Because::ALL.len() + because.index()
}

/// One thread's digests.
#[derive(Debug)]
pub(crate) struct Digests(Mutex<Table>);

#[derive(Debug)]
struct Table {
    by_text: HashMap<Arc<str>, Arc<Digest>>,
    /// Of all texts.
    bytes: usize,
    other: Arc<Digest>,
}

impl Default for Digests {
    fn default() -> Self {
        Self(Mutex::new(Table {
            by_text: HashMap::new(),
            bytes: 0,
            other: Digest::new(OTHER),
        }))
    }
}

impl Digests {
    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic elsewhere leaves the table usable: at worst a digest is not in it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one with this text; "(other)" when there is no room for it.
    pub(crate) fn of(&self, text: &str) -> Arc<Digest> {
        let mut table = self.table();
        if let Some(known) = table.by_text.get(text) {
            return Arc::clone(known);
        }
        if table.by_text.len() >= DIGESTS || table.bytes + text.len() > DIGEST_BYTES {
            return Arc::clone(&table.other);
        }
        let new = Digest::new(text);
        table.bytes += text.len();
        let key = Arc::clone(&new.text);
        table.by_text.insert(key, Arc::clone(&new));
        new
    }

    /// Puts the one in force in the place of one that was set to nothing.
    pub(crate) fn renew(&self, digest: &mut Arc<Digest>) {
        if digest.retired.load(Relaxed) {
            *digest = match digest.text() {
                OTHER => Arc::clone(&self.table().other),
                text => self.of(text),
            };
        }
    }

    /// What has been counted; `reset`: from now on anew.
    pub(crate) fn so_far(&self, reset: bool) -> Statistics {
        let mut table = self.table();
        let all = table.by_text.values().chain([&table.other]);
        let digests = all.map(|digest| digest.so_far());
        let statements = digests.filter(|digest| digest.count > 0).collect();
        if reset {
            for digest in table.by_text.values().chain([&table.other]) {
                digest.retired.store(true, Relaxed);
            }
            *table = Table {
                by_text: HashMap::new(),
                bytes: 0,
                other: Digest::new(OTHER),
            };
        }
        Statistics { statements }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::class::Reason;

    fn count(digest: &Digest, us: u64) {
        let went = (Destination::Replica, Because::Statement(Reason::PlainRead));
        digest.count(Some(went), Duration::from_micros(us), 2, us > 10);
    }

    #[test]
    fn a_digest_is_counted_until_it_is_set_to_nothing() {
        let digests = Digests::default();
        let mut one = digests.of("SELECT ?");
        count(&one, 5);
        count(&digests.of("SELECT ?"), 15);
        let so_far = digests.so_far(true).statements;
        let expected = DigestCount {
            digest: "SELECT ?".to_owned(),
            count: 2,
            errors: 1,
            rows: 4,
            total_us: 20,
            longest_us: 15,
            went: vec![Went {
                to: "replica".to_owned(),
                because: "plain-read".to_owned(),
                count: 2,
            }],
        };
        assert_eq!(so_far, [expected]);
        digests.renew(&mut one);
        count(&one, 1);
        assert_eq!(digests.so_far(false).statements[0].count, 1);
    }

    #[test]
    fn what_has_no_room_is_other() {
        let digests = Digests::default();
        for n in 0..DIGESTS * 2 {
            count(&digests.of(&format!("SELECT {n}")), 1);
        }
        let statements = digests.so_far(true).statements;
        assert_eq!(statements.len(), DIGESTS + 1);
        let other = statements.iter().find(|one| one.digest == OTHER);
        assert_eq!(other.unwrap().count, DIGESTS as u64);
        let long = "x".repeat(1_000);
        for n in 0..DIGESTS {
            count(&digests.of(&format!("{long}{n}")), 1);
        }
        let statements = digests.so_far(false).statements;
        let bytes: usize = statements.iter().map(|one| one.digest.len()).sum();
        assert!(bytes <= DIGEST_BYTES + OTHER.len(), "{bytes}");
    }
}
