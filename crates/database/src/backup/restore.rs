//! Backups and logs → a data directory of its own, which never was half-made: it is built beside its
//! place and renamed into it. Nothing live is touched.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mysql::gtid::mariadb::Position;
use site::target::MemberTarget;

use super::destination::Destination;
use super::key::Key;
use super::point_in_time::{Plan, Until};
use super::record::{LogRecord, Manifest};
use super::replay::{self, Archive, ReplayError};
use super::take::Bench;
use super::unpack::{self, UnpackError};
use crate::engine::accounts::{self, PasswordHash};
use crate::engine::admin::{Admin, AdminError, CHANGE};
use crate::engine::create::{self, CreateError, beside};
use crate::engine::identity::{self, IdentityError};
use crate::engine::login::Login;
use crate::engine::mariadb::{STOP_GRACE, Server, StartError};

/// Memory of the server that takes the data in: it must fit beside the ones that serve.
const BUFFER_POOL: u64 = 128 << 20;

/// A restore.
#[derive(Debug, Clone)]
pub struct Job {
    pub plan: Plan,
    /// The records of `plan.chain` and `plan.logs`, in the same order.
    pub chain: Vec<Manifest>,
    pub logs: Vec<LogRecord>,
    pub destination: Destination,
    pub key: Option<Key>,
    /// Whose data it shall be: the settings of the server that takes it in.
    pub member: MemberTarget,
    /// Must not exist, or be empty.
    pub into: PathBuf,
}

/// Done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub data_dir: PathBuf,
    pub position: Position,
    pub took: Duration,
}

/// Nothing was restored; `into` is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("{0} is not empty; name a new directory")]
    Occupied(PathBuf),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the server that takes the data in: {0}")]
    Start(#[from] StartError),
    #[error("asking the restored server: {0}")]
    Admin(#[from] AdminError),
    #[error("cannot use {path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

pub async fn restore(bench: &mut Bench, job: &Job) -> Result<Restored, RestoreError> {
    let began = Instant::now();
    free(&job.into)?;
    let building = beside(&job.into, ".restoring");
    let built = build(bench, job, &building).await;
    let moved = match built {
        Ok(position) => match remove_if_empty(&job.into) {
            Ok(()) => create::rename(&building, &job.into)
                .map(|()| position)
                .map_err(RestoreError::from),
            Err(e) => Err(e),
        },
        Err(e) => Err(e),
    };
    // What is left of a failure is of no use.
    for left in [
        building.clone(),
        beside(&building, ".increment"),
        beside(&building, ".tmp"),
    ] {
        if left.exists()
            && let Err(e) = std::fs::remove_dir_all(&left)
        {
            tracing::warn!("{}: {e}", left.display());
        }
    }
    Ok(Restored {
        data_dir: job.into.clone(),
        position: moved?,
        took: began.elapsed(),
    })
}

async fn build(bench: &mut Bench, job: &Job, dir: &Path) -> Result<Position, RestoreError> {
    create::make_empty(&bench.work_dir)?;
    unpack::unpack(bench, &job.destination, job.key.as_ref(), &job.chain, dir).await?;
    let apart = Apart::new(bench, job.member.clone(), dir.to_owned());
    let mut running = apart.start(bench, &[]).await?;
    let finished = finish(bench, job, &apart).await;
    // A clean stop: what it holds is on the disk afterwards.
    running.stop(STOP_GRACE).await;
    finished
}

/// Applies the logs and writes the position down in the data itself: as a replica's, and as where its own
/// binary log begins. Nothing of this is in that log: who follows it from an earlier position is refused, and
/// does not silently lack the restored data.
async fn finish(bench: &mut Bench, job: &Job, apart: &Apart) -> Result<Position, RestoreError> {
    let mut admin = apart.server.connection();
    let mut position = job.plan.from.clone();
    if job.plan.until != Until::Backup && !job.logs.is_empty() {
        let path = bench.work_dir.join("restore.cnf");
        let login = Login::write(path.clone(), admin.socket(), &bench.admin)
            .map_err(|source| RestoreError::Io { path, source })?;
        let archive = Archive {
            destination: &job.destination,
            key: job.key.as_ref(),
        };
        let until = &job.plan.until;
        let from = position;
        position = replay::replay(bench, archive, &job.logs, from, until, login.path()).await?;
    }
    set_position(&mut admin, &position).await?;
    Ok(position)
}

async fn set_position(admin: &mut Admin, position: &Position) -> Result<(), AdminError> {
    let position = accounts::text(&position.to_string());
    admin.query("RESET MASTER", CHANGE).await?;
    for variable in ["gtid_binlog_state", "gtid_slave_pos"] {
        let sql = format!("SET GLOBAL {variable} = {position}");
        admin.query(&sql, CHANGE).await?;
    }
    Ok(())
}

/// A server over restored data that only we reach.
#[derive(Debug)]
pub(super) struct Apart {
    pub(super) server: Server,
}

impl Apart {
    pub(super) fn new(bench: &Bench, mut member: MemberTarget, data_dir: PathBuf) -> Self {
        member.buffer_pool = member.buffer_pool.min(BUFFER_POOL);
        Self {
            server: Server {
                site: bench.site.clone(),
                target: member,
                data_dir,
                runtime_dir: bench.runtime_dir.clone(),
                log: bench.log.with_extension("restore.log"),
                programs: bench.programs.clone(),
                spawner: bench.spawner.clone(),
                admin: bench.admin.clone(),
            },
        }
    }

    /// The keeper's account may have had another password when the backup was taken, or on another
    /// machine: it gets today's before anybody can connect.
    pub(super) async fn start(
        &self,
        bench: &mut Bench,
        options: &[&str],
    ) -> Result<process::spawn::Running, RestoreError> {
        identity::write(&self.server.data_dir, &self.server.who().identity())?;
        create::make_empty(&self.server.runtime_dir)?;
        let path = self.server.in_runtime_dir("init.sql");
        let text = accounts::keeper(&PasswordHash::of(&bench.admin));
        create::write_private(&path, &text).map_err(|source| RestoreError::Io {
            path: path.clone(),
            source,
        })?;
        let init = format!("--init-file={}", path.display());
        // Events of the application must not run in a copy.
        let ours = [init.as_str(), "--event-scheduler=DISABLED"];
        let options = [&ours, options].concat();
        let started = self
            .server
            .start_unreachable(&options, &mut bench.cancel)
            .await;
        if let Err(e) = std::fs::remove_file(&path) {
            tracing::warn!("{}: {e}", path.display());
        }
        Ok(started?)
    }
}

fn free(into: &Path) -> Result<(), RestoreError> {
    match std::fs::read_dir(into).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(RestoreError::Occupied(into.to_owned())),
        Ok(false) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(RestoreError::Io {
            path: into.to_owned(),
            source,
        }),
    }
}

fn remove_if_empty(into: &Path) -> Result<(), RestoreError> {
    match std::fs::remove_dir(into) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(RestoreError::Io {
            path: into.to_owned(),
            source: e,
        }),
        _ => Ok(()),
    }
}
