//! Pure: backups as a target has them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::milliseconds;
use crate::name::ServerName;

/// The backups of the site's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupTarget {
    pub to: BackupPlace,
    /// Between two full ones.
    #[serde(with = "milliseconds")]
    pub full: Duration,
    /// Between two of either kind; `None`: full ones only.
    pub incremental_ms: Option<u64>,
    /// How far back a restore must reach.
    #[serde(with = "milliseconds")]
    pub keep: Duration,
    /// Between two trial restores.
    #[serde(with = "milliseconds")]
    pub verify: Duration,
    /// Between two looks at the binary logs.
    #[serde(with = "milliseconds")]
    pub archive: Duration,
    /// Name of the secret with the key; `None`: not encrypted.
    pub key: Option<String>,
}

impl BackupTarget {
    pub fn incremental(&self) -> Option<Duration> {
        self.incremental_ms.map(Duration::from_millis)
    }
}

/// Where backups are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupPlace {
    /// Absolute, on the server that copies.
    Directory(PathBuf),
    /// In the state directory of that server.
    Server(ServerName),
    S3(S3Target),
}

/// A bucket; the keys are names of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Target {
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    /// Empty: none.
    pub prefix: String,
    pub access_key: String,
    pub secret_key: String,
}
