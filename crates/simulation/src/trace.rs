//! Pure: what happened in a run, in words, for who has to understand a failure. Only the last lines are
//! kept; with `keep` all of them.

use std::collections::VecDeque;
use std::fmt::Write as _;

use crate::clock::Us;

#[derive(Debug)]
pub struct Trace {
    lines: VecDeque<String>,
    pub keep: bool,
}

/// Lines that are printed of a failed run.
const LAST: usize = 1000;

impl Trace {
    pub fn new(keep: bool) -> Self {
        Self {
            lines: VecDeque::new(),
            keep,
        }
    }

    /// The text is made only when it is wanted.
    pub fn note(&mut self, now: Us, text: impl FnOnce() -> String) {
        if !self.keep {
            return;
        }
        if self.lines.len() == LAST {
            self.lines.pop_front();
        }
        let (s, ms) = (now / 1_000_000, now / 1000 % 1000);
        self.lines.push_back(format!("{s:3}.{ms:03} {}", text()));
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            // Writing to a String cannot fail.
            if writeln!(text, "{line}").is_err() {
                text.clear();
            }
        }
        text
    }
}
