//! Pure: from counters that only grow to rates per second and percentiles, kept for a quarter of an
//! hour.
//!
//! The counters are sums over processes that come and go. One that starts anew begins at nothing, and
//! one that does not answer for a moment is missing from the sum: both make the sum smaller, and the
//! second makes it jump back later. So a sum that shrank counts as no traffic, and on its way back only
//! what exceeds its former height counts.

mod percentile;

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use telemetry::metrics::LATENCY_SECONDS;

use crate::status::{SiteStatus, Traffic};

/// 15 minutes of seconds.
pub const POINTS: usize = 900;
/// A point covers at least this much. A little less than a second, so that a status that comes a moment
/// early is not left for the next one.
const RESOLUTION: Duration = Duration::from_millis(900);
/// Points over which percentiles are taken: of one second of a small site's traffic they say nothing.
const PERCENTILE_POINTS: usize = 10;

/// One second of a site.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Wall clock of its end, milliseconds since 1970.
    pub at_ms: u64,
    /// Per second.
    pub requests: f64,
    /// Answers of the class 5xx per second.
    pub errors: f64,
    /// Body bytes sent per second.
    pub bytes_out: f64,
    /// Connections accepted per second.
    pub connections: f64,
    /// Statements per second.
    pub sql_to_primary: f64,
    pub sql_to_replica: f64,
    /// Requests that wait for an endpoint's answer.
    pub open: u64,
    /// Milliseconds; over the last ten seconds; none without a request.
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    /// The replica that is furthest behind, milliseconds; none when no replica's lag is known.
    pub lag_ms: Option<u64>,
    pub endpoints_up: usize,
    pub endpoints: usize,
}

/// The last quarter of an hour.
#[derive(Debug, Clone, Default)]
pub struct History {
    points: VecDeque<Point>,
    last: Option<Duration>,
    requests: Counter,
    errors: Counter,
    bytes_out: Counter,
    connections: Counter,
    sql_to_primary: Counter,
    sql_to_replica: Counter,
    buckets: Vec<Counter>,
    /// What each of the latest points added to each bucket; cumulative over the buckets.
    latest_buckets: VecDeque<Vec<u64>>,
}

impl History {
    /// Takes up a status seen at `now` (a clock that never goes back). Returns whether it made a point:
    /// the first never does, nor one that comes too soon.
    pub fn record(&mut self, now: Duration, status: &SiteStatus) -> bool {
        let Some(last) = self.last else {
            self.last = Some(now);
            self.advance(&status.traffic);
            self.latest_buckets.clear();
            return false;
        };
        let passed = now.saturating_sub(last);
        if passed < RESOLUTION {
            return false;
        }
        self.last = Some(now);
        let grown = self.advance(&status.traffic);
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(self.point(passed, &grown, status));
        true
    }

    /// Oldest first.
    pub fn points(&self) -> impl ExactSizeIterator<Item = &Point> {
        self.points.iter()
    }

    pub fn latest(&self) -> Option<&Point> {
        self.points.back()
    }

    /// By how much each counter has grown.
    fn advance(&mut self, traffic: &Traffic) -> Traffic {
        let [_, _, _, _, errors] = traffic.by_class;
        self.buckets.resize(
            traffic.latency.len().max(self.buckets.len()),
            Counter::default(),
        );
        // A bucket that is missing now is one that counts nothing.
        let counts = traffic.latency.iter().copied().chain(std::iter::repeat(0));
        let grown: Vec<u64> = self
            .buckets
            .iter_mut()
            .zip(counts)
            .map(|(bucket, count)| bucket.grow(count))
            .collect();
        if self.latest_buckets.len() == PERCENTILE_POINTS {
            self.latest_buckets.pop_front();
        }
        self.latest_buckets.push_back(cumulative(grown));
        Traffic {
            requests: self.requests.grow(traffic.requests),
            by_class: [0, 0, 0, 0, self.errors.grow(errors)],
            latency: Vec::new(),
            bytes_out: self.bytes_out.grow(traffic.bytes_out),
            connections: self.connections.grow(traffic.connections),
            sql_to_primary: self.sql_to_primary.grow(traffic.sql_to_primary),
            sql_to_replica: self.sql_to_replica.grow(traffic.sql_to_replica),
        }
    }

    fn point(&self, passed: Duration, grown: &Traffic, status: &SiteStatus) -> Point {
        let rate = |count: u64| count as f64 / passed.as_secs_f64();
        let [_, _, _, _, errors] = grown.by_class;
        let mut window = vec![0; self.buckets.len()];
        for buckets in &self.latest_buckets {
            for (total, count) in window.iter_mut().zip(buckets) {
                *total += count;
            }
        }
        let percentile = |share| {
            let seconds = percentile::estimate(&LATENCY_SECONDS, &window, share);
            seconds.map(|seconds| seconds * 1000.0)
        };
        let replicas = status.members.iter().filter(|m| m.role == "replica");
        Point {
            at_ms: status.at_ms,
            requests: rate(grown.requests),
            errors: rate(errors),
            bytes_out: rate(grown.bytes_out),
            connections: rate(grown.connections),
            sql_to_primary: rate(grown.sql_to_primary),
            sql_to_replica: rate(grown.sql_to_replica),
            open: status.endpoints.iter().map(|endpoint| endpoint.open).sum(),
            p50: percentile(0.50),
            p95: percentile(0.95),
            p99: percentile(0.99),
            lag_ms: replicas.filter_map(|m| m.lag_ms).max(),
            endpoints_up: status.endpoints.iter().filter(|e| e.up).count(),
            endpoints: status.endpoints.len(),
        }
    }
}

/// A sum of counters, see above.
#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    last: u64,
    highest: u64,
}

impl Counter {
    fn grow(&mut self, count: u64) -> u64 {
        let grown = if self.last < self.highest && count >= self.highest {
            count - self.highest
        } else {
            count.saturating_sub(self.last)
        };
        self.last = count;
        self.highest = self.highest.max(count);
        grown
    }
}

/// Buckets that grew by different rules may be out of order by a little.
fn cumulative(mut buckets: Vec<u64>) -> Vec<u64> {
    let mut most = 0;
    for bucket in &mut buckets {
        most = most.max(*bucket);
        *bucket = most;
    }
    buckets
}

#[cfg(test)]
mod tests;
