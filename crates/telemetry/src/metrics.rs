//! Prometheus exposition: text out of a registry, and labels added to the text of another process.
//!
//! Format: Prometheus/OpenMetrics text exposition, version 1.0.0.

use std::collections::BTreeMap;
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

/// The registry as text, in the plain Prometheus format: without OpenMetrics' closing `# EOF` (several
/// are joined into one answer), and with a counter's family named as its samples are, `…_total`.
pub fn exposition(registry: &Registry) -> String {
    let mut text = String::new();
    if prometheus_client::encoding::text::encode(&mut text, registry).is_err() {
        text.clear();
    }
    let counters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut out = String::with_capacity(text.len() + counters.len() * 16);
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(&name) => {
                // Writing to a String cannot fail.
                writeln!(out, "# {what} {name}_total {rest}").unwrap_or_default();
            }
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// Joins the expositions of several processes into one: each sample gets its process's labels
/// (`name="value",…`), each family stands together under one head, as the format demands.
pub fn merge(parts: &[(String, String)]) -> String {
    let mut families: BTreeMap<&str, (String, String)> = BTreeMap::new();
    for (labels, text) in parts {
        let mut family = "";
        for line in text
            .lines()
            .filter(|line| *line != "# EOF" && !line.is_empty())
        {
            if let Some(comment) = line.strip_prefix("# ") {
                family = comment.split(' ').nth(1).unwrap_or_default();
                let (head, _) = families.entry(family).or_default();
                if !head.contains(line) {
                    head.push_str(line);
                    head.push('\n');
                }
            } else {
                let (_, samples) = families.entry(family).or_default();
                push_labelled(samples, line, labels);
            }
        }
    }
    families
        .into_values()
        .fold(String::new(), |text, (head, samples)| {
            text + &head + &samples
        })
}

fn push_labelled(out: &mut String, line: &str, labels: &str) {
    let (name, own, value) = match line.split_once('{') {
        Some((name, rest)) => match rest.rsplit_once('}') {
            Some((own, value)) => (name, own, value.trim_start()),
            None => return,
        },
        None => match line.split_once(' ') {
            Some((name, value)) => (name, "", value),
            None => return,
        },
    };
    let comma = if own.is_empty() { "" } else { "," };
    // Writing to a String cannot fail.
    writeln!(out, "{name}{{{labels}{comma}{own}}} {value}").unwrap_or_default();
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
    use super::{Counter, Registry, exposition, merge};

    #[test]
    fn families_of_several_processes_stand_together() {
        let text =
            "# HELP a Help.\n# TYPE a counter\na_total 3\n# TYPE b gauge\nb{x=\"1\"} 2\n# EOF\n";
        let parts = [
            ("s=\"1\"".to_owned(), text.to_owned()),
            ("s=\"2\"".to_owned(), text.to_owned()),
        ];
        assert_eq!(
            merge(&parts),
            "# HELP a Help.\n# TYPE a counter\na_total{s=\"1\"} 3\na_total{s=\"2\"} 3\n\
             # TYPE b gauge\nb{s=\"1\",x=\"1\"} 2\nb{s=\"2\",x=\"1\"} 2\n"
        );
    }

    #[test]
    fn a_counters_family_is_named_as_its_samples_are() {
        let mut registry = Registry::default();
        let counter = Counter::<u64>::default();
        registry.register("things", "Things seen", counter.clone());
        counter.inc();
        assert_eq!(
            exposition(&registry),
            "# HELP things_total Things seen.\n# TYPE things_total counter\nthings_total 1\n"
        );
    }
}
