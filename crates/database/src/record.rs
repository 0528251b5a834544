//! Pure: what database members write into the cluster state and into their data directory.
//!
//! Serialized, so a change here is a change of a promise: unknown fields are refused, and `format`
//! grows with every incompatible change.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use site::name::MemberName;

/// Of all records.
pub const FORMAT: u32 = 2;

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

/// Key `database/state`: who is primary, by which right, and who has what it wrote.
///
/// One writer at a time: the holder of the lease, and who takes it over. Every write is a
/// compare-and-put on the revision before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRecord {
    pub format: u32,
    /// Holds the lease; writable once it is the `writer` too.
    pub primary: MemberName,
    pub generation: Generation,
    /// Grows by one with every write. Each write by the primary renews its lease.
    pub revision: u64,
    pub lease: Lease,
    /// Who was allowed to write last: it has every acknowledged write. Differs from `primary` from
    /// its election until it has applied all that it received.
    pub writer: MemberName,
    pub sync_set: SyncSet,
    /// Elected by order, without the proof that it has everything.
    pub forced: bool,
    /// What the writer had in its binary log (MariaDB GTID list) when it was looked at last.
    pub position: String,
    /// The revision with which that was written: later writes may repeat it.
    pub position_of: u64,
    /// Why the last change of primary was made.
    pub why: String,
    /// Changes of primary, oldest first, the current one last; at most `HISTORY`.
    pub history: Vec<Change>,
}

/// Changes of primary that are remembered: what a member that was away for longer has of its own
/// cannot be told, and it is rebuilt.
pub const HISTORY: usize = 16;

/// The right to be primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lease {
    /// For a bounded time after the write, by the clock of who looks.
    Held,
    /// Given up: the primary's server takes no writes.
    Released,
}

/// The members known to hold every acknowledged write, beside the writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncSet {
    /// Nobody acknowledges: a failover may lose what was not replicated yet.
    Async,
    /// A write is acknowledged by one of these, nobody knows which. None: the primary writes alone,
    /// and nobody may take its place.
    Members(BTreeSet<MemberName>),
}

impl SyncSet {
    pub fn alone() -> Self {
        Self::Members(BTreeSet::new())
    }

    /// Those that may acknowledge; `None` when nobody does.
    pub fn members(&self) -> Option<&BTreeSet<MemberName>> {
        match self {
            Self::Members(members) if !members.is_empty() => Some(members),
            Self::Members(_) | Self::Async => None,
        }
    }
}

impl fmt::Display for SyncSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Async => f.write_str("asynchronous"),
            Self::Members(members) if members.is_empty() => f.write_str("none, the primary alone"),
            Self::Members(members) => {
                let names: Vec<&str> = members.iter().map(MemberName::as_str).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

/// One change of primary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub generation: Generation,
    pub primary: MemberName,
    /// Where its generation begins (MariaDB GTID list): what an earlier primary has beyond that is
    /// its own.
    pub began: String,
    /// Wall clock, milliseconds since 1970: for people, and for the pauses between failovers.
    pub at_ms: u64,
    pub why: String,
}

/// Key `database/request`: what people ask of the cluster. Written by the command line only; what
/// names a generation is over when that generation is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRecord {
    /// Maintenance: nobody is elected, nothing is started, ended or rebuilt.
    pub paused: bool,
    pub switchover: Option<Wanted>,
    /// Become primary without the proof that nothing is lost.
    pub force: Option<Wanted>,
    /// End a server in order and start it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

/// One life of a server: another one is not meant, so nobody restarts twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    pub member: MemberName,
    pub pid: u32,
}

/// Another primary, asked for in `generation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub generation: Generation,
    /// `None`: whoever is best.
    pub to: Option<MemberName>,
}

impl StateRecord {
    /// Who is primary in which generation.
    pub fn obeyed(&self) -> Obeyed {
        Obeyed {
            primary: self.primary.clone(),
            generation: self.generation,
        }
    }

    /// Whoever is elected has to show that it has every acknowledged write.
    pub fn asks_for_proof(&self) -> bool {
        !self.forced && self.sync_set != SyncSet::Async
    }

    /// The primary has all acknowledged writes and may be writable.
    pub fn is_open(&self) -> bool {
        self.writer == self.primary
    }
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
    pub standing: Standing,
}

/// What a member has, for an election.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The revision of `database/state` it has seen last.
    pub seen: u64,
    /// The promise: it receives nothing more as long as the state has this revision.
    pub stopped_for: Option<u64>,
    /// What it has received (MariaDB GTID list).
    pub received: String,
    /// What it has applied.
    pub applied: String,
    /// Everything that it ever acknowledged is in `received`: its server has not lost relay logs.
    pub whole: bool,
    /// It has transactions of its own.
    pub errant: bool,
    /// What it has received does not fit its data.
    pub broken: bool,
    /// It receives from the primary, or tries to.
    pub receives: bool,
    /// It is connected to the primary and hears it.
    pub linked: bool,
    /// How far it is behind, milliseconds.
    pub lag_ms: Option<u64>,
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
