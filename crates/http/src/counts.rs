//! Counters of one thread, summed up when somebody asks. Only the owning thread writes, so a count is a
//! load and a store, without a locked instruction.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use telemetry::metrics::{Exposition, LATENCY_SECONDS};

const BUCKETS: usize = LATENCY_SECONDS.len() + 1;

/// One thread's counters.
#[derive(Debug, Default)]
pub struct Counts {
    by_class: [AtomicU64; 5],
    /// Not cumulative; the last is for everything slower.
    latency: [AtomicU64; BUCKETS],
    latency_sum_us: AtomicU64,
    bytes_out: AtomicU64,
    connections: AtomicU64,
}

/// All threads' counters together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    pub requests: u64,
    /// 1xx to 5xx.
    pub by_class: [u64; 5],
    /// Within each bound of `LATENCY_SECONDS`, cumulative; then all.
    pub latency: Vec<u64>,
    pub latency_sum: Duration,
    pub bytes_out: u64,
    pub connections: u64,
}

fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Counts {
    /// A request was answered.
    pub fn add(&self, status: u16, took: Duration, bytes: u64) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.by_class.get(class) {
            bump(counter, 1);
        }
        let seconds = took.as_secs_f64();
        let bucket = LATENCY_SECONDS.iter().position(|bound| seconds <= *bound);
        if let Some(counter) = self.latency.get(bucket.unwrap_or(BUCKETS - 1)) {
            bump(counter, 1);
        }
        bump(
            &self.latency_sum_us,
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        );
        bump(&self.bytes_out, bytes);
    }

    /// Client connections open now.
    pub fn set_connections(&self, open: usize) {
        self.connections.store(open as u64, Relaxed);
    }
}

/// The sum over all threads.
pub fn total<'c>(threads: &(impl Iterator<Item = &'c Counts> + Clone)) -> Total {
    let sum = |of: &dyn Fn(&Counts) -> &AtomicU64| -> u64 {
        threads.clone().map(|counts| of(counts).load(Relaxed)).sum()
    };
    let mut by_class = [0; 5];
    let mut latency = vec![0; BUCKETS];
    for counts in threads.clone() {
        for (total, counter) in by_class.iter_mut().zip(&counts.by_class) {
            *total += counter.load(Relaxed);
        }
        for (total, counter) in latency.iter_mut().zip(&counts.latency) {
            *total += counter.load(Relaxed);
        }
    }
    let mut below = 0;
    for bucket in &mut latency {
        below += *bucket;
        *bucket = below;
    }
    Total {
        requests: by_class.iter().sum(),
        by_class,
        latency,
        latency_sum: Duration::from_micros(sum(&|counts| &counts.latency_sum_us)),
        bytes_out: sum(&|counts| &counts.bytes_out),
        connections: sum(&|counts| &counts.connections),
    }
}

impl Total {
    /// As Prometheus text.
    pub fn expose(&self, text: &mut Exposition) {
        let name = "mainstay_http_requests_total";
        text.family(name, "counter", "Requests answered, by class of status.");
        for (class, count) in self.by_class.iter().enumerate() {
            text.sample(name, &format!("class=\"{}xx\"", class + 1), count);
        }
        let name = "mainstay_http_request_duration_seconds";
        text.family(
            name,
            "histogram",
            "From a request's head to the end of its response.",
        );
        for (index, count) in self.latency.iter().enumerate() {
            let bound = LATENCY_SECONDS
                .get(index)
                .map_or("+Inf".to_owned(), f64::to_string);
            text.sample(&format!("{name}_bucket"), &format!("le=\"{bound}\""), count);
        }
        text.sample(&format!("{name}_sum"), "", self.latency_sum.as_secs_f64());
        text.sample(&format!("{name}_count"), "", self.requests);
        let name = "mainstay_http_response_bytes_total";
        text.family(name, "counter", "Body bytes sent to clients.");
        text.sample(name, "", self.bytes_out);
        text.family(
            "mainstay_http_connections",
            "gauge",
            "Client connections open.",
        );
        text.sample("mainstay_http_connections", "", self.connections);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn threads_are_summed_and_buckets_are_cumulative() {
        let threads = [Arc::new(Counts::default()), Arc::new(Counts::default())];
        threads[0].add(200, Duration::from_micros(100), 5);
        threads[1].add(503, Duration::from_secs(60), 7);
        let total = total(&threads.iter().map(|counts| &**counts));
        assert_eq!(
            (total.requests, total.by_class, total.bytes_out),
            (2, [0, 1, 0, 0, 1], 12)
        );
        assert_eq!(total.latency.first(), Some(&1));
        assert_eq!(total.latency.last(), Some(&2));
        assert_eq!(total.latency[BUCKETS - 2], 1);
    }
}
