//! Archived logs applied to a server that nobody else reaches: fetched, decrypted, read by
//! `mariadb-binlog` from the position reached so far to the one wanted, run by `mariadb`.
//!
//! In batches, so that a week of logs never lies on the disk at once.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mysql::gtid::mariadb::Position;
use process::spawn::Streams;

use super::binlog::{Unreadable, Walker};
use super::destination::Destination;
use super::key::Key;
use super::point_in_time::Until;
use super::record::LogRecord;
use super::shelf::{self, ShelfError};
use super::take::Bench;
use crate::engine::create::{self, CreateError, joined};
use crate::engine::programs::{Missing, Program};
use crate::engine::tool::{self, ToolError};

/// Of one batch, before compression: what may lie on the disk besides the restored data.
const BATCH_BYTES: u64 = 1 << 30;
/// Files of one batch: their names are arguments.
const BATCH_FILES: usize = 256;

/// The logs were not all applied.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error("log {id}: {source}")]
    Stored { id: String, source: ShelfError },
    #[error("log {id}: {source}")]
    Unreadable { id: String, source: Unreadable },
    #[error("reading the logs: {0}")]
    Reader(ToolError),
    #[error("applying the logs after {from}: {source}")]
    Client { from: Position, source: ToolError },
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("its thread failed: {0}")]
    Lost(String),
}

/// Where logs come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Archive<'a> {
    pub destination: &'a Destination,
    pub key: Option<&'a Key>,
}

/// Applies `logs`, in order, beginning after `from`; the position reached. `login`: of the server.
pub(super) async fn replay(
    bench: &mut Bench,
    archive: Archive<'_>,
    logs: &[LogRecord],
    from: Position,
    until: &Until,
    login: &Path,
) -> Result<Position, ReplayError> {
    let stop_s = match until {
        Until::Time(time) => Some(time.s()),
        _ => None,
    };
    let dir = bench.work_dir.join("logs");
    let mut reached = from;
    for batch in batches(logs) {
        create::make_empty(&dir)?;
        let mut files = Vec::new();
        let mut stop = reached.clone();
        let mut is_last = false;
        for log in batch {
            let file = dir.join(&log.file);
            let contents = fetched(archive, log, &file, stop_s).await?;
            files.push(file);
            match contents {
                Some(before) => {
                    stop.join(&before);
                    is_last = true;
                    break;
                }
                None => stop.join(&log.after.parse().unwrap_or_default()),
            }
        }
        if let Until::Position(wanted) = until
            && stop.contains(wanted)
        {
            stop = wanted.clone();
            is_last = true;
        }
        if stop != reached {
            apply(bench, &files, &reached, &stop, login).await?;
            reached = stop;
        }
        if is_last {
            break;
        }
    }
    if let Err(e) = std::fs::remove_dir_all(&dir)
        && e.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("{}: {e}", dir.display());
    }
    Ok(reached)
}

/// Of one server each: two servers may call different logs the same.
fn batches(logs: &[LogRecord]) -> Vec<&[LogRecord]> {
    let mut batches = Vec::new();
    let mut rest = logs;
    while let Some(first) = rest.first() {
        let mut bytes = 0_u64;
        let same = |log: &&LogRecord| {
            bytes = bytes.saturating_add(log.data.plain_bytes);
            log.member == first.member && bytes <= BATCH_BYTES
        };
        let count = rest
            .iter()
            .take(BATCH_FILES)
            .take_while(same)
            .count()
            .max(1);
        let (batch, others) = rest.split_at(count);
        batches.push(batch);
        rest = others;
    }
    batches
}

/// Puts the log into `path`; the position before the second asked for, if that second is in it.
async fn fetched(
    archive: Archive<'_>,
    log: &LogRecord,
    path: &Path,
    stop_s: Option<u64>,
) -> Result<Option<Position>, ReplayError> {
    let (destination, key) = (archive.destination.clone(), archive.key.cloned());
    let (log, path) = (log.clone(), path.to_owned());
    let work = move || {
        let io = |source| ReplayError::Io {
            path: path.clone(),
            source,
        };
        let mut to = Watched {
            file: File::create(&path).map_err(io)?,
            walker: Walker::new(stop_s),
            unreadable: None,
        };
        let fetched = shelf::fetch(&destination, &log.data, key.as_ref(), &mut to);
        let unreadable = |source| ReplayError::Unreadable {
            id: log.id.clone(),
            source,
        };
        if let Some(e) = to.unreadable {
            return Err(unreadable(e));
        }
        fetched.map_err(|source| ReplayError::Stored {
            id: log.id.clone(),
            source,
        })?;
        let contents = to.walker.finish().map_err(unreadable)?;
        Ok(contents.stop_before)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| ReplayError::Lost(e.to_string()))?
}

/// A log on its way to a file, looked at as it passes.
struct Watched {
    file: File,
    walker: Walker,
    unreadable: Option<Unreadable>,
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        let passed = bytes.get(..written).unwrap_or(bytes);
        if let Err(e) = self.walker.feed(passed) {
            self.unreadable = Some(e);
            return Err(io::Error::other(e));
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

async fn apply(
    bench: &mut Bench,
    files: &[PathBuf],
    from: &Position,
    stop: &Position,
    login: &Path,
) -> Result<(), ReplayError> {
    let reader = bench.programs.find(Program::Binlog)?;
    let client = bench.programs.find(Program::Client)?;
    let (read_end, write_end) = io::pipe().map_err(|source| ReplayError::Io {
        path: "a pipe".into(),
        source,
    })?;
    let mut args: Vec<OsString> = vec![
        "--no-defaults".into(),
        "--disable-log-bin".into(),
        format!("--start-position={from}").into(),
        format!("--stop-position={stop}").into(),
    ];
    args.extend(files.iter().map(OsString::from));
    let to_pipe = Streams {
        stdin: None,
        stdout: Some(write_end.into()),
    };
    let from_pipe = Streams {
        stdin: Some(read_end.into()),
        stdout: None,
    };
    let failed = |source| ReplayError::Client {
        from: from.clone(),
        source,
    };
    let login = joined("--defaults-file=", login);
    let mut client = tool::start(
        &bench.spawner,
        &client,
        vec![login, "--binary-mode".into()],
        &bench.log,
        from_pipe,
    )
    .await
    .map_err(failed)?;
    let reader = match tool::start(&bench.spawner, &reader, args, &bench.log, to_pipe).await {
        Ok(reader) => reader,
        Err(e) => {
            client.stop().await;
            return Err(ReplayError::Reader(e));
        }
    };
    // The client first: when it fails, the reader only says that its pipe broke.
    let applied = client.finish(&mut bench.cancel).await;
    let read = reader.finish(&mut bench.cancel).await;
    applied.map_err(failed)?;
    read.map_err(ReplayError::Reader)
}
