//! Backups listed and restored by a person: works with the site running, stopped, or lost but for its
//! site file, the destination and the key.

mod in_place;

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cluster::{Cluster, Secrets, keys};
use database::accounts;
use database::backup::catalog::Catalog;
use database::backup::key::Key;
use database::backup::moment::Moment;
use database::backup::point_in_time::{self, Plan, Until, Wanted};
use database::backup::record;
use database::backup::restore::{self, Job, Restored};
use database::backup::shelf::{Inventory, Shelf};
use database::backup::take::Bench;
use database::engine::tool::Cancel;
use database::record::StateRecord;
use process::spawn::Spawner;
use site::target::backup::BackupTarget;
use site::target::{MemberTarget, Target};
use site::{Ground, Site};
use tokio::sync::watch;

use crate::backup_side;
use crate::state_dir::StateDir;
use crate::up_error::UpError;

/// Of which site.
#[derive(Debug)]
pub struct Of {
    pub site: Site,
    /// The site file's directory, absolute.
    pub source_root: PathBuf,
    pub state: PathBuf,
}

/// What is wanted of a restore.
#[derive(Debug)]
pub struct Options {
    /// `None`: the best for the moment.
    pub backup: Option<String>,
    /// A time or a GTID; `None`: the backup as it is, or without one all there is.
    pub to: Option<String>,
    pub place: Place,
}

/// Where to.
#[derive(Debug)]
pub enum Place {
    /// A new directory; `None`: one in the state directory.
    Into(Option<PathBuf>),
    /// In the place of the live data, which is kept aside. The site must be stopped.
    Live,
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    pub restored: Restored,
    pub plan: Plan,
    /// The former data directories.
    pub aside: Vec<PathBuf>,
}

fn failed(e: &dyn std::error::Error) -> UpError {
    UpError::new(e.to_string(), "")
}

fn io_failed(path: &Path) -> impl FnOnce(io::Error) -> UpError {
    move |e| UpError::new(format!("{}: {e}", path.display()), "")
}

impl Of {
    pub(crate) fn target(&self) -> Target {
        let ground = Ground::Local {
            network: [127, 0, 1],
            http: ([127, 0, 0, 1], 0).into(),
            https: None,
            source_root: self.source_root.clone(),
        };
        site::derive(&self.site, &ground)
    }

    fn secrets(&self) -> Result<Secrets, UpError> {
        Secrets::open(&self.state.join("secrets")).map_err(|e| failed(&e))
    }

    fn shelf(&self, target: &Target) -> Result<(BackupTarget, Shelf), UpError> {
        let settings = target.backup.clone().ok_or_else(backup_side::none)?;
        let secrets = self.secrets()?;
        let destination = backup_side::destination(&settings, &self.state, &secrets)?;
        Ok((settings, Shelf::new(destination, target.site.clone())))
    }
}

/// All backups and logs there are. Blocks.
pub fn list(of: &Of) -> Result<Inventory, UpError> {
    let (_, mut shelf) = of.shelf(&of.target())?;
    shelf.load().map_err(|e| failed(&e))
}

/// Where the key is, to tell people; `None`: backups are not encrypted.
pub fn key_path(of: &Of) -> Option<PathBuf> {
    let name = of.target().backup?.key?;
    Some(of.state.join("secrets").join(name))
}

pub async fn restore(of: &Of, options: Options) -> Result<Done, UpError> {
    let target = of.target();
    let (settings, mut shelf) = of.shelf(&target)?;
    let inventory = shelf.load().map_err(|e| failed(&e))?;
    let plan = point_in_time::plan(&inventory.catalog, &wanted(&options)?)
        .map_err(|e| UpError::new(e.to_string(), "`mainstay db backups` lists what there is"))?;
    let secrets = of.secrets()?;
    let key = key(&settings, &secrets)?;
    let (chain, logs) = records(&inventory.catalog, &plan);
    let job = |member, into| Job {
        plan: plan.clone(),
        chain,
        logs,
        destination: shelf.destination.clone(),
        key,
        member,
        into,
    };
    match options.place {
        Place::Into(into) => {
            let name = plan.chain.last().cloned().unwrap_or_default();
            let into = into.unwrap_or_else(|| of.state.join("restored").join(name));
            let member = members(&target).into_iter().next();
            let member = member.ok_or_else(backup_side::none)?;
            let restored = build(of, &secrets, job(member, into)).await?;
            Ok(Done {
                restored,
                plan,
                aside: Vec::new(),
            })
        }
        Place::Live => {
            // Held until the end: nothing may start meanwhile.
            let state = StateDir::claim(&of.state).map_err(|e| {
                let next = "stop the site first: `mainstay down`. Without --in-place the live data is not \
                            touched";
                UpError::new(e.to_string(), next)
            })?;
            let cluster = Cluster::open_embedded(&state.root.join("cluster.json"));
            let cluster = cluster.map_err(|e| failed(&e))?;
            let all = members(&target);
            let primary = primary(&cluster, &all).await?;
            let data = state.root.join("database");
            let into = data.join(format!("{}.restored", primary.name));
            let restored = build(of, &secrets, job(primary.clone(), into)).await?;
            let aside = in_place::replace(
                &cluster,
                &inventory.catalog,
                &target.site,
                &data,
                &primary,
                &all,
                &restored,
            )
            .await?;
            Ok(Done {
                restored: Restored {
                    data_dir: data.join(primary.name.as_str()),
                    ..restored
                },
                plan,
                aside,
            })
        }
    }
}

fn wanted(options: &Options) -> Result<Wanted, UpError> {
    let until = match (&options.to, &options.backup) {
        (None, None) => Until::Latest,
        (None, Some(_)) => Until::Backup,
        (Some(to), _) => match to.parse() {
            Ok(position) => Until::Position(position),
            Err(_) => Until::Time(to.parse::<Moment>().map_err(|e| {
                UpError::new(e.to_string(), "a GTID like 0-1-4711 is understood too")
            })?),
        },
    };
    Ok(Wanted {
        backup: options.backup.clone(),
        until,
    })
}

/// Never made here: a new one opens nothing.
fn key(settings: &BackupTarget, secrets: &Secrets) -> Result<Option<Key>, UpError> {
    let Some(name) = &settings.key else {
        return Ok(None);
    };
    match secrets.get(name).map_err(|e| failed(&e))? {
        Some(secret) => Key::of(name, &secret).map(Some).map_err(|e| failed(&e)),
        None => {
            let path = secrets.path(name).map_err(|e| failed(&e))?;
            let what = format!("the key of the backups, the secret `{name}`, is not here");
            let next = format!("put your copy of it into {} (mode 0600)", path.display());
            Err(UpError::new(what, next))
        }
    }
}

fn records(catalog: &Catalog, plan: &Plan) -> (Vec<record::Manifest>, Vec<record::LogRecord>) {
    let chain = plan.chain.iter().filter_map(|id| catalog.backup(id));
    let chain = chain.map(|backup| backup.manifest.clone()).collect();
    let logs = plan
        .logs
        .iter()
        .filter_map(|id| catalog.logs.iter().find(|log| log.id == *id));
    (chain, logs.cloned().collect())
}

fn members(target: &Target) -> Vec<MemberTarget> {
    let members = target.servers.values().flat_map(|server| &server.database);
    members.cloned().collect()
}

/// As the cluster state names it; on a new machine the one where the first primary is made.
async fn primary(cluster: &Cluster, members: &[MemberTarget]) -> Result<MemberTarget, UpError> {
    let state = cluster
        .get(keys::DATABASE_STATE)
        .await
        .map_err(|e| failed(&e))?;
    let named = state
        .and_then(|entry| serde_json::from_str::<StateRecord>(&entry.value).ok())
        .map(|state| state.primary);
    let is_it = |member: &&MemberTarget| match &named {
        Some(name) => member.name == *name,
        None => member.first_primary,
    };
    let found = members.iter().find(is_it);
    found.cloned().ok_or_else(backup_side::none)
}

async fn build(of: &Of, secrets: &Secrets, job: Job) -> Result<Restored, UpError> {
    let admin = secrets
        .get_or_create(accounts::ADMIN_SECRET)
        .map_err(|e| failed(&e))?;
    let logs = of.state.join("logs");
    std::fs::create_dir_all(&logs).map_err(io_failed(&logs))?;
    let mark = format!("restore-{}", std::process::id());
    let runtime = std::env::temp_dir().join(format!("mainstay-{mark}"));
    // Fails when somebody else has made it.
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&runtime)
        .map_err(io_failed(&runtime))?;
    let work_dir = database::engine::create::beside(&job.into, ".work");
    let (_stop, told) = watch::channel(false);
    let mut bench = Bench {
        site: of.site.name.clone(),
        programs: database::Programs::from_path(std::env::var_os("PATH")),
        spawner: Spawner::start(true, mark).map_err(|e| failed(&e))?,
        log: logs.join("restore.log"),
        runtime_dir: runtime.join("r"),
        work_dir: work_dir.clone(),
        admin,
        cancel: Cancel::new(told),
    };
    let restored = restore::restore(&mut bench, &job).await;
    for dir in [&work_dir, &runtime] {
        if let Err(e) = std::fs::remove_dir_all(dir)
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{}: {e}", dir.display());
        }
    }
    restored.map_err(|e| UpError::new(e.to_string(), "the live data was not touched"))
}
