//! The app on all its servers: the release, its migration, the instances.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use app::env::{Facts, environment};
use app::instance::{self, InstanceReport};
use app::keeper::{Keeper, Parts};
use app::migrate;
use app::release::{Release, Store};
use cluster::{Cluster, Secrets, keys};
use process::spawn::Spawner;
use site::name::ServerName;
use site::target::{AppTarget, ServerTarget, Target};
use telemetry::Event;
use tokio::sync::{mpsc, watch};

use crate::state_dir::StateDir;
use crate::up_error::UpError;

/// The prefix of an environment value that names a secret.
const SECRET: &str = site::target::SECRET_PREFIX;

/// What every instance needs.
#[derive(Debug)]
pub(crate) struct AppSide<'a> {
    pub(crate) target: &'a Target,
    pub(crate) state: &'a StateDir,
    pub(crate) spawner: &'a Spawner,
    pub(crate) cluster: &'a Cluster,
    pub(crate) secrets: &'a Secrets,
    pub(crate) events: mpsc::Sender<Event>,
}

/// The instances of one server.
#[derive(Debug)]
pub(crate) struct Instances {
    pub(crate) server: ServerName,
    pub(crate) keepers: Vec<Keeper>,
    pub(crate) reports: Vec<watch::Receiver<InstanceReport>>,
}

/// What became of a release's migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Migrated {
    HasNone,
    Before,
    Now,
}

impl std::fmt::Display for Migrated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::HasNone => "the app has none",
            Self::Before => "was run for this release before",
            Self::Now => "run",
        })
    }
}

impl AppSide<'_> {
    fn servers(&self) -> impl Iterator<Item = (&ServerName, &ServerTarget, &AppTarget)> {
        let servers = self.target.servers.iter();
        servers.filter_map(|(name, server)| Some((name, server, server.app.as_ref()?)))
    }

    /// The release of the code base as it is now; none for a site without an app.
    pub(crate) async fn release(&self) -> Result<Option<Release>, UpError> {
        let (source, next) = match (self.servers().next(), self.static_files()) {
            (Some((_, _, app)), _) => (
                app.source.clone(),
                "set `path` of [app] to the app's directory",
            ),
            (None, Some(directory)) => (
                directory,
                "set `static` of [web] to the directory of the files",
            ),
            (None, None) => return Ok(None),
        };
        let store = Store::new(self.state.root.join("releases"));
        let taken = tokio::task::spawn_blocking(move || store.take(&source)).await;
        let release = taken
            .map_err(|e| UpError::new(format!("taking the release: {e}"), ""))?
            .map_err(|e| UpError::new(e.to_string(), next))?;
        Ok(Some(release))
    }

    /// The directory of a site without an app; absolute, as there is no app's directory to be below.
    fn static_files(&self) -> Option<PathBuf> {
        let mut webs = self
            .target
            .servers
            .values()
            .filter_map(|server| server.web.as_ref());
        webs.find_map(|web| web.static_dir.as_ref())
            .map(PathBuf::from)
            .filter(|d| d.is_absolute())
    }

    /// Whether any server runs the app.
    pub(crate) fn has_app(&self) -> bool {
        self.servers().next().is_some()
    }

    /// Runs the migration of a release that has not been migrated to.
    pub(crate) async fn migrate(&self, release: &Release) -> Result<Migrated, UpError> {
        let Some((server, wanted, app)) = self.servers().next() else {
            return Ok(Migrated::HasNone);
        };
        if app.migrate.is_empty() {
            return Ok(Migrated::HasNone);
        }
        let key = keys::app_migrated(&release.hash);
        let store = |e: String| UpError::new(e, "");
        if self
            .cluster
            .get(&key)
            .await
            .map_err(|e| store(e.to_string()))?
            .is_some()
        {
            return Ok(Migrated::Before);
        }
        let env = self.env(server, wanted, app, release, None)?;
        let log = self.state.log(server.as_str(), "migrate");
        let ran = migrate::run(self.spawner, release, &app.migrate, env, log.clone()).await;
        if let Err(e) = ran {
            let what = format!("{e}\n{}", last_lines(&log));
            let next = format!("mend the migration; all it printed is in {}", log.display());
            return Err(UpError::new(what, next));
        }
        let done = format!("{{\"by\":\"{server}\"}}");
        self.cluster
            .put_if(&key, None, done)
            .await
            .map_err(|e| store(e.to_string()))?;
        Ok(Migrated::Now)
    }

    /// Starts every instance.
    pub(crate) fn start(&self, release: &Release) -> Result<Vec<Instances>, UpError> {
        let mut all = Vec::new();
        for (server, wanted, app) in self.servers() {
            let directory = self.state.runtime.join(server.as_str());
            std::fs::create_dir_all(&directory)
                .map_err(|e| UpError::new(format!("{}: {e}", directory.display()), ""))?;
            let mut keepers = Vec::new();
            for number in 1..=app.instances {
                let name = format!("{server}/{number}");
                let listen = instance::listen(&app.listen, wanted.address, &directory, number);
                let env = self.env(server, wanted, app, release, Some((&name, &listen)))?;
                keepers.push(app::keeper::start(Parts {
                    name,
                    server: server.to_string(),
                    target: app.clone(),
                    release: release.clone(),
                    listen,
                    env,
                    log: self.state.log(server.as_str(), &format!("app-{number}")),
                    spawner: self.spawner.clone(),
                    events: self.events.clone(),
                }));
            }
            let reports = keepers.iter().map(Keeper::report).collect();
            all.push(Instances {
                server: server.clone(),
                keepers,
                reports,
            });
        }
        Ok(all)
    }

    fn env(
        &self,
        server: &ServerName,
        wanted: &ServerTarget,
        app: &AppTarget,
        release: &Release,
        instance: Option<(&str, &instance::Listen)>,
    ) -> Result<Vec<(String, OsString)>, UpError> {
        let written = self.resolved(app)?;
        let database_url = match &wanted.sql_router {
            None => None,
            Some(router) => Some(self.database_url(router.listen)?),
        };
        Ok(environment(
            &written,
            &Facts {
                site: &self.target.site,
                server: server.as_str(),
                instance: instance.map_or("", |(name, _)| name),
                release: &release.hash,
                listen: instance.map(|(_, listen)| listen),
                database_url: database_url.as_deref(),
            },
        ))
    }

    fn database_url(&self, router: std::net::SocketAddr) -> Result<String, UpError> {
        let member = self
            .target
            .servers
            .values()
            .flat_map(|server| &server.database)
            .next();
        let Some(member) = member else {
            return Ok(String::new());
        };
        let password = self
            .secrets
            .get_or_create(database::accounts::USER_SECRET)
            .map_err(|e| UpError::new(e.to_string(), ""))?;
        Ok(format!(
            "mysql://{}:{}@{router}/{}",
            member.user,
            password.expose(),
            member.schema
        ))
    }

    /// The written environment with its secrets put in.
    fn resolved(&self, app: &AppTarget) -> Result<BTreeMap<String, String>, UpError> {
        let mut env = BTreeMap::new();
        for (name, value) in &app.env {
            let value = match value.strip_prefix(SECRET) {
                None => value.clone(),
                Some(secret) => given(self.secrets, secret, &format!("{name} of [app]"))?,
            };
            env.insert(name.clone(), value);
        }
        Ok(env)
    }
}

/// A secret that the operator gives, for `whom`: it cannot be made up.
pub(crate) fn given(secrets: &Secrets, name: &str, whom: &str) -> Result<String, UpError> {
    let failed = |e: cluster::SecretsError| UpError::new(e.to_string(), "");
    let path = secrets.path(name).map_err(failed)?;
    if !path.exists() {
        let what = format!("there is no secret `{name}`, which {whom} needs");
        let next = format!("put it into {} (mode 0600)", path.display());
        return Err(UpError::new(what, next));
    }
    let value = secrets.get_or_create(name).map_err(failed)?;
    Ok(value.expose().to_owned())
}

/// What a process printed last, for an error message.
pub(crate) fn last_lines(log: &Path) -> String {
    const LINES: usize = 8;
    let Ok(text) = std::fs::read_to_string(log) else {
        return String::new();
    };
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    let mut out = String::new();
    for line in lines.get(from..).unwrap_or_default() {
        // Without the time, which is now.
        let line = line.split_once(' ').map_or(*line, |(_, text)| text);
        out.push_str("  | ");
        out.push_str(line);
        out.push('\n');
    }
    out
}
