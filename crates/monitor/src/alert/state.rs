//! Pure: from conditions that come and go to alerts that begin once and end once.
//!
//! pending → firing → resolved. A condition fires when it has held for `fire_after` in total without a
//! gap of `over_after`, and is over when it was away for `over_after` without a break. So what flaps is
//! told once, and a short fault not at all.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use telemetry::Severity;

use super::rules::{Condition, Kind};
use crate::limits::Holds;

/// Alerts that are over, kept for the page.
const RESOLVED: usize = 20;

/// Two clocks: one to decide by, one for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since any fixed moment; never goes back.
    pub since_start: Duration,
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Pending,
    Firing,
    Resolved,
}

/// What people are told of. Serialized: its fields are a promise to scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The same for as long as the same thing is wrong with the same part.
    pub id: String,
    pub alert: Kind,
    pub state: Phase,
    pub severity: Severity,
    pub subject: String,
    /// What is wrong, one sentence.
    pub what: String,
    /// What to do next.
    pub next: &'static str,
    /// Wall clock of the first time the condition held, milliseconds since 1970.
    pub since_ms: u64,
    /// When it was over.
    pub until_ms: Option<u64>,
    /// It ended because the site was stopped, not because all was well.
    pub stopped: bool,
}

/// The alerts of a site.
#[derive(Debug, Default)]
pub struct Alerts {
    book: BTreeMap<String, Entry>,
    resolved: VecDeque<Alert>,
    last: Option<Duration>,
}

#[derive(Debug)]
struct Entry {
    condition: Condition,
    since_ms: u64,
    /// How long it held, in total.
    held: Duration,
    firing: bool,
    /// Held when it was looked at last.
    held_then: bool,
    away_since: Option<Now>,
}

impl Alerts {
    /// Takes up what holds now; returns what people must be told, in order.
    pub fn take(&mut self, conditions: Vec<Condition>, now: Now, holds: &Holds) -> Vec<Alert> {
        let passed = self
            .last
            .map_or(Duration::ZERO, |last| now.since_start.saturating_sub(last));
        self.last = Some(now.since_start);
        let mut holding: BTreeMap<String, Condition> = conditions
            .into_iter()
            .map(|condition| (condition.id(), condition))
            .collect();
        let mut told = Vec::new();
        let mut over = Vec::new();
        for (id, entry) in &mut self.book {
            if let Some(condition) = holding.remove(id) {
                entry.holds(condition, passed);
            } else if entry.is_over(now, holds) {
                over.push(id.clone());
            }
        }
        for (id, condition) in holding {
            self.book.insert(id, Entry::new(condition, now));
        }
        for id in over {
            if let Some(entry) = self.book.remove(&id).filter(|entry| entry.firing) {
                // Over since it went away, not since we are sure.
                let until = entry.away_since.unwrap_or(now);
                told.push(entry.resolved(until.at_ms, false));
            }
        }
        for entry in self.book.values_mut() {
            let hold = entry.condition.kind.hold(holds);
            if !entry.firing && entry.held_then && entry.held >= hold.fire_after {
                entry.firing = true;
                told.push(entry.alert());
            }
        }
        self.remember(&told);
        told
    }

    /// Ends all of them, because the site is being stopped on purpose.
    pub fn stop(&mut self, now: Now) -> Vec<Alert> {
        let told: Vec<Alert> = std::mem::take(&mut self.book)
            .into_values()
            .filter(|entry| entry.firing)
            .map(|entry| entry.resolved(now.at_ms, true))
            .collect();
        self.remember(&told);
        told
    }

    /// What people have been told of and is not over, by id.
    pub fn firing(&self) -> BTreeMap<String, Condition> {
        let firing = self.book.iter().filter(|(_, entry)| entry.firing);
        firing
            .map(|(id, entry)| (id.clone(), entry.condition.clone()))
            .collect()
    }

    /// Everything to show: firing first (the worst, then the newest), pending, then what is over.
    pub fn all(&self) -> Vec<Alert> {
        let mut open: Vec<Alert> = self.book.values().map(Entry::alert).collect();
        let worst_first = |alert: &Alert| std::cmp::Reverse((alert.severity, alert.since_ms));
        open.sort_by_key(|alert| (alert.state == Phase::Pending, worst_first(alert)));
        open.extend(self.resolved.iter().rev().cloned());
        open
    }

    fn remember(&mut self, told: &[Alert]) {
        let over = told.iter().filter(|alert| alert.state == Phase::Resolved);
        self.resolved.extend(over.cloned());
        let surplus = self.resolved.len().saturating_sub(RESOLVED);
        self.resolved.drain(..surplus);
    }
}

impl Entry {
    fn new(condition: Condition, now: Now) -> Self {
        Self {
            condition,
            since_ms: now.at_ms,
            held: Duration::ZERO,
            firing: false,
            held_then: true,
            away_since: None,
        }
    }

    fn holds(&mut self, condition: Condition, passed: Duration) {
        // The time between two looks counts when it held at both.
        if self.held_then {
            self.held += passed;
        }
        self.condition = condition;
        self.held_then = true;
        self.away_since = None;
    }

    fn is_over(&mut self, now: Now, holds: &Holds) -> bool {
        self.held_then = false;
        let since = *self.away_since.get_or_insert(now);
        let away = now.since_start.saturating_sub(since.since_start);
        away >= self.condition.kind.hold(holds).over_after
    }

    fn alert(&self) -> Alert {
        let kind = self.condition.kind;
        Alert {
            id: self.condition.id(),
            alert: kind,
            state: if self.firing {
                Phase::Firing
            } else {
                Phase::Pending
            },
            severity: kind.severity(),
            subject: self.condition.subject.clone(),
            what: self.condition.what.clone(),
            next: kind.next(),
            since_ms: self.since_ms,
            until_ms: None,
            stopped: false,
        }
    }

    fn resolved(&self, until_ms: u64, stopped: bool) -> Alert {
        Alert {
            state: Phase::Resolved,
            until_ms: Some(until_ms),
            stopped,
            ..self.alert()
        }
    }
}

#[cfg(test)]
mod tests;
