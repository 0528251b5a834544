//! Pure: what the router knows of the site, one value that is swapped whole; and what it answers
//! when asked for its status. The only serialized types of this crate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use site::name::MemberName;
use site::target::SqlRouterTarget;

/// Everything a router needs to know, made by its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub target: SqlRouterTarget,
    pub servers: Servers,
    /// Logs in to the members to read the users; may do nothing else.
    pub service_user: String,
    /// File (mode 0600) with the service user's password.
    pub service_password_file: PathBuf,
}

/// Who is primary, and how the replicas are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Servers {
    /// Grows by one at every change of primary; a lower one is never obeyed.
    pub generation: u64,
    /// None while there is no primary: statements wait up to `target.hold`.
    pub primary: Option<MemberName>,
    pub replicas: Vec<Replica>,
}

/// A replica as its keeper saw it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    pub member: MemberName,
    /// Both threads run and it follows this generation's primary.
    pub replicating: bool,
    /// `None`: not known, so it gets no reads.
    pub lag_ms: Option<u64>,
}

/// The router's answer to `About::Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub sessions: u64,
    /// Statements so far, by where they went.
    pub to_primary: u64,
    pub to_replica: u64,
    /// Reads that went to the primary because no replica had what the session had seen in time.
    pub causal_fallback: u64,
    pub errors: u64,
}
