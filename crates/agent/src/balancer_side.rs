//! What the balancers are told: their targets, the site's certificate, what people want of endpoints; and
//! how that is changed while they serve.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use balancer::snapshot::{Change, Explanation, Override, Question, Snapshot};
use certs::local::Local;
use cluster::{Cluster, Secrets, keys};
use site::name::ServerName;
use site::target::balancer::{BalancerTarget, CertificateFiles, ListenerMode};
use site::target::{MemberAddress, ServerTarget, Target};
use site::{Ground, Site};
use telemetry::wall_clock::now_ms;
use tokio::sync::{Mutex, watch};

use crate::known::{Known, locked};
use crate::listeners::{self, Door};
use crate::role_process::{Asker, Replacement};
use crate::up_error::UpError;

/// Name of the secret that signs the cookies which bind visitors to endpoints, and say what they have
/// seen of the database.
pub(crate) const COOKIE_KEY: &str = "balancer-cookie-key";

/// The balancers of a site, and what they were told last.
#[derive(Debug, Clone)]
pub(crate) struct Balancers {
    /// One change at a time.
    list: Arc<Mutex<Vec<Told>>>,
    /// What the site was derived for.
    ground: Ground,
    /// What is in force; a change of anything but the balancers needs a new start.
    target: Arc<Mutex<Target>>,
    cookie_key: PathBuf,
    certificate: Option<CertificateFiles>,
    cluster: Cluster,
    known: Arc<Known>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) server: ServerName,
    pub(crate) snapshot: Snapshot,
    /// What its process is given when it is started again.
    pub(crate) to: watch::Sender<Option<serde_json::Value>>,
    pub(crate) doors: Vec<Door>,
    pub(crate) asker: Asker,
}

impl Balancers {
    pub(crate) fn new(
        cluster: &Cluster,
        secrets: &Secrets,
        local: Option<&Local>,
        ground: Ground,
        target: Target,
        known: &Arc<Known>,
    ) -> Result<Self, UpError> {
        Ok(Self {
            list: Arc::default(),
            ground,
            target: Arc::new(Mutex::new(target)),
            cookie_key: secrets.path(COOKIE_KEY).map_err(|e| plain(&e))?,
            certificate: local.map(|local| CertificateFiles {
                chain: local.chain.clone(),
                key: local.key.clone(),
            }),
            cluster: cluster.clone(),
            known: Arc::clone(known),
        })
    }

    pub(crate) async fn add(&self, told: Told) {
        self.list.lock().await.push(told);
    }

    /// What a balancer with this target has to know.
    pub(crate) async fn snapshot(&self, target: BalancerTarget, access_log: PathBuf) -> Snapshot {
        let is_https = |mode: &ListenerMode| matches!(mode, ListenerMode::Https(_));
        let secure = target
            .listeners
            .iter()
            .any(|listener| is_https(&listener.mode));
        Snapshot {
            certificate: self.certificate.clone().filter(|_| secure),
            access_log,
            overrides: self.overrides().await,
            cookie_key: self.cookie_key.clone(),
            target,
        }
    }

    /// What people want of endpoints; kept, so that a restart does not send visitors to a machine that
    /// somebody is repairing.
    async fn overrides(&self) -> Vec<Override> {
        let kept = match self.cluster.get(keys::BALANCER_ENDPOINTS).await {
            Ok(Some(entry)) => serde_json::from_str(&entry.value).map_err(|e| e.to_string()),
            Ok(None) => Ok(Vec::new()),
            Err(e) => Err(e.to_string()),
        };
        kept.unwrap_or_else(|e| {
            tracing::error!("{}: {e}", keys::BALANCER_ENDPOINTS);
            Vec::new()
        })
    }

    /// Keeps what is wanted of an endpoint and tells every balancer. The value is all that is wanted of it
    /// now.
    pub(crate) async fn wish(&self, change: Change) -> Result<Override, UpError> {
        let mut list = self.list.lock().await;
        let known = list.iter().flat_map(|told| &told.snapshot.target.backends);
        let mut of = known.filter(|backend| backend.name == change.backend);
        let is_there =
            of.any(|backend| backend.endpoints.iter().any(|e| e.name == change.endpoint));
        if !is_there {
            let what = format!("no endpoint {}/{}", change.backend, change.endpoint);
            return Err(UpError::new(what, "`mainstay endpoint list` shows them"));
        }
        let entry = self.cluster.get(keys::BALANCER_ENDPOINTS).await;
        let version = entry.map_err(|e| plain(&e))?.map(|entry| entry.version);
        let mut overrides = self.overrides().await;
        let wanted = Override::merged(&overrides, change, now_ms());
        Override::apply(&mut overrides, wanted.clone());
        let value = serde_json::to_string(&overrides).map_err(|e| plain(&e))?;
        let put = self
            .cluster
            .put_if(keys::BALANCER_ENDPOINTS, version, value);
        put.await.map_err(|e| plain(&e))?;
        for told in list.iter_mut() {
            let mut snapshot = told.snapshot.clone();
            snapshot.overrides.clone_from(&overrides);
            told.change(snapshot).await?;
        }
        Ok(wanted)
    }

    /// Takes another site file into force, as far as that can be done while the site serves: balancers,
    /// and most of what web servers and SQL routers are told. The value says what was done, a line each.
    pub(crate) async fn reload(&self, site: &Site) -> Result<Vec<String>, UpError> {
        let mut list = self.list.lock().await;
        let mut target = self.target.lock().await;
        let mut wanted = site::derive(site, &self.ground);
        if let Some(defect) = site::check_target(&wanted).first() {
            let what = format!("this site file leads to an impossible plan: {defect}");
            return Err(UpError::new(
                what,
                "this is a bug in Mainstay; please report it",
            ));
        }
        let others = different(&target, &wanted);
        if !others.is_empty() {
            let what = format!("{} would change too", others.join(", "));
            let next =
                "`mainstay down`, then `mainstay up`: that does not change while the site serves";
            return Err(UpError::new(what, next));
        }
        let mut done = Vec::new();
        for told in list.iter_mut() {
            let server = wanted.servers.get_mut(&told.server);
            let Some(new) = server.and_then(|server| server.balancer.as_mut()) else {
                continue;
            };
            keep_ports(&told.snapshot.target, new);
            let snapshot = Snapshot {
                target: new.clone(),
                ..self
                    .snapshot(new.clone(), told.snapshot.access_log.clone())
                    .await
            };
            let doors = listeners::doors(new, &told.doors)
                .map_err(|e| UpError::new(e.to_string(), "another address for that listener"))?;
            let what = if same_doors(&doors, &told.doors) {
                told.change(snapshot).await?;
                "in force"
            } else {
                told.replace(snapshot, doors, None).await?;
                "in force, in a new process with the new listeners"
            };
            done.push(format!("{}: {what}", told.server));
        }
        done.extend(told_too(&target, &wanted));
        *locked(&self.known.target) = Some(Arc::new(wanted.clone()));
        self.known.changed.notify_one();
        *target = wanted;
        Ok(done)
    }

    /// New processes of another binary in the place of those that serve.
    pub(crate) async fn upgrade(&self, program: &Path) -> Result<Vec<String>, UpError> {
        let mut done = Vec::new();
        for told in self.list.lock().await.iter_mut() {
            let doors = told.copies()?;
            let program = Some(program.to_owned());
            told.replace(told.snapshot.clone(), doors, program).await?;
            done.push(format!("{}: replaced", told.server));
        }
        Ok(done)
    }

    /// The balancers have ended.
    pub(crate) async fn leave(&self) {
        for told in self.list.lock().await.iter() {
            told.doors
                .iter()
                .for_each(|door| listeners::leave(&door.bind));
        }
    }

    /// What a request would get, as the first balancer sees it.
    pub(crate) async fn explain(&self, question: &Question) -> Result<Explanation, UpError> {
        let list = self.list.lock().await;
        let value = serde_json::to_value(question).map_err(|e| plain(&e))?;
        let Some(first) = list.first() else {
            return Err(UpError::new("no balancer runs yet", ""));
        };
        let answer = first.asker.question(value).await;
        let answer = answer.ok_or_else(|| UpError::new("the balancer does not answer", ""))?;
        serde_json::from_str(&answer).map_err(|e| plain(&e))
    }
}

impl Told {
    async fn change(&mut self, snapshot: Snapshot) -> Result<(), UpError> {
        let value = serde_json::to_value(&snapshot).map_err(|e| plain(&e))?;
        let changed = self.asker.change(value.clone()).await;
        changed.map_err(|why| refused(&self.server, &why))?;
        self.remember(snapshot, value);
        Ok(())
    }

    async fn replace(
        &mut self,
        snapshot: Snapshot,
        doors: Vec<Door>,
        program: Option<PathBuf>,
    ) -> Result<(), UpError> {
        let value = serde_json::to_value(&snapshot).map_err(|e| plain(&e))?;
        let sockets = doors
            .iter()
            .map(|door| Ok((door.name.clone(), door.socket.try_clone()?)))
            .collect::<std::io::Result<_>>()
            .map_err(|e| plain(&e))?;
        let by = Replacement {
            program,
            sockets,
            snapshot: value.clone(),
        };
        let replaced = self.asker.replace(by).await;
        replaced.map_err(|why| refused(&self.server, &why))?;
        let former = std::mem::replace(&mut self.doors, doors);
        for door in former {
            if !self.doors.iter().any(|kept| kept.bind == door.bind) {
                listeners::leave(&door.bind);
            }
        }
        self.remember(snapshot, value);
        Ok(())
    }

    /// For its next start; it has it already.
    fn remember(&mut self, snapshot: Snapshot, value: serde_json::Value) {
        self.snapshot = snapshot;
        self.to.send_if_modified(|kept| {
            *kept = Some(value);
            false
        });
    }

    fn copies(&self) -> Result<Vec<Door>, UpError> {
        let copy = |door: &Door| {
            Ok(Door {
                name: door.name.clone(),
                bind: door.bind.clone(),
                socket: door.socket.try_clone()?,
            })
        };
        let copies: std::io::Result<_> = self.doors.iter().map(copy).collect();
        copies.map_err(|e| plain(&e))
    }
}

fn plain(e: &dyn std::error::Error) -> UpError {
    UpError::new(e.to_string(), "")
}

fn refused(server: &ServerName, why: &str) -> UpError {
    let what = format!("the balancer on {server} does not take it: {why}");
    UpError::new(what, "what it had before stays in force")
}

/// What a web server cannot change while it runs: its socket, its bound of connections, and the path at
/// which its balancer asks for its health.
fn fixed_of_web(server: &ServerTarget) -> Option<(SocketAddr, u32, &str)> {
    let web = server.web.as_ref()?;
    Some((web.listen, web.limits.connections, &web.health_path))
}

/// What a SQL router cannot: its sockets, and the members.
fn fixed_of_router(server: &ServerTarget) -> Option<(SocketAddr, Option<&Path>, &[MemberAddress])> {
    let router = server.sql_router.as_ref()?;
    Some((router.listen, router.socket.as_deref(), &router.members))
}

/// Roles besides balancers that are told something new.
fn told_too(now: &Target, wanted: &Target) -> Vec<String> {
    let mut told = Vec::new();
    for (name, now) in &now.servers {
        let wanted = wanted.servers.get(name);
        let differs = [
            ("web", wanted.is_some_and(|it| it.web != now.web)),
            (
                "sql-router",
                wanted.is_some_and(|it| it.sql_router != now.sql_router),
            ),
        ];
        let changed = differs.into_iter().filter(|(_, differs)| *differs);
        told.extend(changed.map(|(role, _)| format!("{name}: {role} is told")));
    }
    told
}

/// Parts of the site that differ, and that a running site cannot change.
fn different(now: &Target, wanted: &Target) -> Vec<String> {
    let mut parts = Vec::new();
    let names = now.servers.keys().chain(wanted.servers.keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    for name in names {
        let (Some(now), Some(wanted)) = (now.servers.get(name), wanted.servers.get(name)) else {
            parts.push(format!("the server {name}"));
            continue;
        };
        let all = [
            ("monitoring", now.admin.port() != wanted.admin.port()),
            ("web", fixed_of_web(now) != fixed_of_web(wanted)),
            ("app", now.app != wanted.app),
            (
                "sql-router",
                fixed_of_router(now) != fixed_of_router(wanted),
            ),
            ("database", now.database != wanted.database),
            (
                "the balancer role",
                now.balancer.is_some() != wanted.balancer.is_some(),
            ),
        ];
        let changed = all.into_iter().filter(|(_, differs)| *differs);
        parts.extend(changed.map(|(part, _)| format!("{part} of {name}")));
    }
    if now.backup != wanted.backup {
        parts.push("the backups".to_owned());
    }
    parts
}

/// A port that was found free at the start stays the one.
fn keep_ports(now: &BalancerTarget, wanted: &mut BalancerTarget) {
    use site::target::balancer::Bind;
    for listener in &mut wanted.listeners {
        let known = now
            .listeners
            .iter()
            .find(|known| known.name == listener.name);
        if let (Bind::Tcp(address), Some(Bind::Tcp(known))) =
            (&mut listener.bind, known.map(|known| &known.bind))
            && address.port() == 0
        {
            address.set_port(known.port());
        }
    }
}

fn same_doors(one: &[Door], other: &[Door]) -> bool {
    let keys = |doors: &[Door]| -> Vec<_> {
        let mut keys: Vec<_> = doors
            .iter()
            .map(|door| (door.name.clone(), door.bind.clone()))
            .collect();
        keys.sort();
        keys
    };
    keys(one) == keys(other)
}
