//! Prometheus exposition: text out of a registry, and labels added to the text of another process.
//!
//! Format: Prometheus/OpenMetrics text exposition, version 1.0.0.

use std::fmt::{self, Write as _};

pub use prometheus_client::encoding::EncodeLabelSet;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
pub use prometheus_client::registry::Registry;

/// Upper bounds of latency buckets, seconds: 0.25 ms to 10 s, about a factor of 2.5 apart, so that a
/// percentile read from them is never off by more than that factor.
pub const LATENCY_SECONDS: [f64; 13] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 2.5, 10.0,
];

/// The registry as text, without the closing `# EOF` (several are joined into one answer).
pub fn exposition(registry: &Registry) -> String {
    let mut text = String::new();
    if prometheus_client::encoding::text::encode(&mut text, registry).is_err() {
        text.clear();
    }
    text.truncate(text.trim_end_matches("# EOF\n").len());
    text
}

/// Adds `labels` (already `name="value"`, comma separated) to every sample of an exposition.
pub fn with_labels(text: &str, labels: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    for line in text.lines().filter(|line| *line != "# EOF") {
        if line.starts_with('#') || line.is_empty() {
            out.push_str(line);
        } else if let Some((name, rest)) = line.split_once('{') {
            out.push_str(name);
            out.push('{');
            out.push_str(labels);
            if !rest.starts_with('}') {
                out.push(',');
            }
            out.push_str(rest);
        } else if let Some((name, rest)) = line.split_once(' ') {
            out.push_str(name);
            out.push('{');
            out.push_str(labels);
            out.push_str("} ");
            out.push_str(rest);
        }
        out.push('\n');
    }
    out
}

/// An exposition written by hand, by those whose counters are not in a registry because they are kept
/// per thread.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// Begins a family. `kind`: `counter`, `gauge` or `histogram`.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) -> &mut Self {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self
    }

    /// One sample. `labels`: `name="value",…` or empty.
    pub fn sample(&mut self, name: &str, labels: &str, value: impl fmt::Display) -> &mut Self {
        if labels.is_empty() {
            self.line(format_args!("{name} {value}\n"));
        } else {
            self.line(format_args!("{name}{{{labels}}} {value}\n"));
        }
        self
    }

    pub fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        self.0.write_fmt(line).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::with_labels;

    #[test]
    fn labels_are_added_to_every_sample() {
        let text = "# TYPE a counter\na_total 3\nb{x=\"1\"} 2\n# EOF\n";
        assert_eq!(
            with_labels(text, "server=\"lb-1\""),
            "# TYPE a counter\na_total{server=\"lb-1\"} 3\nb{server=\"lb-1\",x=\"1\"} 2\n"
        );
    }
}
