//! Latencies of a run: all of them, because a run is short.

use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Latency {
    micros: Vec<u32>,
    /// The longest, and when it ended.
    worst: Option<(Duration, Instant)>,
    pub errors: u64,
    pub last_error: String,
}

impl Latency {
    pub fn add(&mut self, took: Duration) {
        if self.worst.is_none_or(|(worst, _)| took > worst) {
            self.worst = Some((took, Instant::now()));
        }
        self.micros
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn error(&mut self, why: String) {
        self.errors += 1;
        self.last_error = why;
    }

    pub fn print(&mut self, since: Instant) {
        self.micros.sort_unstable();
        let at = |part: f64| {
            let index = (self.micros.len() as f64 * part) as usize;
            self.micros.get(index).or(self.micros.last()).copied()
        };
        let worst = self.worst.map(|(took, at)| {
            let after = at.duration_since(since).as_secs_f64();
            [took.as_micros() as f64, after]
        });
        let line = serde_json::json!({
            "requests": self.micros.len(),
            "errors": self.errors,
            "last_error": self.last_error,
            "seconds": since.elapsed().as_secs_f64(),
            "p50": at(0.50), "p90": at(0.90), "p99": at(0.99), "p999": at(0.999),
            "worst_us_and_when_s": worst,
        });
        println!("{line}");
    }
}
