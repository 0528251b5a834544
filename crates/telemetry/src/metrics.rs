//! Prometheus exposition: text out of a registry, and labels added to the text of another process.
//!
//! Format: Prometheus/OpenMetrics text exposition, version 1.0.0.

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
