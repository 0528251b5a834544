//! What a parent and a role process say to each other: the only serialized types of this crate.
//!
//! Framing: a 4-byte big-endian length, then that many bytes of JSON (`control`). A snapshot's value
//! is opaque here; its type stands in the role's own `snapshot.rs`.

use serde::{Deserialize, Serialize};
use telemetry::Severity;

/// Grows with every incompatible change of the types in this file.
pub const FORMAT: u32 = 2;

/// From the parent to a role.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToRole {
    /// Replaces everything the role knew. Takes effect between two requests.
    Snapshot {
        version: u64,
        value: serde_json::Value,
    },
    /// Stop accepting, finish what is open, exit at the latest after `deadline_ms`.
    Drain { deadline_ms: u64 },
    /// Answered by `FromRole::Answer` with the same id.
    Ask { id: u64, about: About },
    /// Answered in the same way. The value's type stands in the role's own `snapshot.rs`.
    Question { id: u64, value: serde_json::Value },
}

/// What a role can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// JSON; its type stands in the role's `snapshot.rs`.
    Status,
    /// Prometheus text exposition.
    Metrics,
}

/// From a role to its parent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromRole {
    /// The first message: who is calling.
    Hello {
        format: u32,
        name: String,
        pid: u32,
    },
    /// The snapshot with this version is in force.
    Accepted {
        version: u64,
    },
    /// The snapshot was refused; the former one stays in force.
    Refused {
        version: u64,
        why: String,
    },
    /// Serving: the sockets are being accepted from.
    Ready,
    Answer {
        id: u64,
        text: String,
    },
    Event {
        severity: Severity,
        subject: String,
        kind: String,
        what: String,
    },
}
