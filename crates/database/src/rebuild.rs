//! A replica's data replaced by a copy of the primary's.
//!
//! The copy is made and prepared beside the data directory while the replica goes on; only then the
//! replica is stopped, its directory moved aside (the last one is kept) and the copy put in its
//! place. A rebuild that fails leaves everything as it was.
//!
//! The primary must be on this machine in this version (`mainstay up`); `source` is the place where
//! streaming from another server's keeper comes in.

mod backup;
mod dump;
mod salvage;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use process::spawn::Running;

use crate::engine::admin::{Admin, AdminError, LOOK};
use crate::engine::create::{self, CreateError, beside};
use crate::engine::identity::{self, IdentityError};
use crate::engine::login;
use crate::engine::mariadb::{STOP_GRACE, Server, StartError};
use crate::engine::programs::{Missing, Program};
use crate::engine::tool::{self, Cancel, ToolError};
use crate::record::{Identity, MemberRecord};

pub(crate) use salvage::{Extra, Salvaged};

/// What a rebuild is made of.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) server: Server,
    pub(crate) identity: Identity,
    /// The primary's own words; `None` when it was not heard.
    pub(crate) source: Option<MemberRecord>,
    /// This machine's boot id.
    pub(crate) machine: String,
    /// What it has and the primary has not.
    pub(crate) extra: Option<Extra>,
    pub(crate) cancel: Cancel,
}

/// How it ended, and the server if it still runs.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) running: Option<Running>,
    pub(crate) result: Result<Rebuilt, RebuildError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rebuilt {
    /// The program that copied.
    pub(crate) with: &'static str,
    pub(crate) position: String,
    pub(crate) old_data: PathBuf,
    /// What it had alone; `Err`: why it could not be read. Then the old data stays until a person removes it.
    pub(crate) extra: Option<Result<Salvaged, String>>,
}

/// The replica's data is as it was, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebuildError {
    #[error("the primary has not said yet how it is reached")]
    SourceUnknown,
    #[error(
        "the primary is on another machine, and copying between machines is not built yet: copy its \
         data directory by hand"
    )]
    OtherMachine,
    #[error("the primary's server does not take writes now")]
    SourceNotServing,
    #[error("asking the primary's server: {0}")]
    Source(AdminError),
    #[error("the copy says no position to go on from ({0})")]
    NoPosition(PathBuf),
    #[error("{path} has {free} MB free; the copy needs {needed} MB")]
    NoRoom {
        path: PathBuf,
        free: u64,
        needed: u64,
    },
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the server that takes in the copy: {0}")]
    Start(#[from] StartError),
    #[error("cannot use {path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the keeper is stopping")]
    Cancelled,
}

/// Does it. `running`: the replica's server, stopped only when the copy is ready.
pub(crate) async fn rebuild(mut job: Job, mut running: Option<Running>) -> Outcome {
    let incoming = beside(&job.server.data_dir, ".incoming");
    let copied = copy(&mut job, &incoming).await;
    let result = match copied {
        Ok((with, position)) => {
            if let Some(running) = &mut running {
                running.stop(STOP_GRACE).await;
            }
            running = None;
            let extra = match job.extra.clone() {
                Some(extra) => Some(
                    salvage::save(&mut job, &extra)
                        .await
                        .map_err(|e| e.to_string()),
                ),
                None => None,
            };
            let keep = matches!(extra, Some(Err(_)));
            swap(&job, &incoming, &position, keep).map(|old_data| Rebuilt {
                with,
                position,
                old_data,
                extra,
            })
        }
        Err(e) => Err(e),
    };
    // Whatever is left of a copy is useless; the next rebuild would remove it too.
    if incoming.exists()
        && let Err(e) = std::fs::remove_dir_all(&incoming)
    {
        tracing::warn!("{}: {e}", incoming.display());
    }
    Outcome { running, result }
}

async fn copy(job: &mut Job, incoming: &Path) -> Result<(&'static str, String), RebuildError> {
    let source = source(job).await?;
    room(&source.data_dir, incoming)?;
    let login = job.server.in_runtime_dir("copy.cnf");
    private(&login, &client_options(&source.socket, &job.server))?;
    let copied = match job.server.programs.find(Program::Backup) {
        Ok(program) => backup::copy(job, &program, &login, &source, incoming)
            .await
            .map(|position| ("mariadb-backup", position)),
        Err(_) => dump::copy(job, &login, incoming)
            .await
            .map(|position| ("mariadb-dump", position)),
    };
    if let Err(e) = std::fs::remove_file(&login) {
        tracing::warn!("{}: {e}", login.display());
    }
    copied
}

/// The primary, when it can be copied from here and now.
async fn source(job: &Job) -> Result<MemberRecord, RebuildError> {
    let source = job.source.clone().ok_or(RebuildError::SourceUnknown)?;
    if job.machine.is_empty() || source.machine != job.machine || !source.socket.exists() {
        return Err(RebuildError::OtherMachine);
    }
    let mut admin = Admin::new(&source.socket, &job.server.admin);
    let sql = format!(
        "SELECT @@global.server_id = {} AND NOT @@global.read_only",
        source.server_id
    );
    let rows = admin
        .query(&sql, LOOK)
        .await
        .map_err(RebuildError::Source)?;
    match rows.single() {
        Some("1") => Ok(source),
        _ => Err(RebuildError::SourceNotServing),
    }
}

/// The password goes into a file of mode 0600, not into arguments that everybody can read.
fn client_options(socket: &Path, server: &Server) -> String {
    login::options(socket, &server.admin)
}

/// Only what is a position is used as one.
fn position_text(text: &str) -> Option<String> {
    let position: mysql::gtid::mariadb::Position = text.parse().ok()?;
    (!position.is_empty()).then(|| position.to_string())
}

async fn run(job: &mut Job, program: &Path, args: Vec<OsString>) -> Result<(), RebuildError> {
    let log = job.server.tools_log();
    match tool::run(&job.server.spawner, program, args, &log, &mut job.cancel).await {
        Err(ToolError::Cancelled) => Err(RebuildError::Cancelled),
        other => Ok(other?),
    }
}

/// Moves the old directory aside and the copy into its place. `keep`: no later rebuild removes it.
fn swap(job: &Job, incoming: &Path, position: &str, keep: bool) -> Result<PathBuf, RebuildError> {
    let data_dir = &job.server.data_dir;
    let identity = Identity {
        start_from: Some(position.to_owned()),
        ..job.identity.clone()
    };
    identity::write(incoming, &identity)?;
    let replaced = replaced(data_dir)?;
    let number = replaced.last().map_or(1, |(number, _)| number + 1);
    let aside = match keep {
        true => beside(data_dir, &format!(".kept-{}", std::process::id())),
        false => beside(data_dir, &format!(".replaced-{number}")),
    };
    create::rename(data_dir, &aside)?;
    if let Err(e) = create::rename(incoming, data_dir) {
        // Back as it was.
        create::rename(&aside, data_dir)?;
        return Err(e.into());
    }
    for (_, old) in replaced {
        if let Err(e) = std::fs::remove_dir_all(&old) {
            tracing::warn!("{}: {e}", old.display());
        }
    }
    Ok(aside)
}

/// Directories moved aside before, by number.
fn replaced(data_dir: &Path) -> Result<Vec<(u64, PathBuf)>, RebuildError> {
    let parent = data_dir.parent().unwrap_or(Path::new("/"));
    let prefix = beside(data_dir, ".replaced-");
    let prefix = prefix.file_name().unwrap_or_default().to_string_lossy();
    let entries = std::fs::read_dir(parent).map_err(|source| RebuildError::Io {
        path: parent.to_owned(),
        source,
    })?;
    let mut found: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix(&*prefix)?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Binary and relay logs are not copied.
fn room(source: &Path, incoming: &Path) -> Result<(), RebuildError> {
    let parent = incoming.parent().unwrap_or(Path::new("/"));
    let stat = statvfs(parent).map_err(|e| RebuildError::Io {
        path: parent.to_owned(),
        source: e.into(),
    })?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    let needed = size(source);
    if free > needed {
        return Ok(());
    }
    Err(RebuildError::NoRoom {
        path: parent.to_owned(),
        free: free >> 20,
        needed: needed >> 20,
    })
}

fn size(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => size(&entry.path()),
                Ok(_) if name.starts_with("bin.") || name.starts_with("relay.") => 0,
                Ok(metadata) => metadata.len(),
                Err(_) => 0,
            }
        })
        .sum()
}

fn private(path: &Path, text: &str) -> Result<(), RebuildError> {
    create::write_private(path, text).map_err(|source| RebuildError::Io {
        path: path.to_owned(),
        source,
    })
}
