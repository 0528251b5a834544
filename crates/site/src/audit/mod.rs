//! Pure: what is weak in a site that is valid: the holes of the classic design, each with what it
//! costs and the lines that close it. One file per kind.

mod endpoints;
mod monitoring;
mod propose;
mod security;
mod single_point;

use std::fmt;

use crate::topology::{Place, Site};

/// One weakness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable, for programs: `balancer-alone`.
    pub code: &'static str,
    pub kind: Kind,
    pub severity: Severity,
    /// What is so: "lb-1 is the only balancer".
    pub what: String,
    /// What it costs when it goes wrong.
    pub consequence: String,
    /// Lines for the site file that close it.
    pub add: Vec<String>,
    /// What the finding is about. None: something that stands nowhere in the file.
    pub at: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One failure that takes the site, or a part of it, with it.
    SinglePoint,
    Security,
    Monitoring,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The site or its data is lost or open.
    High,
    /// A part of it, or only under a second condition.
    Medium,
    /// A habit that will hurt one day.
    Low,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SinglePoint => "single-point",
            Self::Security => "security",
            Self::Monitoring => "monitoring",
        }
    }
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Everything the audit found, by kind, the severest first.
pub type Findings = Vec<Finding>;

/// Looks at the whole site.
pub fn audit(site: &Site) -> Findings {
    let mut findings = Vec::new();
    if site.alone {
        // What stands behind it, and beside it, is not in the file.
        endpoints::look(site, &mut findings);
        security::look_alone(site, &mut findings);
    } else {
        single_point::look(site, &mut findings);
        endpoints::look(site, &mut findings);
        security::look(site, &mut findings);
        monitoring::look(site, &mut findings);
    }
    findings.sort_by_key(|finding| (finding.kind, finding.severity, finding.at));
    findings
}

/// "a", "a and b", "a, b and c".
fn listed<T: fmt::Display>(items: &[T]) -> String {
    let words: Vec<String> = items.iter().map(T::to_string).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests;
