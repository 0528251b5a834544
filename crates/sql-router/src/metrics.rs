//! What the process tells of itself. Counters of one thread are written by that thread alone (a load
//! and a store, no locked instruction) and summed up when somebody asks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use telemetry::metrics::{Exposition, LATENCY_SECONDS};

use crate::route::{Because, Destination};
use crate::sessions::Sessions;
use crate::snapshot::Status;

const BUCKETS: usize = LATENCY_SECONDS.len() + 1;
const DESTINATIONS: usize = Destination::ALL.len();

/// One thread's counters.
#[derive(Debug)]
pub(crate) struct Counts {
    /// By destination, then by reason, in the order of `Because::ALL`.
    went: [Vec<AtomicU64>; DESTINATIONS],
    /// By destination.
    latency: [Latency; DESTINATIONS],
    pub(crate) causal_waits: AtomicU64,
    pub(crate) causal_fallbacks: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) held: AtomicU64,
    pub(crate) waited: AtomicU64,
    pub(crate) logins_refused: AtomicU64,
    pub(crate) servers_opened: AtomicU64,
    pub(crate) servers_reused: AtomicU64,
    pub(crate) servers_reset: AtomicU64,
    pub(crate) slow: AtomicU64,
    pub(crate) slow_dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Latency {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Default for Counts {
    fn default() -> Self {
        let zeros = || Because::ALL.iter().map(|_| AtomicU64::default()).collect();
        Self {
            went: std::array::from_fn(|_| zeros()),
            latency: Default::default(),
            causal_waits: AtomicU64::default(),
            causal_fallbacks: AtomicU64::default(),
            errors: AtomicU64::default(),
            held: AtomicU64::default(),
            waited: AtomicU64::default(),
            logins_refused: AtomicU64::default(),
            servers_opened: AtomicU64::default(),
            servers_reused: AtomicU64::default(),
            servers_reset: AtomicU64::default(),
            slow: AtomicU64::default(),
            slow_dropped: AtomicU64::default(),
        }
    }
}

/// Adds one; only the counter's own thread may.
pub(crate) fn bump(counter: &AtomicU64) {
    add(counter, 1);
}

/// The same for more than one.
pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

impl Counts {
    /// A statement went there.
    pub(crate) fn went(&self, to: Destination, because: Because) {
        let reasons = self.went.get(to.index());
        if let Some(counter) = reasons.and_then(|reasons| reasons.get(because.index())) {
            bump(counter);
        }
    }

    /// A command was answered.
    pub(crate) fn took(&self, to: Destination, time: Duration) {
        let Some(latency) = self.latency.get(to.index()) else {
            return;
        };
        let seconds = time.as_secs_f64();
        let bucket = LATENCY_SECONDS.iter().position(|bound| seconds <= *bound);
        if let Some(counter) = latency.buckets.get(bucket.unwrap_or(BUCKETS - 1)) {
            bump(counter);
        }
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        add(&latency.sum_us, us);
    }
}

fn sum(threads: &[Arc<Counts>], of: impl Fn(&Counts) -> &AtomicU64) -> u64 {
    threads.iter().map(|counts| of(counts).load(Relaxed)).sum()
}

fn sum_of(threads: &[Arc<Counts>], to: Destination) -> u64 {
    let reasons = threads
        .iter()
        .filter_map(|counts| counts.went.get(to.index()));
    reasons.flatten().map(|counter| counter.load(Relaxed)).sum()
}

pub(crate) fn status(threads: &[Arc<Counts>], sessions: &Sessions) -> Status {
    Status {
        sessions: sessions.count() as u64,
        to_primary: sum_of(threads, Destination::Primary),
        to_replica: sum_of(threads, Destination::Replica),
        causal_fallback: sum(threads, |counts| &counts.causal_fallbacks),
        errors: sum(threads, |counts| &counts.errors),
    }
}

pub(crate) fn exposition(threads: &[Arc<Counts>], sessions: &Sessions) -> String {
    let mut out = Exposition::default();
    out.family(
        "mainstay_sql_sessions",
        "gauge",
        "Client sessions open now.",
    )
    .sample("mainstay_sql_sessions", "", sessions.count());
    statements(&mut out, threads);
    latency(&mut out, threads);
    type Of = fn(&Counts) -> &AtomicU64;
    let counters: [(&str, &str, Of); 11] = [
        (
            "causal_waits",
            "Reads that asked a replica for what the session had seen.",
            |c| &c.causal_waits,
        ),
        (
            "causal_fallbacks",
            "Of these, sent to the primary because it was not there in time.",
            |c| &c.causal_fallbacks,
        ),
        ("errors", "Errors of the router's own.", |c| &c.errors),
        ("held", "Statements that waited for a primary.", |c| &c.held),
        (
            "connection_waits",
            "Statements that waited for a connection to a server, all being in use.",
            |c| &c.waited,
        ),
        ("logins_refused", "Logins refused by the router.", |c| {
            &c.logins_refused
        }),
        (
            "server_connections_opened",
            "Connections opened to servers.",
            |c| &c.servers_opened,
        ),
        (
            "server_connections_reused",
            "Connections to servers taken from the pool.",
            |c| &c.servers_reused,
        ),
        (
            "server_connections_reset",
            "Of these, reset: what the session before had left was not known.",
            |c| &c.servers_reset,
        ),
        ("slow", "Statements that were slow.", |c| &c.slow),
        (
            "slow_dropped",
            "Of these, not written down: the slow log could not be written fast enough.",
            |c| &c.slow_dropped,
        ),
    ];
    for (name, help, of) in counters {
        let name = format!("mainstay_sql_{name}");
        out.family(&name, "counter", help)
            .sample(&format!("{name}_total"), "", sum(threads, of));
    }
    out.into_text()
}

fn statements(out: &mut Exposition, threads: &[Arc<Counts>]) {
    let help = "Statements by where they went and why.";
    out.family("mainstay_sql_statements", "counter", help);
    for to in Destination::ALL {
        let reasons = || threads.iter().filter_map(|c| c.went.get(to.index()));
        for (index, because) in Because::ALL.iter().enumerate() {
            let each = reasons().filter_map(|counters| counters.get(index));
            let count: u64 = each.map(|counter| counter.load(Relaxed)).sum();
            if count > 0 {
                let (to, because) = (to.as_str(), because.as_str());
                let labels = format!("to=\"{to}\",because=\"{because}\"");
                out.sample("mainstay_sql_statements_total", &labels, count);
            }
        }
    }
}

fn latency(out: &mut Exposition, threads: &[Arc<Counts>]) {
    let name = "mainstay_sql_statement_seconds";
    out.family(
        name,
        "histogram",
        "From a statement's last byte to its answer's.",
    );
    let bucket = format!("{name}_bucket");
    let destinations = Destination::ALL.map(Destination::as_str);
    for (place, to) in destinations.into_iter().chain(["router"]).enumerate() {
        let each = || {
            threads
                .iter()
                .filter_map(|counts| counts.latency.get(place))
        };
        let mut total = 0;
        for index in 0..BUCKETS {
            let counters = each().filter_map(|latency| latency.buckets.get(index));
            total += counters.map(|counter| counter.load(Relaxed)).sum::<u64>();
            let bound = LATENCY_SECONDS
                .get(index)
                .map_or("+Inf".to_owned(), f64::to_string);
            out.sample(&bucket, &format!("to=\"{to}\",le=\"{bound}\""), total);
        }
        let us = each().map(|latency| latency.sum_us.load(Relaxed)).sum();
        let seconds = Duration::from_micros(us).as_secs_f64();
        let labels = format!("to=\"{to}\"");
        out.sample(&format!("{name}_sum"), &labels, seconds).sample(
            &format!("{name}_count"),
            &labels,
            total,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::class::Reason;

    #[test]
    fn threads_are_summed_up() {
        let threads = [Arc::new(Counts::default()), Arc::new(Counts::default())];
        for counts in &threads {
            counts.went(Destination::Replica, Because::Statement(Reason::PlainRead));
            counts.went(Destination::Primary, Because::Pinned);
            counts.took(Destination::Replica, Duration::from_micros(700));
            counts.took(Destination::Router, Duration::from_micros(7));
        }
        let sessions = Sessions::default();
        let status = status(&threads, &sessions);
        assert_eq!((status.to_primary, status.to_replica), (2, 2));
        let text = exposition(&threads, &sessions);
        for line in [
            "mainstay_sql_statements_total{to=\"replica\",because=\"plain-read\"} 2",
            "mainstay_sql_statements_total{to=\"primary\",because=\"pinned\"} 2",
            "mainstay_sql_statement_seconds_bucket{to=\"replica\",le=\"0.0005\"} 0",
            "mainstay_sql_statement_seconds_bucket{to=\"replica\",le=\"+Inf\"} 2",
            "mainstay_sql_statement_seconds_count{to=\"primary\"} 0",
            "mainstay_sql_statement_seconds_count{to=\"router\"} 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
