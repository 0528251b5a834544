//! Pure: what is told while a site starts.

use serde::{Deserialize, Serialize};

/// One step of a start. Serialized for `up --detach`, whose foreground half shows what the other does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Progress {
    /// It has begun.
    Begin { step: String },
    /// It is done; `detail` says what came of it.
    Done {
        step: String,
        detail: String,
        took_ms: u64,
    },
    /// The site answers.
    Ready(Ready),
    /// It could not be started, and everything is stopped again.
    Failed { what: String, next: String },
}

/// Where a running site is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    pub site: String,
    pub http: String,
    pub https: Option<String>,
    /// With its token: for the operator's eyes.
    pub dashboard: String,
    /// One per server: name and address of its metrics.
    pub metrics: Vec<(String, String)>,
    /// The authority to trust for HTTPS.
    pub authority: Option<String>,
    pub state: String,
    pub pid: u32,
    /// From the start to the first page.
    pub took_ms: u64,
}
