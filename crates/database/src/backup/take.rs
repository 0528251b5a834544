//! One backup taken: mariadb-backup's stream, sealed, stored, written down. The record comes last, so
//! whatever ends this in the middle leaves nothing that is taken for a backup.

use std::ffi::OsString;
use std::io::{self, PipeReader, Write as _};
use std::path::{Path, PathBuf};

use process::spawn::{Spawner, Streams};
use site::name::MemberName;
use telemetry::Secret;
use telemetry::wall_clock::now_ms;

use super::destination::{Destination, PlaceError, Upload};
use super::key::Key;
use super::lineage;
use super::moment::Moment;
use super::record::{FORMAT, Kind, Manifest, Stored};
use super::seal::{self, Sealer};
use super::tool_record::{self, ToolRecord};
use crate::engine::create::{self, CreateError, joined};
use crate::engine::login::Login;
use crate::engine::programs::{Missing, Program, Programs};
use crate::engine::tool::{self, Cancel, ToolError};
use crate::record::MemberRecord;

/// What backups and restores work with.
#[derive(Debug, Clone)]
pub struct Bench {
    pub site: String,
    pub programs: Programs,
    pub spawner: Spawner,
    /// What the tools print.
    pub log: PathBuf,
    /// Sockets and logins; a short path. Ours alone.
    pub runtime_dir: PathBuf,
    /// For files while a tool runs, on a disk. Ours alone.
    pub work_dir: PathBuf,
    pub admin: Secret,
    pub cancel: Cancel,
}

/// What is taken.
#[derive(Debug, Clone)]
pub struct Order {
    pub member: MemberName,
    /// How that member is reached: on this machine.
    pub source: MemberRecord,
    /// `None`: a full one.
    pub base: Option<Manifest>,
    pub history: u64,
}

/// There is no new backup.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error("mariadb-backup of {member}: {source}")]
    Tool {
        member: MemberName,
        source: ToolError,
    },
    #[error("writing the backup to {to}: {source}")]
    Write { to: String, source: io::Error },
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("mariadb-backup wrote no usable record of itself to {0}")]
    NoRecord(PathBuf),
    #[error("{doing}: {source}")]
    Io {
        doing: &'static str,
        source: io::Error,
    },
    #[error("its thread failed: {0}")]
    Lost(String),
}

/// Takes it and stores its data. The caller writes the manifest.
pub async fn take(
    bench: &mut Bench,
    destination: &Destination,
    key: Option<&Key>,
    order: Order,
) -> Result<Manifest, TakeError> {
    let began_ms = now_ms();
    let program = bench.programs.find(Program::Backup)?;
    let Work { dir, lsn_dir } = Work::make(&bench.work_dir)?;
    let lineage = lineage::of(&order.source.data_dir).map_err(io_error("marking the data"))?;
    let login = Login::write(dir.join("backup.cnf"), &order.source.socket, &bench.admin)
        .map_err(io_error("writing a login"))?;
    let kind = match order.base {
        None => Kind::Full,
        Some(_) => Kind::Incremental,
    };
    let id = format!("{}-{kind}", Moment(began_ms).compact());
    let name = object_name(&id, key);
    let args = arguments(&login, &dir, &lsn_dir, &order);
    let data = stream(
        bench,
        destination,
        key,
        &program,
        args,
        &name,
        &order.member,
    )
    .await?;
    let record = record_of(&lsn_dir).ok_or_else(|| TakeError::NoRecord(lsn_dir.clone()))?;
    let (upload, data) = data;
    tokio::task::spawn_blocking(move || upload.finish())
        .await
        .map_err(|e| TakeError::Lost(e.to_string()))??;
    Ok(Manifest {
        format: FORMAT,
        site: bench.site.clone(),
        id,
        kind,
        base: order.base.map(|base| base.id),
        history: order.history,
        member: order.member,
        lineage,
        began_ms,
        ended_ms: now_ms(),
        position: record.position.to_string(),
        from_lsn: record.from_lsn,
        to_lsn: record.to_lsn,
        server_version: record.server_version,
        data,
    })
}

struct Work {
    dir: PathBuf,
    lsn_dir: PathBuf,
}

impl Work {
    fn make(work_dir: &Path) -> Result<Self, TakeError> {
        let dir = work_dir.join("take");
        create::make_empty(&dir)?;
        let lsn_dir = dir.join("lsn");
        create::make_empty(&lsn_dir)?;
        Ok(Self { dir, lsn_dir })
    }
}

fn object_name(id: &str, key: Option<&Key>) -> String {
    let end = if key.is_some() { ".age" } else { "" };
    format!("backups/{id}/data.xb.zst{end}")
}

fn arguments(login: &Login, dir: &Path, lsn_dir: &Path, order: &Order) -> Vec<OsString> {
    let mut args = vec![
        joined("--defaults-file=", login.path()),
        "--backup".into(),
        "--stream=xbstream".into(),
        joined("--target-dir=", dir),
        joined("--extra-lsndir=", lsn_dir),
        joined("--datadir=", &order.source.data_dir),
        joined("--tmpdir=", dir),
    ];
    if let Some(base) = &order.base {
        args.push(format!("--incremental-lsn={}", base.to_lsn).into());
    }
    args
}

/// Runs the tool and stores what it streams; nothing can be seen of it before `finish` of the upload.
async fn stream(
    bench: &mut Bench,
    destination: &Destination,
    key: Option<&Key>,
    program: &Path,
    args: Vec<OsString>,
    name: &str,
    member: &MemberName,
) -> Result<(Upload, Stored), TakeError> {
    let (from, to) = seal::pipe().map_err(io_error("making a pipe"))?;
    let streams = Streams {
        stdin: None,
        stdout: Some(to.into()),
    };
    let tool_failed = |source| TakeError::Tool {
        member: member.clone(),
        source,
    };
    let mut tool = tool::start(&bench.spawner, program, args, &bench.log, streams)
        .await
        .map_err(tool_failed)?;
    let storing = {
        let (destination, key, name) = (destination.clone(), key.cloned(), name.to_owned());
        tokio::task::spawn_blocking(move || store(from, &destination, key.as_ref(), &name))
    };
    tokio::pin!(storing);
    let stored = tokio::select! {
        stored = &mut storing => stored,
        () = bench.cancel.told() => {
            // The stream ends with it, and so does the thread.
            tool.stop().await;
            (&mut storing).await
        }
    };
    match stored.map_err(|e| TakeError::Lost(e.to_string()))? {
        Ok(stored) => {
            tool.finish(&mut bench.cancel).await.map_err(tool_failed)?;
            Ok(stored)
        }
        Err(e) => {
            tool.stop().await;
            Err(e)
        }
    }
}

fn store(
    mut from: PipeReader,
    destination: &Destination,
    key: Option<&Key>,
    name: &str,
) -> Result<(Upload, Stored), TakeError> {
    let upload = destination.create(name)?;
    let write = || {
        let mut sealer = Sealer::new(upload, key)?;
        seal::pump(&mut from, &mut sealer)?;
        sealer.flush()?;
        sealer.finish(name)
    };
    write().map_err(|source| TakeError::Write {
        to: destination.describe(name),
        source,
    })
}

fn record_of(lsn_dir: &Path) -> Option<ToolRecord> {
    // The second name since 11.1.
    ["xtrabackup", "mariadb_backup"].iter().find_map(|tool| {
        let read = |what| std::fs::read_to_string(lsn_dir.join(format!("{tool}_{what}"))).ok();
        tool_record::parse(&read("checkpoints")?, &read("info")?)
    })
}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> TakeError {
    move |source| TakeError::Io { doing, source }
}
