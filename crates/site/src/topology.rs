//! Pure: the site as it is meant: every default filled in, every name known to resolve. An `Option`
//! here says "the site has none", never "the default". Made by `resolve`, read by `audit` and
//! `derive`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::name::{MemberName, ServerName};
use crate::target::backup::BackupTarget;
use crate::target::balancer::{
    AccessLogFormat, BackendTarget, BalancerLimits, CertificateFiles, ClientCertificates,
    ListenerTarget, Network, RouteTarget,
};
use crate::target::{SlowLog, SqlPool, SqlRouting};

/// A whole site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Name of the file this was read from, for messages.
    pub file: String,
    pub name: String,
    /// A balancer in front of anything: the file names no server.
    pub alone: bool,
    /// Lower case; empty only for a balancer alone, which answers for any.
    pub domains: Vec<String>,
    /// In the order of the file.
    pub servers: Vec<Server>,
    pub balancer: Balancer,
    pub web: Web,
    /// None: a site of static files only.
    pub app: Option<App>,
    pub database: Option<Database>,
    pub sql_router: SqlRouter,
    pub virtual_address: Option<VirtualAddress>,
    /// None: no HTTPS in production.
    pub tls: Option<Tls>,
    /// None: no section, or `enabled = false`.
    pub firewall: Option<Firewall>,
    pub monitoring: Monitoring,
    pub alerts: Alerts,
}

/// Where in the file something stands, both from 1. What a default made has its section's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub name: ServerName,
    pub address: IpAddr,
    pub roles: BTreeSet<Role>,
    /// Its `[servers.NAME]`.
    pub at: Place,
    /// Its `roles = …`.
    pub roles_at: Place,
}

impl Server {
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "role")]
pub enum Role {
    /// Takes the visitors' requests and shares them.
    Balancer,
    /// Serves static files and passes the rest to the app beside it.
    Web,
    /// Runs the application.
    App,
    /// Keeps the data.
    Database,
    /// One vote when the servers must agree.
    Coordinator,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Balancer => "balancer",
            Self::Web => "web",
            Self::App => "app",
            Self::Database => "database",
            Self::Coordinator => "coordinator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The rules of the balancers. What the types of the target say, they say here too; file paths are
/// relative to the site file, and the site's own listeners, its web servers and the route to them are
/// added by `derive`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balancer {
    pub http: u16,
    /// Used when the site has HTTPS.
    pub https: u16,
    pub proxy_protocol: bool,
    pub http2: bool,
    pub tls12: bool,
    pub certificates: Vec<CertificateFiles>,
    pub client_certificates: Option<ClientCertificates>,
    /// Besides `http` and `https`.
    pub listeners: Vec<ListenerTarget>,
    pub trusted_proxies: Vec<Network>,
    pub limits: BalancerLimits,
    pub access_log: AccessLogFormat,
    pub reason_header: bool,
    pub error_pages: Option<PathBuf>,
    /// The one named `web` is the site's own web servers; it has no endpoints here.
    pub backends: Vec<BackendTarget>,
    pub routes: Vec<RouteTarget>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Relative to the application's directory. None: no static files.
    pub static_dir: Option<String>,
    pub index: Vec<String>,
    pub max_age: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Relative to the site file's directory.
    pub path: String,
    /// Program and arguments, never empty.
    pub command: Vec<String>,
    /// Empty: nothing to run.
    pub migrate: Vec<String>,
    pub instances: u16,
    pub listen: Listen,
    pub health: String,
    pub env: BTreeMap<String, EnvValue>,
    pub start_timeout: Duration,
    pub stop_timeout: Duration,
    pub at: Place,
    pub instances_at: Place,
}

/// How an instance is told where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    Socket,
    Port { first: u16 },
}

/// As it is written: the port stands in a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "way to listen")]
pub enum ListenKind {
    /// A unix socket, its path in `SOCKET`.
    Socket,
    /// A TCP port, its number in `PORT`.
    Port,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    Plain(String),
    /// The name of a secret that is kept outside the file.
    Secret(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    pub engine: Engine,
    pub replicas: u16,
    pub name: String,
    pub user: String,
    /// Bytes.
    pub buffer_pool: u64,
    /// Names with `_`, none of those that Mainstay sets itself.
    pub settings: BTreeMap<String, String>,
    pub max_lag: Duration,
    pub replication: Replication,
    pub backup: Option<Backup>,
    pub at: Place,
}

/// As the target has it, a directory as written: relative to the site file or absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub target: BackupTarget,
    pub at: Place,
}

/// What the types of the target say, they say here too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlRouter {
    pub routing: SqlRouting,
    /// By the name of the database user.
    pub users: BTreeMap<String, SqlRouting>,
    pub sessions: u32,
    /// None: what the database servers have room for.
    pub connections: Option<u32>,
    pub pool: SqlPool,
    /// Sessions at once, by the name of the database user.
    pub user_sessions: BTreeMap<String, u32>,
    pub slow: Option<SlowLog>,
    pub socket: Option<PathBuf>,
    /// As written: relative to the site file.
    pub certificate: Option<CertificateFiles>,
    pub require_tls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "database engine")]
pub enum Engine {
    Mariadb,
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "kind of replication")]
pub enum Replication {
    /// For the primary only: a failover may lose the last writes.
    Async,
    /// For one replica to have received it.
    SemiSync,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAddress {
    pub address: IpAddr,
    pub at: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub authority: Authority,
    pub email: Option<String>,
    /// HTTP is sent on to HTTPS.
    pub redirect: bool,
    pub hsts: Option<Duration>,
    pub at: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "authority")]
pub enum Authority {
    /// An authority of the site's own, which browsers must be told to trust.
    Local,
    /// A public authority (Let's Encrypt), which browsers trust.
    Acme,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// Empty: anybody.
    pub ssh_from: Vec<Network>,
    pub at: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitoring {
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// Empty: nobody is told.
    pub webhooks: Vec<Webhook>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub url: EnvValue,
    pub at: Place,
}

/// One database server process and where it is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: MemberName,
    pub server: ServerName,
    /// From 1; the first is where the primary is made.
    pub number: u32,
    /// From 0, counted on its server.
    pub nth_on_server: u16,
}

impl Site {
    /// In the order of the file.
    pub fn servers_with(&self, role: Role) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(move |server| server.has(role))
    }

    /// The database members: `replicas + 1` of them, placed round robin on the database servers in
    /// the order of the file, so that the first replica is on another server whenever there is one.
    pub fn members(&self) -> Vec<Member> {
        let Some(database) = &self.database else {
            return Vec::new();
        };
        let servers: Vec<&Server> = self.servers_with(Role::Database).collect();
        let count = u32::from(database.replicas) + 1;
        let mut members = Vec::new();
        for (number, (round, server)) in (1..=count).zip(rounds(&servers)) {
            let name = match round {
                0 => MemberName::new(server.name.as_str()),
                _ => MemberName::new(format!("{}.{}", server.name, round + 1)),
            };
            members.push(Member {
                name,
                server: server.name.clone(),
                number,
                nth_on_server: round,
            });
        }
        members
    }
}

/// The servers again and again, each with the number of the round.
fn rounds<'a>(servers: &'a [&'a Server]) -> impl Iterator<Item = (u16, &'a Server)> {
    (0..=u16::MAX).flat_map(move |round| servers.iter().map(move |server| (round, *server)))
}
