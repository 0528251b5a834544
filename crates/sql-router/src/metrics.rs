//! What the process tells of itself. Counters of one thread are written by that thread alone (a load
//! and a store, no locked instruction) and summed up when somebody asks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use telemetry::metrics::{Exposition, LATENCY_SECONDS};

use crate::route::Because;
use crate::sessions::Sessions;
use crate::snapshot::Status;

const BUCKETS: usize = LATENCY_SECONDS.len() + 1;

/// One thread's counters.
#[derive(Debug)]
pub(crate) struct Counts {
    /// By reason, in the order of `Because::ALL`.
    to_primary: Vec<AtomicU64>,
    to_replica: Vec<AtomicU64>,
    latency: [AtomicU64; BUCKETS],
    latency_sum_us: AtomicU64,
    pub(crate) causal_waits: AtomicU64,
    pub(crate) causal_fallbacks: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) held: AtomicU64,
    pub(crate) waited: AtomicU64,
    pub(crate) logins_refused: AtomicU64,
    pub(crate) servers_opened: AtomicU64,
    pub(crate) servers_reused: AtomicU64,
}

impl Default for Counts {
    fn default() -> Self {
        let zeros = || Because::ALL.iter().map(|_| AtomicU64::default()).collect();
        Self {
            to_primary: zeros(),
            to_replica: zeros(),
            latency: Default::default(),
            latency_sum_us: AtomicU64::default(),
            causal_waits: AtomicU64::default(),
            causal_fallbacks: AtomicU64::default(),
            errors: AtomicU64::default(),
            held: AtomicU64::default(),
            waited: AtomicU64::default(),
            logins_refused: AtomicU64::default(),
            servers_opened: AtomicU64::default(),
            servers_reused: AtomicU64::default(),
        }
    }
}

/// Adds one; only the counter's own thread may.
pub(crate) fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

impl Counts {
    pub(crate) fn to_primary(&self, because: Because) {
        if let Some(counter) = self.to_primary.get(because.index()) {
            bump(counter);
        }
    }

    pub(crate) fn to_replica(&self, because: Because) {
        if let Some(counter) = self.to_replica.get(because.index()) {
            bump(counter);
        }
    }

    /// A statement was answered.
    pub(crate) fn took(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = LATENCY_SECONDS.iter().position(|bound| seconds <= *bound);
        if let Some(counter) = self.latency.get(bucket.unwrap_or(BUCKETS - 1)) {
            bump(counter);
        }
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let sum = &self.latency_sum_us;
        sum.store(sum.load(Relaxed).wrapping_add(us), Relaxed);
    }
}

fn sum(threads: &[Arc<Counts>], of: impl Fn(&Counts) -> &AtomicU64) -> u64 {
    threads.iter().map(|counts| of(counts).load(Relaxed)).sum()
}

fn sum_all(threads: &[Arc<Counts>], of: impl Fn(&Counts) -> &[AtomicU64]) -> u64 {
    let each = threads.iter().flat_map(|counts| of(counts));
    each.map(|counter| counter.load(Relaxed)).sum()
}

pub(crate) fn status(threads: &[Arc<Counts>], sessions: &Sessions) -> Status {
    Status {
        sessions: sessions.count() as u64,
        to_primary: sum_all(threads, |counts| &counts.to_primary),
        to_replica: sum_all(threads, |counts| &counts.to_replica),
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
    let counters: [(&str, &str, Of); 8] = [
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
    type Of = fn(&Counts) -> &[AtomicU64];
    let sides: [(&str, Of); 2] = [
        ("primary", |counts| &counts.to_primary),
        ("replica", |counts| &counts.to_replica),
    ];
    for (to, of) in sides {
        for (index, because) in Because::ALL.iter().enumerate() {
            let each = threads.iter().filter_map(|counts| of(counts).get(index));
            let count: u64 = each.map(|counter| counter.load(Relaxed)).sum();
            if count > 0 {
                let labels = format!("to=\"{to}\",because=\"{}\"", because.as_str());
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
    let mut total = 0;
    for index in 0..BUCKETS {
        let each = threads
            .iter()
            .filter_map(|counts| counts.latency.get(index));
        total += each.map(|counter| counter.load(Relaxed)).sum::<u64>();
        let bound = LATENCY_SECONDS
            .get(index)
            .map_or("+Inf".to_owned(), f64::to_string);
        out.sample(&bucket, &format!("le=\"{bound}\""), total);
    }
    let seconds = Duration::from_micros(sum(threads, |c| &c.latency_sum_us)).as_secs_f64();
    out.sample(&format!("{name}_sum"), "", seconds)
        .sample(&format!("{name}_count"), "", total);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::class::Reason;

    #[test]
    fn threads_are_summed_up() {
        let threads = [Arc::new(Counts::default()), Arc::new(Counts::default())];
        for counts in &threads {
            counts.to_replica(Because::Statement(Reason::PlainRead));
            counts.to_primary(Because::Pinned);
            counts.took(Duration::from_micros(700));
        }
        let sessions = Sessions::default();
        let status = status(&threads, &sessions);
        assert_eq!((status.to_primary, status.to_replica), (2, 2));
        let text = exposition(&threads, &sessions);
        for line in [
            "mainstay_sql_statements_total{to=\"replica\",because=\"plain-read\"} 2",
            "mainstay_sql_statements_total{to=\"primary\",because=\"pinned\"} 2",
            "mainstay_sql_statement_seconds_bucket{le=\"0.0005\"} 0",
            "mainstay_sql_statement_seconds_bucket{le=\"+Inf\"} 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
