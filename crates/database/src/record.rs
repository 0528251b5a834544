//! Pure: what database members write into the cluster state and into their data directory.
//!
//! Serialized, so a change here is a change of a promise: unknown fields are refused, and `format`
//! grows with every incompatible change.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use site::name::MemberName;

/// Of all three records.
pub const FORMAT: u32 = 1;

/// Grows by one with every change of primary. A lower one is never obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    pub const FIRST: Self = Self(1);

    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Key `database/state`: who is primary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRecord {
    pub format: u32,
    pub primary: MemberName,
    pub generation: Generation,
}

/// Who was primary in which generation, as one member last heard it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obeyed {
    pub primary: MemberName,
    pub generation: Generation,
}

/// Key `database/members/NAME`: how a member is reached by the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRecord {
    pub format: u32,
    pub server_id: u32,
    /// The machine's boot id: members with the same one can use each other's socket and files.
    pub machine: String,
    pub socket: PathBuf,
    pub data_dir: PathBuf,
    /// Its answer to "who was primary last?" when the cluster state was lost.
    pub obeyed: Option<Obeyed>,
}

/// File `mainstay-member.json` in a data directory: whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    pub format: u32,
    pub site: String,
    pub member: MemberName,
    pub server_id: u32,
    pub obeyed: Option<Obeyed>,
    /// Set by a rebuild: the position (MariaDB GTID list) the copied data stands at, from which
    /// replication has to begin. Cleared when it does.
    pub start_from: Option<String>,
}
