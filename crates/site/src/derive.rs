//! Pure: `Site` → `Target`: every port, address and limit, for the ground the site stands on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::name::ServerName;
use crate::resolve::HEALTH_PATH;
use crate::target::backup::{BackupPlace, BackupTarget};
use crate::target::{
    AppTarget, InstanceListen, MemberAddress, MemberTarget, SECRET_PREFIX, ServerTarget,
    SqlRouterTarget, Target, VERSION_OF_FORMAT, WebLimits, WebTarget,
};
use crate::topology::{App, Database, EnvValue, Listen, Member, Replication, Role, Server, Site};

mod balancer;

/// Where the site stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ground {
    /// Every server is a machine with the address of the site file.
    Production {
        /// The site file's directory, absolute.
        source_root: PathBuf,
    },
    /// Every server is a loopback address of this machine: `network.11`, `network.12` … in the order
    /// of the file.
    Local {
        /// For example 127.0.37.
        network: [u8; 3],
        /// Where the first balancer listens; port 0 for any free one.
        http: SocketAddr,
        https: Option<SocketAddr>,
        /// The site file's directory, absolute.
        source_root: PathBuf,
    },
}

/// The ports that are not the user's to choose.
pub(crate) mod port {
    /// nginx's unofficial "alternative to 80" 8080 is often taken on a developer's machine.
    pub(crate) const WEB: u16 = 8000;
    /// MySQL's own, so that an application finds the router where it expects a database.
    pub(crate) const SQL: u16 = 3306;
    /// The database members count up from here, beside the router on the same address.
    pub(crate) const FIRST_MEMBER: u16 = 3307;
    /// One member per copy; `replicas` is at most 15.
    pub(crate) const LAST_MEMBER: u16 = FIRST_MEMBER + 15;
}

/// The first server's last number under `Ground::Local`; the numbers below stay free for people.
/// MariaDB's `max_connections`, where the site file does not set it.
const MAX_CONNECTIONS: u32 = 151;
/// Connections to a database server that routers leave to others.
const NOT_THE_ROUTERS: u32 = 23;

const FIRST_LOCAL: u8 = 11;

/// What every server has to be. The version is 1 without parent; whoever applies it sets both.
pub fn derive(site: &Site, ground: &Ground) -> Target {
    let derive = Derive {
        site,
        ground,
        addresses: addresses(site, ground),
        members: site.members(),
    };
    let servers = site
        .servers
        .iter()
        .map(|server| (server.name.clone(), derive.server(server)));
    Target {
        format: VERSION_OF_FORMAT,
        version: 1,
        parent: 0,
        site: site.name.clone(),
        servers: servers.collect(),
        backup: derive.backup(),
    }
}

fn addresses(site: &Site, ground: &Ground) -> BTreeMap<ServerName, IpAddr> {
    let address = |(server, last): (&Server, u8)| match ground {
        Ground::Production { .. } => server.address,
        Ground::Local {
            network: [a, b, c], ..
        } => Ipv4Addr::new(*a, *b, *c, last).into(),
    };
    let numbered = site.servers.iter().zip(FIRST_LOCAL..=u8::MAX);
    numbered
        .map(|pair| (pair.0.name.clone(), address(pair)))
        .collect()
}

/// What all parts need to know.
struct Derive<'a> {
    site: &'a Site,
    ground: &'a Ground,
    addresses: BTreeMap<ServerName, IpAddr>,
    members: Vec<Member>,
}

impl Derive<'_> {
    fn server(&self, server: &Server) -> ServerTarget {
        let address = self.address(&server.name);
        let app = self.site.app.as_ref().filter(|_| server.has(Role::App));
        let database = self.site.database.as_ref();
        ServerTarget {
            address,
            admin: SocketAddr::new(address, self.site.monitoring.port),
            balancer: server.has(Role::Balancer).then(|| self.balancer(server)),
            web: server.has(Role::Web).then(|| self.web(address)),
            app: app.map(|app| self.app(app)),
            sql_router: app
                .and(database)
                .map(|database| self.sql_router(server, address, database)),
            database: database
                .map(|database| self.database(server, database))
                .unwrap_or_default(),
        }
    }

    /// Every server has one; the unspecified address would be seen by `check_target`.
    fn address(&self, server: &ServerName) -> IpAddr {
        self.addresses
            .get(server)
            .copied()
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    fn source_root(&self) -> &Path {
        match self.ground {
            Ground::Production { source_root } | Ground::Local { source_root, .. } => source_root,
        }
    }

    fn web(&self, address: IpAddr) -> WebTarget {
        let limits = &self.site.balancer.limits;
        let web = &self.site.web;
        WebTarget {
            listen: SocketAddr::new(address, port::WEB),
            static_dir: web.static_dir.as_deref().map(|dir| self.static_dir(dir)),
            index: web.index.clone(),
            max_age: web.max_age,
            health_path: HEALTH_PATH.to_owned(),
            trusted: self.trusted(),
            limits: WebLimits {
                connections: limits.connections,
                connect: limits.connect,
                request_head: limits.request_head,
                response_head: limits.response_head,
                idle_body: limits.idle_body,
                // Longer than the balancer keeps its side: the side that sends must be the one that
                // closes, or a request meets a connection that is just being closed.
                keep_alive: limits.keep_alive + Duration::from_secs(15),
                request_body: limits.request_body,
                drain: limits.drain,
            },
        }
    }

    fn static_dir(&self, dir: &str) -> String {
        match self.site.app {
            Some(_) => dir.to_owned(),
            None => joined(self.source_root(), dir)
                .to_string_lossy()
                .into_owned(),
        }
    }

    fn trusted(&self) -> Vec<IpAddr> {
        let balancers = self.site.servers_with(Role::Balancer);
        let mut trusted: Vec<IpAddr> = balancers.map(|server| self.address(&server.name)).collect();
        if let Ground::Local { .. } = self.ground {
            // The kernel's source address for connections to any 127.x.y.z.
            trusted.push(Ipv4Addr::LOCALHOST.into());
        }
        trusted
    }

    fn app(&self, app: &App) -> AppTarget {
        let value = |value: &EnvValue| match value {
            EnvValue::Plain(text) => text.clone(),
            EnvValue::Secret(name) => format!("{SECRET_PREFIX}{name}"),
        };
        AppTarget {
            source: joined(self.source_root(), &app.path),
            command: app.command.clone(),
            migrate: app.migrate.clone(),
            instances: app.instances,
            listen: match app.listen {
                Listen::Socket => InstanceListen::Socket,
                Listen::Port { first } => InstanceListen::Port { first },
            },
            health_path: app.health.clone(),
            env: app
                .env
                .iter()
                .map(|(name, text)| (name.clone(), value(text)))
                .collect(),
            start_timeout: app.start_timeout,
            stop_timeout: app.stop_timeout,
            // A crash is seen at once by its supervisor; this finds an instance that hangs.
            health_interval: Duration::from_secs(2),
        }
    }

    fn sql_router(&self, server: &Server, address: IpAddr, database: &Database) -> SqlRouterTarget {
        let address = match self.ground {
            // Only the application of the same machine may use it.
            Ground::Production { .. } => Ipv4Addr::LOCALHOST.into(),
            Ground::Local { .. } => address,
        };
        SqlRouterTarget {
            listen: SocketAddr::new(address, port::SQL),
            socket: self.sql_socket(server),
            certificate: self
                .site
                .sql_router
                .certificate
                .as_ref()
                .map(|files| self.files(files)),
            require_tls: self.site.sql_router.require_tls,
            members: self.member_addresses(),
            sessions: self.site.sql_router.sessions,
            connections: self.router_connections(),
            pool: self.site.sql_router.pool,
            // What a person takes for immediate (Nielsen, Usability Engineering, 1993: 0.1 s).
            causal_wait: Duration::from_millis(100),
            // As long as a failover may take; browsers and proxies still wait.
            hold: Duration::from_secs(10),
            max_lag: database.max_lag,
            slow: self.site.sql_router.slow,
            routing: self.site.sql_router.routing,
            users: self.site.sql_router.users.clone(),
            user_sessions: self.site.sql_router.user_sessions.clone(),
        }
    }

    /// A path is there once on a machine, and in `up` all servers are one machine.
    fn sql_socket(&self, server: &Server) -> Option<PathBuf> {
        let first = self.site.servers_with(Role::App).next();
        let takes = match self.ground {
            Ground::Production { .. } => true,
            Ground::Local { .. } => first.is_some_and(|first| first.name == server.name),
        };
        self.site.sql_router.socket.clone().filter(|_| takes)
    }

    /// What the database servers allow, without what people, replicas and our own keepers need, for all
    /// routers together.
    fn router_connections(&self) -> u32 {
        self.site.sql_router.connections.unwrap_or_else(|| {
            let routers = self.site.servers_with(Role::App).count().max(1);
            let settings = self
                .site
                .database
                .as_ref()
                .map(|database| &database.settings);
            let allowed =
                settings.and_then(|settings| settings.get("max_connections")?.parse().ok());
            let allowed: u32 = allowed.unwrap_or(MAX_CONNECTIONS);
            let ours = allowed.saturating_sub(NOT_THE_ROUTERS);
            (ours / u32::try_from(routers).unwrap_or(u32::MAX)).max(4)
        })
    }

    fn database(&self, server: &Server, database: &Database) -> Vec<MemberTarget> {
        let here = self
            .members
            .iter()
            .filter(|member| member.server == server.name);
        here.map(|member| MemberTarget {
            name: member.name.clone(),
            listen: self.member_listen(member),
            server_id: member.number,
            first_primary: member.number == 1,
            schema: database.name.clone(),
            user: database.user.clone(),
            members: self.member_addresses(),
            acknowledged: database.replication == Replication::SemiSync,
            buffer_pool: database.buffer_pool,
            settings: database.settings.clone(),
            max_lag: database.max_lag,
        })
        .collect()
    }

    fn backup(&self) -> Option<BackupTarget> {
        let backup = self.site.database.as_ref()?.backup.as_ref()?;
        let to = match &backup.target.to {
            BackupPlace::Directory(path) => {
                BackupPlace::Directory(joined(self.source_root(), &path.to_string_lossy()))
            }
            other => other.clone(),
        };
        Some(BackupTarget {
            to,
            ..backup.target.clone()
        })
    }

    fn member_listen(&self, member: &Member) -> SocketAddr {
        SocketAddr::new(
            self.address(&member.server),
            port::FIRST_MEMBER + member.nth_on_server,
        )
    }

    fn member_addresses(&self) -> Vec<MemberAddress> {
        let address = |member: &Member| MemberAddress {
            name: member.name.clone(),
            server: member.server.clone(),
            address: self.member_listen(member),
        };
        self.members.iter().map(address).collect()
    }
}

/// `root/path` without `.` parts: the application may be the site file's own directory.
fn joined(root: &Path, path: &str) -> PathBuf {
    root.join(path)
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

/// As it stands in a `Host` header: IPv6 in brackets (RFC 3986 section 3.2.2).
fn as_host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
