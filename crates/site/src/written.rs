//! Pure: the site file exactly as a person may write it. The one source of three things: the types
//! that serde fills, the JSON Schema that `mainstay schema` prints, and the shape that `parse`
//! checks (names of keys, kinds of values, ranges).
//!
//! Every field is optional here, whatever the meaning requires: what is missing or wrong is left
//! out, and the rest is still read, so that all problems are found at once. What a missing value
//! means is decided in `resolve/`. `examples` in the schema are what a message proposes to write.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::at::At;
use crate::spelling::{Scalar, Value, Words};
use crate::target::{Consistency, SqlMode};
use crate::topology::{Authority, Engine, ListenKind, Replication, Role};

pub mod backend;
pub mod backup;
pub mod balancer;
pub mod route;

use backend::BackendSection;
use backup::BackupSection;
use balancer::BalancerSection;
use route::RouteSection;

/// A website on several servers, in one file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "The site file of Mainstay")]
pub struct Written {
    /// Not of the file: sections of which something could not be read. What seems to be missing there
    /// may only be misspelt.
    #[serde(skip)]
    pub left_out: BTreeSet<String>,
    /// The site's name and the domains it answers for. Without it and without servers the file is of a
    /// balancer in front of anything: see `backends`.
    pub site: Option<At<SiteSection>>,
    /// The servers, one `[servers.NAME]` table each.
    pub servers: Option<BTreeMap<At<String>, At<ServerSection>>>,
    /// Where visitors arrive, and how requests are shared by the web servers.
    pub balancer: Option<At<BalancerSection>>,
    /// Endpoints anywhere, also not of this site, one `[backends.NAME]` table each. The backend `web` is
    /// the site's own web servers.
    pub backends: Option<BTreeMap<At<String>, At<BackendSection>>>,
    /// What a request gets, by host, path and more: the most specific route takes it. Requests for the
    /// site's domains that none takes go to the backend `web`, or to the only backend.
    pub routes: Option<At<Vec<At<RouteSection>>>>,
    /// Static files, served on every server with the role `web`.
    pub web: Option<At<WebSection>>,
    /// The application, run on every server with the role `app`.
    pub app: Option<At<AppSection>>,
    /// The database: one primary that takes writes, and replicas that serve reads.
    pub database: Option<At<DatabaseSection>>,
    /// The SQL router on every app server: what the replicas are asked, and what is written down of it.
    pub sql_router: Option<At<SqlRouterSection>>,
    /// One address that the balancers share: it moves when the one that holds it fails.
    pub virtual_address: Option<At<VirtualAddressSection>>,
    /// HTTPS. Without this section the servers offer HTTP only.
    pub tls: Option<At<TlsSection>>,
    /// Packet filter of every server. Without this section Mainstay touches no rule.
    pub firewall: Option<At<FirewallSection>>,
    /// Metrics and the admin interface of every server.
    pub monitoring: Option<At<MonitoringSection>>,
    /// Who is told when something breaks.
    pub alerts: Option<At<AlertsSection>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SiteSection {
    /// Short name of the site: lower-case letters, digits and `-`.
    #[schemars(required, extend("examples" = ["foobar"]))]
    pub name: Option<At<String>>,
    /// The domains the site answers for. Requests for others are refused.
    #[schemars(required, extend("examples" = [["www.foobar.com", "foobar.com"]]))]
    pub domains: Option<At<Vec<At<String>>>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerSection {
    /// The IP address at which the other servers reach this one.
    #[schemars(required, extend("examples" = ["10.0.0.11"]))]
    pub address: Option<At<String>>,
    /// What this server does.
    #[schemars(required, extend("examples" = [["web", "app"]]))]
    pub roles: Option<At<Vec<At<Role>>>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebSection {
    /// Directory of static files inside the application. Default `"static"`; `""` for none.
    #[schemars(extend("examples" = ["static"]))]
    pub r#static: Option<At<String>>,
    /// File names tried for a directory, in order. Default `["index.html"]`.
    #[schemars(extend("examples" = [["index.html"]]))]
    pub index: Option<At<Vec<At<String>>>>,
    /// How long browsers may keep a static file. Default `"1h"`.
    #[schemars(extend("examples" = ["1h"]))]
    pub max_age: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AppSection {
    /// Directory of the application, relative to the site file. Default `"app"`.
    #[schemars(extend("examples" = ["app"]))]
    pub path: Option<At<String>>,
    /// What starts one instance, run in the application's directory. No shell is involved.
    #[schemars(required, extend("examples" = [["bin/foobar"]]))]
    pub command: Option<At<Words>>,
    /// Run once per release before its first instance. Default: nothing.
    #[schemars(extend("examples" = [["bin/foobar", "migrate"]]))]
    pub migrate: Option<At<Words>>,
    /// Processes on each app server. Default 2.
    #[schemars(range(min = 1, max = 256), extend("examples" = [2]))]
    pub instances: Option<At<u16>>,
    /// How an instance is told where to listen: a unix socket (`SOCKET`) or a port (`PORT`).
    /// Default `socket`.
    #[schemars(extend("examples" = ["socket"]))]
    pub listen: Option<At<ListenKind>>,
    /// First port with `listen = "port"`; instance `i` gets the `i`th after it. Default 9000.
    #[schemars(range(min = 1024, max = 65535), extend("examples" = [9000]))]
    pub port: Option<At<u16>>,
    /// Path that answers 2xx when the instance is ready. Default `"/healthz"`.
    #[schemars(extend("examples" = ["/healthz"]))]
    pub health: Option<At<String>>,
    /// Environment variables. Secrets are named, not written: `{ secret = "name" }`.
    #[schemars(extend("examples" = [{"RAILS_ENV": "production"}]))]
    pub env: Option<BTreeMap<At<String>, At<Value>>>,
    /// From start to ready. Default `"60s"`.
    #[schemars(extend("examples" = ["60s"]))]
    pub start_timeout: Option<At<String>>,
    /// From SIGTERM to SIGKILL. Default `"10s"`.
    #[schemars(extend("examples" = ["10s"]))]
    pub stop_timeout: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DatabaseSection {
    /// The database server's software. Default `mariadb`.
    #[schemars(extend("examples" = ["mariadb"]))]
    pub engine: Option<At<Engine>>,
    /// Copies of the primary, placed round robin on the servers with the role `database`. Default 1.
    #[schemars(range(min = 0, max = 15), extend("examples" = [1]))]
    pub replicas: Option<At<u16>>,
    /// The application's database. Default: the site's name.
    #[schemars(extend("examples" = ["foobar"]))]
    pub name: Option<At<String>>,
    /// The application's user. Default: the database's name. Its password is made by Mainstay.
    #[schemars(extend("examples" = ["foobar"]))]
    pub user: Option<At<String>>,
    /// Memory for cached pages, per database server process. Default `"128MiB"`.
    #[schemars(extend("examples" = ["128MiB"]))]
    pub buffer_pool: Option<At<String>>,
    /// Further server variables of MariaDB.
    #[schemars(extend("examples" = [{"max_connections": 500}]))]
    pub settings: Option<BTreeMap<At<String>, At<Scalar>>>,
    /// A replica further behind gets no reads. Default `"5s"`.
    #[schemars(extend("examples" = ["5s"]))]
    pub max_lag: Option<At<String>>,
    /// What a commit waits for. Default `async`.
    #[schemars(extend("examples" = ["async"]))]
    pub replication: Option<At<Replication>>,
    /// Copies of the data kept elsewhere, on a schedule. Without this section there are none.
    pub backup: Option<At<BackupSection>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SqlRouterSection {
    /// Which statements go to replicas. `split`: those that are provably reads. `primary`: none.
    /// `replica`: those that are provably reads; others that read or write data are refused.
    /// Default `split`.
    #[schemars(extend("examples" = ["split"]))]
    pub mode: Option<At<SqlMode>>,
    /// What a read on a replica has to see. `session`: what its session has written, and what it has
    /// read before. `visitor`: also what the visitor of the site has, whichever server and connection
    /// that was on; the web server gives him a cookie for it. `eventual`: what is there, at most
    /// `max-lag` old. `strong`: every write that was acknowledged before it, of anybody. Default
    /// `session`.
    #[schemars(extend("examples" = ["session"]))]
    pub consistency: Option<At<Consistency>>,
    /// Sessions of clients at once, on each app server. Default 1000.
    #[schemars(extend("examples" = [2000]))]
    pub sessions: Option<At<u32>>,
    /// Connections to each database server at once, from each app server; sessions share them. Default:
    /// the database's `max_connections` less 23, divided by the number of app servers; at least 4.
    #[schemars(extend("examples" = [32]))]
    pub connections: Option<At<u32>>,
    /// A connection to a database server that no session has used for so long is closed. Default 30 s.
    #[schemars(extend("examples" = ["30s"]))]
    pub idle_age: Option<At<String>>,
    /// A connection to a database server is closed when it is this old and no session has it. Default 1 h.
    #[schemars(extend("examples" = ["1h"]))]
    pub max_age: Option<At<String>>,
    /// Connections kept ready to each database server in use, for each database user that has logged in, by
    /// each thread of a router. Default 1.
    #[schemars(extend("examples" = [1]))]
    pub ready: Option<At<u8>>,
    /// Statements that take so long, or longer, are written to the slow log (`mainstay logs sql-slow`).
    /// Default: none.
    #[schemars(extend("examples" = ["500ms"]))]
    pub slow: Option<At<String>>,
    /// The slow log shows statements with their values, which may be secrets. Default false: `?` in
    /// their place.
    #[schemars(extend("examples" = [true]))]
    pub slow_values: Option<At<bool>>,
    /// Clients that do not use TLS are refused, but for those of the `socket`. Default false: TLS is offered.
    #[schemars(extend("examples" = [true]))]
    pub require_tls: Option<At<bool>>,
    /// PEM file with the certificate that clients are shown and those between it and its authority, relative
    /// to the site file. Default: one of the site's local authority.
    #[schemars(extend("examples" = ["tls/sql.pem"]))]
    pub certificate: Option<At<String>>,
    /// PEM file with its key.
    #[schemars(extend("examples" = ["tls/sql.key"]))]
    pub key: Option<At<String>>,
    /// A unix socket to listen on besides, `unix:/path`: for clients of the same machine, which need no TLS
    /// there. Under `mainstay up`, where all servers share a machine, that of the first app server.
    #[schemars(extend("examples" = ["unix:/run/foobar/sql.sock"]))]
    pub socket: Option<At<String>>,
    /// Other rules for single database users, one `[sql-router.users.NAME]` table each.
    pub users: Option<BTreeMap<At<String>, At<SqlUserSection>>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SqlUserSection {
    /// Which of this user's statements go to replicas. Default: that of `[sql-router]`.
    #[schemars(extend("examples" = ["replica"]))]
    pub mode: Option<At<SqlMode>>,
    /// What this user's reads on a replica have to see. Default: that of `[sql-router]`.
    #[schemars(extend("examples" = ["eventual"]))]
    pub consistency: Option<At<Consistency>>,
    /// This user's sessions at once, on each app server. Default: no bound of its own.
    #[schemars(extend("examples" = [20]))]
    pub sessions: Option<At<u32>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VirtualAddressSection {
    /// A free IP address in the balancers' network; the domains point at it.
    #[schemars(required, extend("examples" = ["10.0.0.10"]))]
    pub address: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsSection {
    /// Who signs the certificates. Default `acme`.
    #[schemars(extend("examples" = ["acme"]))]
    pub authority: Option<At<Authority>>,
    /// Requests over HTTP are sent on to HTTPS. Default true.
    #[schemars(extend("examples" = [true]))]
    pub redirect: Option<At<bool>>,
    /// How long browsers shall use HTTPS only (HSTS). Default: not said.
    #[schemars(extend("examples" = ["365d"]))]
    pub hsts: Option<At<String>>,
    /// Contact for the public authority.
    #[schemars(extend("examples" = ["ops@foobar.com"]))]
    pub email: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FirewallSection {
    /// Default true when the section is there.
    #[schemars(extend("examples" = [true]))]
    pub enabled: Option<At<bool>>,
    /// Addresses and networks that may use SSH. Default: anybody.
    #[schemars(extend("examples" = [["203.0.113.0/24"]]))]
    pub ssh_from: Option<At<Vec<At<String>>>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MonitoringSection {
    /// Port of every server's metrics and admin interface. Default 9400.
    #[schemars(range(min = 1024, max = 65535), extend("examples" = [9400]))]
    pub port: Option<At<u16>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AlertsSection {
    /// URLs that get a POST with a JSON body when something breaks and when it is over. A URL with a
    /// key in it is a secret: `{ secret = "name" }`.
    #[schemars(required, extend("examples" = [["https://alerts.foobar.com/mainstay"]]))]
    pub webhook: Option<At<Vec<At<Value>>>>,
}
