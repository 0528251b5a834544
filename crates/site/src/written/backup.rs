//! Pure: `[database.backup]` as a person may write it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::at::At;
use crate::spelling::Value;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BackupSection {
    /// Where backups are kept: a directory, relative to the site file or absolute (a disk of its own, a
    /// mounted share), `server:NAME` for a directory that Mainstay keeps on another server of the site, or
    /// `s3://BUCKET/PREFIX` for storage that speaks S3 (then `[database.backup.s3]` says where it is).
    #[schemars(required, extend("examples" = ["/mnt/backups/foobar"]))]
    pub to: Option<At<String>>,
    /// Between two full backups. Default `"1d"`.
    #[schemars(extend("examples" = ["1d"]))]
    pub every: Option<At<String>>,
    /// Between two backups, incremental ones in between: only what has changed. Default: full ones only.
    #[schemars(extend("examples" = ["1h"]))]
    pub incremental: Option<At<String>>,
    /// How far back a restore must reach, to any second of it. What is not needed for that is removed.
    /// Default `"14d"`.
    #[schemars(extend("examples" = ["14d"]))]
    pub keep: Option<At<String>>,
    /// Between two trial restores of the newest backup, with a server of its own and every table checked.
    /// Default `"7d"`.
    #[schemars(extend("examples" = ["7d"]))]
    pub verify: Option<At<String>>,
    /// How often the binary logs are archived: what may be lost when primary and replicas are lost
    /// together. Default `"5m"`.
    #[schemars(extend("examples" = ["5m"]))]
    pub archive_logs: Option<At<String>>,
    /// The key that backups are encrypted with, as the name of a secret: `{ secret = "backup-key" }`. It is
    /// made when there is none; a copy of it must be kept where the site is not. Default: not encrypted.
    #[schemars(extend("examples" = [{"secret": "backup-key"}]))]
    pub key: Option<At<Value>>,
    /// The storage of `to = "s3://…"`.
    pub s3: Option<At<S3Section>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct S3Section {
    /// Where it answers.
    #[schemars(required, extend("examples" = ["https://s3.eu-central-1.amazonaws.com"]))]
    pub endpoint: Option<At<String>>,
    /// The region requests are signed for. Default `"us-east-1"`, which most others than AWS take.
    #[schemars(extend("examples" = ["eu-central-1"]))]
    pub region: Option<At<String>>,
    /// Name of the secret with the id of the access key.
    #[schemars(required, extend("examples" = [{"secret": "s3-access-key"}]))]
    pub access_key: Option<At<Value>>,
    /// Name of the secret with the access key's secret half.
    #[schemars(required, extend("examples" = [{"secret": "s3-secret-key"}]))]
    pub secret_key: Option<At<Value>>,
}
