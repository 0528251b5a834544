//! Pure: an endpoint whose requests fail is put out for a while, whatever its health checks say: they
//! ask one question, visitors ask all of them.
//!
//! Envoy's outlier detection (its architecture overview, "Outlier detection"), of which this has:
//! failures in a row, and a share of successes that lies too many standard deviations below the mean of
//! all. Out for `time`, times the number of times it was out; every quiet interval takes one off that
//! number. Of all endpoints at most `max_percent` are out, but one may always be (as Envoy), and never
//! the last that takes requests.
//!
//! Threads count outcomes in a `Tally` each endpoint has; one owner keeps the `Watch`, which decides.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use site::target::balancer::Ejection;

/// Endpoints with enough requests below which deviations say nothing (Envoy's
/// `success_rate_minimum_hosts`): of four, none can lie more than √3 deviations from the mean.
const COMPARED: usize = 5;
/// Equal shares differ by less, for want of digits.
const ROUNDING: f64 = 1e-6;
/// Longest time out (Envoy's `max_ejection_time`).
const LONGEST: Duration = Duration::from_secs(300);

/// Outcomes of one endpoint's requests; kept across snapshots.
#[derive(Debug, Default)]
pub struct Tally {
    in_a_row: AtomicU32,
    successes: AtomicU32,
    failures: AtomicU32,
}

impl Tally {
    pub fn succeeded(&self) {
        // Most of the time it is 0 already, and a store would take the line from other threads.
        if self.in_a_row.load(Relaxed) != 0 {
            self.in_a_row.store(0, Relaxed);
        }
        self.successes.fetch_add(1, Relaxed);
    }

    /// True when `Watch::failing` should be asked: `consecutive` have failed in a row. 0: never.
    #[must_use]
    pub fn failed(&self, consecutive: u32) -> bool {
        self.failures.fetch_add(1, Relaxed);
        let in_a_row = self.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
        // Again at every multiple, should the endpoint not have been put out then.
        consecutive > 0 && in_a_row.is_multiple_of(consecutive)
    }

    fn take(&self) -> (u32, u32) {
        (
            self.successes.swap(0, Relaxed),
            self.failures.swap(0, Relaxed),
        )
    }
}

/// What counts as a failure of the endpoint: no answer, or one that says that somebody behind it gave
/// none. 500 is the application's word on one request.
pub fn is_failure(status: u16) -> bool {
    matches!(status, 502..=504)
}

/// What is known of a backend's endpoints, in their order.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    records: Vec<Record>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Record {
    out_until: Option<Duration>,
    /// Times it was put out, less the quiet intervals since.
    times: u32,
}

/// What has to be told to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Ejected {
        endpoint: usize,
        time: Duration,
        why: Why,
    },
    Returned {
        endpoint: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// So many failures in a row.
    Consecutive(u32),
    /// In thousandths.
    SuccessRate { rate: u32, mean: u32, least: u32 },
}

/// Why an endpoint that should be out is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    AlreadyOut,
    /// No other takes requests.
    Last,
    TooManyOut,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |thousandths: u32| f64::from(thousandths) / 10.0;
        match self {
            Self::Consecutive(count) => write!(f, "{count} requests in a row failed"),
            Self::SuccessRate { rate, mean, least } => write!(
                f,
                "{:.1} % of its requests succeeded; the mean is {:.1} %, {:.1} % is the least for \
                 one like the others",
                percent(*rate),
                percent(*mean),
                percent(*least)
            ),
        }
    }
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyOut => "it is out already",
            Self::Last => "no other endpoint takes requests",
            Self::TooManyOut => "as many endpoints are out as may be",
        })
    }
}

impl Watch {
    /// For a list of endpoints; `from`: where in the former list each stood.
    pub fn new(from: &[Option<usize>], former: &Self) -> Self {
        let known = |at: &Option<usize>| {
            at.and_then(|at| former.records.get(at).copied())
                .unwrap_or_default()
        };
        Self {
            records: from.iter().map(known).collect(),
        }
    }

    pub fn is_out(&self, endpoint: usize) -> bool {
        self.records
            .get(endpoint)
            .is_some_and(|record| record.out_until.is_some())
    }

    /// `Tally::failed` said so. `takes`: which endpoints take requests, were none of them put out.
    pub fn failing(
        &mut self,
        endpoint: usize,
        rules: &Ejection,
        takes: &[bool],
        now: Duration,
    ) -> Result<Change, Spared> {
        self.eject(
            endpoint,
            rules,
            takes,
            now,
            Why::Consecutive(rules.consecutive),
        )
    }

    /// Once an interval: who comes back, whose share of successes is too low.
    pub fn sweep(
        &mut self,
        rules: &Ejection,
        takes: &[bool],
        tallies: &[&Tally],
        now: Duration,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for (endpoint, record) in self.records.iter_mut().enumerate() {
            match record.out_until {
                Some(until) if until <= now => {
                    record.out_until = None;
                    if let Some(tally) = tallies.get(endpoint) {
                        // What was is no reason to put it out at its first failure.
                        tally.in_a_row.store(0, Relaxed);
                    }
                    changes.push(Change::Returned { endpoint });
                }
                Some(_) => {}
                None => record.times = record.times.saturating_sub(1),
            }
        }
        let taken = tallies.iter().map(|tally| tally.take()).enumerate();
        let enough = |(_, (good, bad)): &(usize, (u32, u32))| {
            good.saturating_add(*bad) >= rules.success_rate_requests.max(1)
        };
        let rates: Vec<(usize, f64)> = taken
            .filter(enough)
            .filter(|(endpoint, _)| !self.is_out(*endpoint))
            .map(|(endpoint, (good, bad))| {
                (
                    endpoint,
                    f64::from(good) / (f64::from(good) + f64::from(bad)),
                )
            })
            .collect();
        if rules.success_rate_deviations == 0 || rates.len() < COMPARED {
            return changes;
        }
        let count = rates.len() as f64;
        let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
        let variance = rates
            .iter()
            .map(|(_, rate)| (rate - mean).powi(2))
            .sum::<f64>()
            / count;
        let least = mean - variance.sqrt() * f64::from(rules.success_rate_deviations) / 10.0;
        let mut low: Vec<_> = rates
            .into_iter()
            .filter(|(_, rate)| *rate < least - ROUNDING)
            .collect();
        // The worst first, should not all of them be put out.
        low.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (endpoint, rate) in low {
            let why = Why::SuccessRate {
                rate: thousandths(rate),
                mean: thousandths(mean),
                least: thousandths(least),
            };
            changes.extend(self.eject(endpoint, rules, takes, now, why).ok());
        }
        changes
    }

    fn eject(
        &mut self,
        endpoint: usize,
        rules: &Ejection,
        takes: &[bool],
        now: Duration,
        why: Why,
    ) -> Result<Change, Spared> {
        if self.is_out(endpoint) {
            return Err(Spared::AlreadyOut);
        }
        let left = takes
            .iter()
            .enumerate()
            .filter(|(other, takes)| **takes && *other != endpoint && !self.is_out(*other));
        if left.count() == 0 {
            return Err(Spared::Last);
        }
        let out = (0..self.records.len())
            .filter(|other| self.is_out(*other))
            .count();
        let most = (self.records.len() * usize::from(rules.max_percent) / 100).max(1);
        if out >= most {
            return Err(Spared::TooManyOut);
        }
        // Not in the list: nothing is known of it, and nobody asks it.
        let record = self.records.get_mut(endpoint).ok_or(Spared::AlreadyOut)?;
        record.times = record.times.saturating_add(1);
        let time = rules
            .time
            .saturating_mul(record.times)
            .min(LONGEST.max(rules.time));
        record.out_until = Some(now.saturating_add(time));
        Ok(Change::Ejected {
            endpoint,
            time,
            why,
        })
    }
}

fn thousandths(rate: f64) -> u32 {
    // Between 0 and 1, or a little below for a bound.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    let rate = (rate * 1000.0).round().clamp(0.0, 1000.0) as u32;
    rate
}

#[cfg(test)]
mod tests;
