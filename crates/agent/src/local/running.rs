//! A running site: what is kept, what each part is told of the others, how it ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Cluster, Secrets};
use monitor::status::{SiteStatus, State};
use monitor::{Monitor, events::EventLog};
use process::spawn::Spawner;
use site::name::ServerName;
use site::target::balancer::{Bind, CertificateFiles};
use site::target::{ServerTarget, Target};
use site::{Ground, Site};
use telemetry::wall_clock::now_ms;
use telemetry::{Event, Severity};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::app_side::{Instances, given};
use crate::balancer_side::{Balancers, COOKIE_KEY};
use crate::known::{Known, locked};
use crate::listeners::{self, Listeners};
use crate::progress::Ready;
use crate::role_process::{Hub, Keeper};
use crate::state_dir::StateDir;
use crate::up_error::UpError;
use crate::{statuses, wiring};

/// The least time between two observations of the whole site.
const OBSERVE_AT_MOST: Duration = Duration::from_millis(100);
/// The longest.
const OBSERVE_AT_LEAST: Duration = Duration::from_secs(1);

/// What is there before anything runs.
pub(crate) struct Parts {
    pub(crate) site: Site,
    pub(crate) target: Target,
    pub(crate) ground: Ground,
    pub(crate) state: StateDir,
    pub(crate) cluster: Cluster,
    pub(crate) secrets: Secrets,
    pub(crate) spawner: Spawner,
    pub(crate) leash: Child,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) incoming: mpsc::Receiver<Event>,
    pub(crate) listeners: Vec<Listeners>,
}

/// A site that runs, or is being started. Call `stop`; dropping it leaves the rest to the leash.
#[derive(Debug)]
pub struct Running {
    pub(crate) target: Target,
    /// A balancer in front of anything.
    pub(crate) alone: bool,
    pub(crate) cluster: Cluster,
    pub(crate) secrets: Secrets,
    pub(crate) spawner: Spawner,
    pub(crate) hub: Hub,
    pub(crate) listeners: Vec<Listeners>,
    /// For SQL routers whose target names none.
    pub(crate) sql_certificate: Option<CertificateFiles>,
    pub(crate) members: Vec<database::Keeper>,
    pub(crate) backups: Option<database::backup::Backups>,
    pub(crate) roles: Vec<(ServerName, Keeper)>,
    pub(crate) instances: Vec<Instances>,
    pub(crate) events: Option<mpsc::Sender<Event>>,
    pub(crate) monitor: Option<Monitor>,
    pub(crate) known: Arc<Known>,
    pub(crate) status: watch::Sender<SiteStatus>,
    pub(crate) token: telemetry::Secret,
    pub(crate) ready: Option<Ready>,
    /// None until they are started.
    pub(crate) balancers: watch::Sender<Option<Balancers>>,
    pub(crate) ground: Ground,
    /// Tasks that end with the site.
    pub(crate) tasks: JoinSet<()>,
    pub(crate) stop: (watch::Sender<bool>, watch::Receiver<bool>),
    leash: Child,
    /// Last: its lock is given up when everything else is gone.
    pub(crate) state: StateDir,
}

impl Running {
    pub(crate) fn new(parts: Parts) -> Result<Self, UpError> {
        let failed = |e: &dyn std::error::Error| UpError::new(e.to_string(), "");
        let hub = Hub::open(parts.state.runtime.join("control.sock")).map_err(|e| failed(&e))?;
        let token = parts
            .secrets
            .get_or_create("dashboard-token")
            .map_err(|e| failed(&e))?;
        let (status, status_of) = watch::channel(statuses::nothing(&parts.target));
        let webhooks = parts
            .site
            .alerts
            .webhooks
            .iter()
            .map(|webhook| match &webhook.url {
                site::topology::EnvValue::Plain(url) => Ok(url.clone()),
                site::topology::EnvValue::Secret(name) => {
                    given(&parts.secrets, name, "`webhook` of [alerts]")
                }
            })
            .collect::<Result<_, _>>()?;
        let parts_of_monitor = monitor::Parts {
            site: parts.target.site.clone(),
            status: status_of,
            events: parts.incoming,
            event_log: parts.state.root.join("events.jsonl"),
            webhooks,
            token: token.clone(),
        };
        let mut limits = monitor::Limits::default();
        let mut members = parts
            .target
            .servers
            .values()
            .flat_map(|server| &server.database);
        if let Some(member) = members.next() {
            limits.max_lag = member.max_lag;
        }
        let monitor = monitor::start_with(parts_of_monitor, &limits).map_err(|e| failed(&e))?;
        Ok(Self {
            alone: parts.site.alone,
            target: parts.target,
            cluster: parts.cluster,
            secrets: parts.secrets,
            spawner: parts.spawner,
            hub,
            listeners: parts.listeners,
            sql_certificate: None,
            members: Vec::new(),
            backups: None,
            roles: Vec::new(),
            instances: Vec::new(),
            events: Some(parts.events),
            monitor: Some(monitor),
            known: Arc::default(),
            status,
            token,
            ready: None,
            balancers: watch::channel(None).0,
            ground: parts.ground,
            tasks: JoinSet::new(),
            stop: watch::channel(false),
            leash: parts.leash,
            state: parts.state,
        })
    }

    /// Where the site is found.
    pub fn ready(&self) -> Option<&Ready> {
        self.ready.as_ref()
    }

    /// Events as they happen.
    pub fn event_log(&self) -> Option<EventLog> {
        self.monitor.as_ref().map(|monitor| monitor.events.clone())
    }

    /// Returns when somebody has asked for the end through the admin socket.
    pub fn asked_to_stop(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.1.clone();
        async move {
            if stop.wait_for(|stop| *stop).await.is_err() {
                tracing::debug!("the admin socket is gone");
            }
        }
    }

    pub(crate) fn events(&self) -> mpsc::Sender<Event> {
        match &self.events {
            Some(events) => events.clone(),
            // Only after `stop`, which consumes this value.
            None => mpsc::channel(1).0,
        }
    }

    pub(crate) fn tell(&self, severity: Severity, subject: &str, kind: &str, what: String) {
        let event = Event {
            at_ms: now_ms(),
            severity,
            server: String::new(),
            subject: subject.to_owned(),
            kind: kind.to_owned(),
            what,
        };
        if self.events().try_send(event).is_err() {
            tracing::warn!("an event was dropped: nobody takes them up");
        }
    }

    /// From now on changes of `report` are passed on to those they concern.
    pub(crate) fn follow<T: Send + Sync + 'static>(&mut self, mut report: watch::Receiver<T>) {
        let known = Arc::clone(&self.known);
        self.tasks.spawn(async move {
            while report.changed().await.is_ok() {
                known.changed.notify_one();
                known.observe.notify_one();
            }
        });
    }

    /// Starts the task that tells each role of the others.
    pub(crate) fn wire(&mut self) {
        let known = Arc::clone(&self.known);
        let target = Arc::new(self.target.clone());
        *locked(&known.target) = Some(Arc::clone(&target));
        let secret = |name| self.secrets.path(name).unwrap_or_default();
        let files = Files {
            router_password: secret(database::accounts::ROUTER_SECRET),
            cookie_key: secret(COOKIE_KEY),
            slow_logs: target
                .servers
                .keys()
                .map(|server| (server.clone(), self.state.log(server.as_str(), "sql-slow")))
                .collect(),
            runtime: self.state.runtime.clone(),
            sql_certificate: self.sql_certificate.clone(),
        };
        self.tasks.spawn(async move {
            loop {
                let now = locked(&known.target).clone();
                wire_once(&known, now.as_deref().unwrap_or(&target), &files);
                known.changed.notified().await;
            }
        });
    }

    fn leave_sql_sockets(&self) {
        let routers = self.target.servers.values();
        let routers = routers.filter_map(|server| server.sql_router.as_ref());
        for path in routers.filter_map(|router| router.socket.clone()) {
            listeners::leave(&Bind::Unix(path));
        }
    }

    /// Starts the task that observes the whole site.
    pub(crate) fn observe(&mut self) {
        let known = Arc::clone(&self.known);
        let target = self.target.clone();
        let status = self.status.clone();
        self.tasks.spawn(async move {
            loop {
                let mut now = statuses::observe(&known, &target).await;
                status.send_modify(|former| {
                    now.urls.append(&mut former.urls);
                    now.dashboard = former.dashboard.take();
                    *former = now;
                });
                tokio::time::sleep(OBSERVE_AT_MOST).await;
                let soon = known.observe.notified();
                if tokio::time::timeout(OBSERVE_AT_LEAST, soon).await.is_err() {
                    tracing::trace!("nothing has changed");
                }
            }
        });
    }

    /// Ends everything in the order that loses nothing: no new requests, then those who answer them, then
    /// the data.
    pub async fn stop(mut self) {
        self.tell(
            Severity::Info,
            "site",
            "site-stopping",
            "the site is being stopped".to_owned(),
        );
        self.status.send_modify(|status| status.state = State::Down);
        let mut roles = std::mem::take(&mut self.roles);
        stop_roles(&mut roles, "balancer").await;
        let balancers = self.balancers.borrow().clone();
        if let Some(balancers) = balancers {
            balancers.leave().await;
        }
        let mut stopping = JoinSet::new();
        for instances in std::mem::take(&mut self.instances) {
            for keeper in instances.keepers {
                stopping.spawn(keeper.stop());
            }
        }
        while stopping.join_next().await.is_some() {}
        stop_roles(&mut roles, "web").await;
        stop_roles(&mut roles, "sql-router").await;
        self.leave_sql_sockets();
        if let Some(backups) = self.backups.take() {
            backups.stop().await;
        }
        self.stop_members().await;
        self.tasks.shutdown().await;
        drop(self.events.take());
        if let Some(monitor) = self.monitor.take() {
            let ended = tokio::time::timeout(Duration::from_secs(3), monitor.stop()).await;
            if ended.is_err() {
                tracing::warn!("the monitor did not end in time");
            }
        }
        drop(self.hub);
        // Its standard input ends, and it finds nothing to do.
        drop(self.leash.stdin.take());
        if let Err(e) = self.leash.wait() {
            tracing::warn!("the leash: {e}");
        }
    }

    /// Replicas before their primary, so that they have all of it.
    async fn stop_members(&mut self) {
        let members = std::mem::take(&mut self.members);
        let is_primary =
            |member: &database::Keeper| member.report().borrow().role == database::Role::Primary;
        let (primaries, others): (Vec<_>, Vec<_>) = members.into_iter().partition(is_primary);
        for group in [others, primaries] {
            let mut stopping = JoinSet::new();
            for member in group {
                stopping.spawn(member.stop());
            }
            while stopping.join_next().await.is_some() {}
        }
    }
}

async fn stop_roles(roles: &mut Vec<(ServerName, Keeper)>, role: &str) {
    let mut stopping = JoinSet::new();
    let (these, others) = std::mem::take(roles)
        .into_iter()
        .partition(|(_, k)| k.role == role);
    *roles = others;
    let these: Vec<(ServerName, Keeper)> = these;
    for (_, keeper) in these {
        stopping.spawn(keeper.stop());
    }
    while stopping.join_next().await.is_some() {}
}

/// Where things are that roles are told of.
#[derive(Debug)]
struct Files {
    router_password: PathBuf,
    cookie_key: PathBuf,
    slow_logs: BTreeMap<ServerName, PathBuf>,
    runtime: PathBuf,
    /// None: routers offer no TLS, or a certificate of their own.
    sql_certificate: Option<CertificateFiles>,
}

impl Files {
    /// The socket between a server's web server and its SQL router, when it is of use.
    fn visitors(&self, server: &ServerName, of: &ServerTarget) -> Option<PathBuf> {
        let router = of.sql_router.as_ref()?;
        let wanted = router.follows_visitors() && of.web.is_some();
        wanted.then(|| self.runtime.join(format!("{server}-seen")))
    }
}

/// Makes every snapshot anew and sends those that changed.
fn wire_once(known: &Known, target: &Target, files: &Files) {
    let release = locked(&known.release).clone().map(|(_, root)| root);
    let members = known.member_reports();
    for role in known.roles() {
        let Some(server) = target.servers.get(&role.server) else {
            continue;
        };
        let visitors = files.visitors(&role.server, server);
        let value = match (role.role, &server.web, &server.sql_router) {
            ("web", Some(web), _) => {
                let instances = known.instance_reports(&role.server);
                let has_app = server.app.is_some();
                let visitors = visitors.map(|socket| web::snapshot::Visitors {
                    socket,
                    cookie_key: files.cookie_key.clone(),
                });
                let release = release.as_deref();
                serde_json::to_value(wiring::web(web, release, has_app, &instances, visitors))
            }
            ("sql-router", _, Some(router)) => {
                let told = wiring::ForRouter {
                    service_password_file: files.router_password.clone(),
                    slow_log: files
                        .slow_logs
                        .get(&role.server)
                        .cloned()
                        .unwrap_or_default(),
                    visitors,
                    certificate: files.sql_certificate.clone(),
                };
                serde_json::to_value(wiring::sql_router(router, &members, told))
            }
            // Told by `balancer_side`.
            _ => continue,
        };
        match value {
            Ok(value) => {
                role.snapshot.send_if_modified(|former| {
                    let changed = former.as_ref() != Some(&value);
                    *former = Some(value);
                    changed
                });
            }
            Err(e) => tracing::error!("a snapshot for {}/{}: {e}", role.server, role.role),
        }
    }
}
