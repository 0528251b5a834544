//! Pure: what each server has to be. A `Target` leaves no choice to whoever carries it out: every
//! address, port, name and limit stands in it. It is written by `derive`, checked by
//! `check_target`, and obeyed by the agents.
//!
//! Serialized: the agents of one site exchange it, so a change here is a change of a promise.
//! Unknown fields are refused; `VERSION_OF_FORMAT` grows with every incompatible change.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{MemberName, ServerName};
use backup::BackupTarget;
use balancer::{BalancerTarget, CertificateFiles};

pub mod backup;
pub mod balancer;

/// Grows with every incompatible change of the types in this file.
pub const VERSION_OF_FORMAT: u32 = 2;

/// How a value of `AppTarget::env` refers to a secret: `secret:NAME`. The value itself is filled in
/// where the process is started, so that no target ever carries it.
pub const SECRET_PREFIX: &str = "secret:";

/// The name of the secret that a value of `AppTarget::env` refers to, if it does.
pub fn secret_name(value: &str) -> Option<&str> {
    value.strip_prefix(SECRET_PREFIX)
}

/// What every server of one site has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub format: u32,
    /// Grows by one with each applied change.
    pub version: u64,
    /// The version this one was made from; it may replace only that one.
    pub parent: u64,
    pub site: String,
    pub servers: BTreeMap<ServerName, ServerTarget>,
    /// Of the database; one schedule for all of its members.
    #[serde(default)]
    pub backup: Option<BackupTarget>,
}

/// What one server has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTarget {
    pub address: IpAddr,
    /// Where this server's metrics and admin interface listen.
    pub admin: SocketAddr,
    pub balancer: Option<BalancerTarget>,
    pub web: Option<WebTarget>,
    pub app: Option<AppTarget>,
    pub sql_router: Option<SqlRouterTarget>,
    /// The database members this server keeps: usually one, none on most servers.
    pub database: Vec<MemberTarget>,
}

/// nginx's place, on each app server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebTarget {
    pub listen: SocketAddr,
    /// Directory of static files, relative to the release's root; absolute when the site has no app
    /// and so no release. `None`: no static files.
    pub static_dir: Option<String>,
    /// Names tried in a directory, in order.
    pub index: Vec<String>,
    /// `Cache-Control: max-age` of static files.
    #[serde(with = "milliseconds")]
    pub max_age: Duration,
    /// Where the health answer for the balancer is found; never passed on to the app.
    pub health_path: String,
    /// Peers whose `X-Forwarded-*` is believed: the balancers.
    pub trusted: Vec<IpAddr>,
    pub limits: WebLimits,
}

/// Bounds of one web server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebLimits {
    pub connections: u32,
    #[serde(with = "milliseconds")]
    pub connect: Duration,
    #[serde(with = "milliseconds")]
    pub request_head: Duration,
    #[serde(with = "milliseconds")]
    pub response_head: Duration,
    #[serde(with = "milliseconds")]
    pub idle_body: Duration,
    #[serde(with = "milliseconds")]
    pub keep_alive: Duration,
    pub request_body: u64,
    #[serde(with = "milliseconds")]
    pub drain: Duration,
}

/// The application on one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppTarget {
    /// The code base, absolute. A release is an immutable copy of it, named by its content.
    pub source: PathBuf,
    /// Program and arguments, run in the release's root. A first word with a `/` is relative to it.
    pub command: Vec<String>,
    /// Run once per release, on one server, before its first instance. Empty: nothing to run.
    pub migrate: Vec<String>,
    pub instances: u16,
    pub listen: InstanceListen,
    /// Asked over HTTP: 2xx means the instance is ready.
    pub health_path: String,
    /// Environment besides what Mainstay sets (`PORT` or `SOCKET`, `DATABASE_URL`, `MAINSTAY_*`).
    /// A value may be the reference to a secret: see `secret_name`.
    pub env: BTreeMap<String, String>,
    /// From start to ready; then the instance counts as failed.
    #[serde(with = "milliseconds")]
    pub start_timeout: Duration,
    /// From SIGTERM to SIGKILL.
    #[serde(with = "milliseconds")]
    pub stop_timeout: Duration,
    /// How often a ready instance is asked for its health.
    #[serde(with = "milliseconds")]
    pub health_interval: Duration,
}

/// How an instance is told where to listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceListen {
    /// `SOCKET=/path` in the environment, a unix socket that the instance creates.
    Socket,
    /// `PORT=n` and `HOST=address`; instance `i` gets `first + i` on the server's address.
    Port { first: u16 },
}

/// ProxySQL's place, beside the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlRouterTarget {
    pub listen: SocketAddr,
    /// Where it listens besides.
    pub socket: Option<PathBuf>,
    /// What clients are shown, in the place of the site's own certificate.
    pub certificate: Option<CertificateFiles>,
    /// Clients that do not use TLS are refused, but for those of the socket.
    #[serde(default)]
    pub require_tls: bool,
    /// Every database member of the site.
    pub members: Vec<MemberAddress>,
    /// Client sessions open at once.
    pub sessions: u32,
    /// Connections to each member at once; sessions share them.
    pub connections: u32,
    pub pool: SqlPool,
    /// How long a read waits for a replica to have what this session has seen.
    #[serde(with = "milliseconds")]
    pub causal_wait: Duration,
    /// How long a statement waits for a primary when there is none.
    #[serde(with = "milliseconds")]
    pub hold: Duration,
    /// A replica further behind gets no reads.
    #[serde(with = "milliseconds")]
    pub max_lag: Duration,
    /// None: no statement is written down.
    pub slow: Option<SlowLog>,
    pub routing: SqlRouting,
    /// By the name of the database user, for those that have rules of their own.
    pub users: BTreeMap<String, SqlRouting>,
    /// Sessions of one database user at once, for those that have a bound.
    pub user_sessions: BTreeMap<String, u32>,
}

impl SqlRouterTarget {
    /// Does anybody read on behalf of visitors?
    pub fn follows_visitors(&self) -> bool {
        let mut all = self.users.values().chain([&self.routing]);
        all.any(|routing| routing.consistency == Consistency::Visitor)
    }

    /// The rules for a database user.
    pub fn routing_of(&self, user: &str) -> SqlRouting {
        self.users.get(user).copied().unwrap_or(self.routing)
    }
}

/// Connections to members that no session uses, of each thread of the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlPool {
    /// One that nobody used for so long is closed, unless it is one of those kept ready.
    #[serde(with = "milliseconds")]
    pub idle_age: Duration,
    /// One this old is closed when no session has it.
    #[serde(with = "milliseconds")]
    pub max_age: Duration,
    /// Kept ready to each member in use, for each user that has logged in.
    pub ready: u8,
}

/// Which statements the router writes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowLog {
    /// Those that take this long, or longer.
    #[serde(with = "milliseconds")]
    pub from: Duration,
    /// With the values in them.
    pub values: bool,
}

/// How a user's statements are routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlRouting {
    pub mode: SqlMode,
    pub consistency: Consistency,
}

/// Which statements go to replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "mode")]
pub enum SqlMode {
    /// Those that are provably reads; the others go to the primary.
    Split,
    /// None.
    Primary,
    /// Those that are provably reads; others that read or write data are refused.
    Replica,
}

impl SqlMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

/// What a read on a replica has to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "consistency")]
pub enum Consistency {
    /// What the session has written, and what it has read before.
    Session,
    /// What is there, at most `max-lag` old.
    Eventual,
    /// What the visitor of the site on whose behalf it is read has written and read before, whichever
    /// server and connection that was on; and what the session has.
    Visitor,
    /// Every write of anybody that was acknowledged before it.
    Strong,
}

impl Consistency {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Eventual => "eventual",
            Self::Visitor => "visitor",
            Self::Strong => "strong",
        }
    }
}

/// A database member as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberAddress {
    pub name: MemberName,
    pub server: ServerName,
    pub address: SocketAddr,
}

/// One database server process of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberTarget {
    pub name: MemberName,
    pub listen: SocketAddr,
    /// Unique in the site, never 0 (MariaDB: `server_id`).
    pub server_id: u32,
    /// Where the very first primary is made. Later the cluster state says who is primary.
    pub first_primary: bool,
    /// Database and user of the application.
    pub schema: String,
    pub user: String,
    /// The addresses of all members: who may replicate from whom.
    pub members: Vec<MemberAddress>,
    /// Every write is acknowledged by a replica (`replication = "semi-sync"`).
    pub acknowledged: bool,
    /// `innodb_buffer_pool_size`, bytes.
    pub buffer_pool: u64,
    /// The user's own server variables, already checked.
    pub settings: BTreeMap<String, String>,
    #[serde(with = "milliseconds")]
    pub max_lag: Duration,
}

/// Durations as whole milliseconds.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
