//! Pure: what a web server knows, one value that is swapped whole; and what it answers when asked for
//! its status. The only serialized types of this crate.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use site::target::WebTarget;

/// Everything a web server needs to know, made by its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub target: WebTarget,
    /// Root of the release being served; `None` before the first.
    pub release: Option<PathBuf>,
    /// Whether this server runs an app at all.
    pub has_app: bool,
    pub instances: Vec<Instance>,
    /// What visitors have seen of the database goes with them.
    pub visitors: Option<Visitors>,
}

/// The way to the SQL router that the app here uses, and the key of the visitors' cookies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visitors {
    pub socket: PathBuf,
    pub cookie_key: PathBuf,
}

/// One process of the app on this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// `app-1/2`.
    pub name: String,
    pub listen: Listen,
    /// It answered its health check the last time it was asked.
    pub ready: bool,
}

/// Where an instance listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listen {
    Socket(PathBuf),
    Port(SocketAddr),
}

/// The answer to `About::Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub requests: u64,
    pub by_class: [u64; 5],
    pub bytes_out: u64,
    pub connections: u64,
    /// Static files that can be served.
    pub files: u64,
    pub instances_ready: u64,
}
