//! Pure: the state of the whole site as one value: what `mainstay status --json`, the live page and
//! the alert rules read. Serialized: its fields are a promise to scripts.

use serde::{Deserialize, Serialize};

/// The site now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteStatus {
    pub site: String,
    /// Wall clock of this observation, milliseconds since 1970.
    pub at_ms: u64,
    /// `starting`, `serving`, `degraded` (serving, but something is broken) or `down`.
    pub state: State,
    /// Why it is not `serving`: one sentence each.
    pub problems: Vec<String>,
    /// Addresses people can open, e.g. `http://127.0.0.1:8080`.
    pub urls: Vec<String>,
    pub dashboard: Option<String>,
    pub release: String,
    pub servers: Vec<ServerStatus>,
    pub endpoints: Vec<EndpointStatus>,
    pub members: Vec<MemberStatus>,
    /// Generation of the primary.
    pub generation: u64,
    /// The database is in maintenance: nobody is elected.
    #[serde(default)]
    pub paused: bool,
    /// `None`: the site has no backups.
    #[serde(default)]
    pub backup: Option<BackupStatus>,
    pub traffic: Traffic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Starting,
    Serving,
    Degraded,
    Down,
}

/// One server and the processes on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    pub name: String,
    pub address: String,
    pub roles: Vec<String>,
    pub processes: Vec<ProcessStatus>,
}

/// One process of a role: `balancer`, `web`, `app/1`, `sql-router`, `database`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessStatus {
    pub name: String,
    pub pid: Option<u32>,
    /// `starting`, `ready`, `draining`, `waiting` (for its next start), `failed`, `stopped`.
    pub state: String,
    pub restarts: u32,
    pub since_ms: u64,
    /// The last reason for its state, empty when there is nothing to say.
    pub reason: String,
}

/// An endpoint as the balancer sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointStatus {
    pub balancer: String,
    pub backend: String,
    pub name: String,
    pub address: String,
    /// As far as its health says; what people want of it is in `standing`.
    pub up: bool,
    /// `up`, `draining`, `in maintenance` …
    pub standing: String,
    /// Wall clock of the last change, milliseconds since 1970.
    pub since_ms: u64,
    pub reason: String,
    pub weight: u16,
    /// What somebody has set in place of the site file's.
    pub wished_weight: Option<u16>,
    pub backup: bool,
    pub requests: u64,
    pub failures: u64,
    pub open: u64,
}

/// A database member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberStatus {
    pub name: String,
    pub server: String,
    pub address: String,
    /// `primary`, `replica`, `unknown`.
    pub role: String,
    /// `running`, `starting`, `rebuilding`, `down`.
    pub state: String,
    pub read_only: bool,
    /// Replicas: milliseconds behind the primary; `None` when not known.
    pub lag_ms: Option<u64>,
    pub gtid: String,
    pub reason: String,
}

/// Backups of the database. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BackupStatus {
    /// When the newest one was taken.
    pub newest_ms: Option<u64>,
    /// When a trial restore last succeeded.
    pub verified_ms: Option<u64>,
    /// Everything before it is in an archived log.
    pub archived_ms: Option<u64>,
    /// Between two backups, two trial restores, two looks at the logs.
    pub every_ms: u64,
    pub verify_ms: u64,
    pub archive_ms: u64,
    pub backups: u64,
    /// As stored, of backups and logs.
    pub bytes: u64,
    /// What is being done now.
    pub doing: Option<String>,
    /// Why the last try failed.
    pub failed: Option<String>,
    /// The newest backup, when its trial restore failed, and how.
    pub bad: Option<String>,
    pub archive_failed: Option<String>,
    /// One sentence: what is due, or why nothing is.
    pub reason: String,
}

/// What the balancers and routers have done since they started; monotonic counters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    pub requests: u64,
    /// By class of status: index 0 = 1xx … 4 = 5xx.
    pub by_class: [u64; 5],
    /// Requests that took at most the bound (seconds) of the same index of
    /// `telemetry::metrics::LATENCY_SECONDS`; cumulative; the last one counts all.
    pub latency: Vec<u64>,
    pub bytes_out: u64,
    pub connections: u64,
    pub sql_to_primary: u64,
    pub sql_to_replica: u64,
}
