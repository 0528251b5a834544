//! Pure: what is written down beside a backup and beside an archived log.
//!
//! Serialized, and read by later versions and on other machines, so a change here is a change of a
//! promise: unknown fields are refused, and `FORMAT` grows with every incompatible change. A backup
//! exists when its manifest does: the manifest is written last.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use site::name::MemberName;

/// Of all records in this file.
pub const FORMAT: u32 = 1;

/// Each file of a record: with the SHA-256 of the record's compact JSON, so that a changed byte is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summed<T> {
    pub record: T,
    pub sha256: String,
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// All of the data.
    Full,
    /// The pages that have changed since another backup.
    Incremental,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        })
    }
}

/// Key `database/history` of the cluster state: which course of the data this is. It grows when the
/// live data is replaced by a restored state: what was written after that state is in no later backup,
/// and its GTIDs are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryRecord {
    pub format: u32,
    pub history: u64,
}

/// One stored object: what came out of the tool, compressed, perhaps encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Its name at the destination.
    pub name: String,
    /// Before compression.
    pub plain_bytes: u64,
    pub bytes: u64,
    /// Of the bytes as they are stored, hexadecimal.
    pub sha256: String,
    /// The age recipient (public key) it is encrypted for; `None`: it is not encrypted.
    pub recipient: Option<String>,
}

/// A backup: `backups/ID/manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub site: String,
    /// Also its name for people: `20261125-031500-full`.
    pub id: String,
    pub kind: Kind,
    /// The backup an incremental one builds on.
    pub base: Option<String>,
    pub history: u64,
    /// Whose data was copied.
    pub member: MemberName,
    /// The data directory's mark: LSNs of another one mean something else.
    pub lineage: String,
    /// Milliseconds since 1970. The backup shows the data as it was when the copy ended.
    pub began_ms: u64,
    pub ended_ms: u64,
    /// The position (MariaDB GTID list) the data stands at.
    pub position: String,
    /// InnoDB's log sequence numbers, from the tool's own `xtrabackup_checkpoints`.
    pub from_lsn: u64,
    pub to_lsn: u64,
    pub server_version: String,
    pub data: Stored,
}

/// A binary log that was closed and copied: `logs/ID.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRecord {
    pub format: u32,
    pub site: String,
    /// `20261125-031500-db-1-bin.000007`: when the server began it, whose, its name there.
    pub id: String,
    pub history: u64,
    pub member: MemberName,
    pub file: String,
    /// The position before its first transaction, and after its last.
    pub before: String,
    pub after: String,
    /// Seconds since 1970, as the server stamped them; `None`: no transaction in it.
    pub first_s: Option<u64>,
    pub last_s: Option<u64>,
    /// When it was closed: everything until then is in it or in those before.
    pub closed_s: u64,
    pub transactions: u64,
    pub data: Stored,
}

/// How a trial restore ended: `backups/ID/verified.json`, the newest one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    pub format: u32,
    pub id: String,
    pub at_ms: u64,
    pub took_ms: u64,
    /// Why it failed; `None`: it is good.
    pub failed: Option<String>,
    /// `CHECKSUM TABLE` of every table: a later restore of the same backup must give the same.
    pub tables: BTreeMap<String, String>,
}

impl Verification {
    pub fn is_good(&self) -> bool {
        self.failed.is_none()
    }
}
