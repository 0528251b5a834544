//! Pure: how a run is made, and how it ended.

use crate::adversary::Ambush;
use crate::clock::{MS, Us};
use crate::sabotage::Rule;

/// How a run is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The rule that is taken away.
    pub off: Option<Rule>,
    /// Nothing happens but this.
    pub ambush: Option<Ambush>,
    /// Keep what happened, for `Failure::trace`.
    pub keep: bool,
}

/// What a good run did, so that a test can tell that it did something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    pub acknowledged: usize,
    /// Changes of primary after the first.
    pub changes: u64,
    pub rebuilds: u64,
    pub fenced: u64,
    pub events: u64,
}

impl Outcome {
    pub fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.changes += other.changes;
        self.rebuilds += other.rebuilds;
        self.fenced += other.fenced;
        self.events += other.events;
    }
}

/// A promise that was not kept.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    /// Something was lost or two took writes; else something did not come about in time.
    pub is_unsafe: bool,
    pub at: Us,
    pub what: String,
    pub trace: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.at / MS;
        write!(
            f,
            "seed {}, {ms} ms: {}\n{}",
            self.seed, self.what, self.trace
        )
    }
}
