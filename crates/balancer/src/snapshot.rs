//! Pure: what the balancer knows, one value that is swapped whole; and what it answers when asked for
//! its status. The only serialized types of this crate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use site::target::BalancerTarget;

/// Everything a balancer needs to know, made by its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub target: BalancerTarget,
    /// Needed when the target has an HTTPS listener.
    pub certificate: Option<Certificate>,
    /// One JSON object per exchange is appended to it.
    pub access_log: PathBuf,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// The answer to `About::Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub endpoints: Vec<EndpointStatus>,
    pub requests: u64,
    /// 1xx to 5xx.
    pub by_class: [u64; 5],
    /// Requests within each bound of `telemetry::metrics::LATENCY_SECONDS`, cumulative; then all.
    pub latency: Vec<u64>,
    pub bytes_out: u64,
    pub connections: u64,
}

/// One endpoint as this balancer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointStatus {
    pub name: String,
    pub address: String,
    pub up: bool,
    /// Wall clock of the last change, milliseconds since 1970.
    pub since_ms: u64,
    pub reason: String,
    pub requests: u64,
    pub failures: u64,
    pub open: u64,
}
