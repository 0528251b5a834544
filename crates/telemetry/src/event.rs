//! Pure: one thing that happened to the site, and why, for people and for alerts.

use serde::{Deserialize, Serialize};

/// What changed. Written to the event log, shown by `status` and the live page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Wall clock, milliseconds since 1970 (for people; never used to decide).
    pub at_ms: u64,
    pub severity: Severity,
    /// The server it happened on; empty when it concerns the whole site.
    pub server: String,
    /// What it is about: `endpoint app-1`, `member db-1.2`, `instance app-1/2`, `balancer`.
    pub subject: String,
    /// One word for machines: `endpoint-down`, `endpoint-up`, `instance-exited`, `primary` …
    pub kind: String,
    /// One sentence for people, with the reason.
    pub what: String,
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
