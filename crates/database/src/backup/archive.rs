//! The primary's binary logs, copied when they are closed: what happens between two backups.
//!
//! A log is closed by `FLUSH BINARY LOGS` as often as the site file says, if anything was written since.
//! Why so and not by a client that streams for ever: docs/decisions/0030.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use mysql::gtid::mariadb::Position;
use site::name::MemberName;

use super::binlog::{Contents, Unreadable, Walker};
use super::catalog::Catalog;
use super::destination::{Destination, PlaceError};
use super::key::Key;
use super::moment::Moment;
use super::record::{FORMAT, Kind, LogRecord};
use super::seal::{self, Sealer};
use crate::engine::admin::{Admin, AdminError, CHANGE, LOOK};
use crate::record::MemberRecord;

/// The logs are not all archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("asking the primary: {0}")]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("copying {file} to {to}: {source}")]
    Copy {
        file: PathBuf,
        to: String,
        source: io::Error,
    },
    #[error("reading {file}: {source}")]
    Read { file: PathBuf, source: io::Error },
    #[error("{file}: {source}")]
    Unreadable { file: PathBuf, source: Unreadable },
    #[error("the primary says no position")]
    NoPosition,
    #[error("its thread failed: {0}")]
    Lost(String),
}

/// Whose logs.
#[derive(Debug, Clone)]
pub struct Primary {
    pub member: MemberName,
    pub record: MemberRecord,
}

/// One look at the logs of one primary.
#[derive(Debug)]
pub struct Archiver {
    pub site: String,
    pub destination: Destination,
    pub key: Option<Key>,
    /// Logs that were looked at and hold nothing new: directory mark, file.
    seen: BTreeSet<(String, String)>,
}

impl Archiver {
    pub fn new(site: String, destination: Destination, key: Option<Key>) -> Self {
        Self {
            site,
            destination,
            key,
            seen: BTreeSet::new(),
        }
    }

    /// Closes the primary's log if there is something new in it.
    pub async fn close(
        &self,
        admin: &mut Admin,
        catalog: &Catalog,
        history: u64,
    ) -> Result<(), ArchiveError> {
        let rows = admin.query("SELECT @@global.gtid_binlog_pos", LOOK).await?;
        let position: Position = rows
            .single()
            .and_then(|text| text.parse().ok())
            .ok_or(ArchiveError::NoPosition)?;
        if !catalog.archived(history).contains(&position) {
            admin.query("FLUSH BINARY LOGS", CHANGE).await?;
        }
        Ok(())
    }

    /// The next closed log that is to be archived, stored; its record is the caller's to write. `None`: all
    /// are.
    pub async fn next(
        &mut self,
        admin: &mut Admin,
        primary: &Primary,
        catalog: &Catalog,
        history: u64,
    ) -> Result<Option<LogRecord>, ArchiveError> {
        let Some(wanted_after) = base(catalog, history) else {
            // Without a backup to begin with, a log is of no use.
            return Ok(None);
        };
        let rows = admin.query("SHOW BINARY LOGS", LOOK).await?;
        let mut files: Vec<String> = rows
            .rows
            .iter()
            .filter_map(|row| row.first()?.clone())
            .collect();
        // The server is still writing to the last one.
        files.pop();
        let mark = super::lineage::read(&primary.record.data_dir).unwrap_or_default();
        let mut have = catalog.archived(history);
        have.join(&wanted_after);
        for file in files {
            let seen = (mark.clone(), file.clone());
            if self.seen.contains(&seen) {
                continue;
            }
            let path = primary.record.data_dir.join(&file);
            let contents = blocking(move || walk(&path)).await?;
            if contents.transactions == 0 || have.contains(&contents.after) {
                self.seen.insert(seen);
                continue;
            }
            let record = self.store(primary, &file, contents, history).await?;
            self.seen.insert(seen);
            return Ok(Some(record));
        }
        Ok(None)
    }

    async fn store(
        &self,
        primary: &Primary,
        file: &str,
        contents: Contents,
        history: u64,
    ) -> Result<LogRecord, ArchiveError> {
        let began = Moment::from_s(contents.created_s.unwrap_or_default());
        let id = format!("{}-{}-{file}", began.compact(), primary.member);
        let end = if self.key.is_some() { ".age" } else { "" };
        let name = format!("logs/{id}.zst{end}");
        let path = primary.record.data_dir.join(file);
        let (destination, key) = (self.destination.clone(), self.key.clone());
        let copied = blocking(move || copy(&path, &destination, key.as_ref(), &name)).await?;
        Ok(LogRecord {
            format: FORMAT,
            site: self.site.clone(),
            id,
            history,
            member: primary.member.clone(),
            file: file.to_owned(),
            before: contents.before.to_string(),
            after: contents.after.to_string(),
            first_s: contents.first_s,
            last_s: contents.last_s,
            closed_s: copied.1,
            transactions: contents.transactions,
            data: copied.0,
        })
    }
}

/// Where the oldest full backup of a history stands: nothing before it is of use.
fn base(catalog: &Catalog, history: u64) -> Option<Position> {
    let mut fulls = catalog
        .of_history(history)
        .filter(|backup| backup.manifest.kind == Kind::Full);
    fulls.next().map(super::catalog::Backup::position)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| ArchiveError::Lost(e.to_string()))?
}

fn walk(path: &Path) -> Result<Contents, ArchiveError> {
    let read = |source| ArchiveError::Read {
        file: path.to_owned(),
        source,
    };
    let unreadable = |source| ArchiveError::Unreadable {
        file: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(read)?;
    let mut walker = Walker::new(None);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut buffer).map_err(read)?;
        if count == 0 {
            return walker.finish().map_err(unreadable);
        }
        walker
            .feed(buffer.get(..count).unwrap_or_default())
            .map_err(unreadable)?;
    }
}

/// Stored, and when the log was closed.
fn copy(
    path: &Path,
    destination: &Destination,
    key: Option<&Key>,
    name: &str,
) -> Result<(super::record::Stored, u64), ArchiveError> {
    let failed = |source| ArchiveError::Copy {
        file: path.to_owned(),
        to: destination.describe(name),
        source,
    };
    let upload = destination.create(name)?;
    let work = || {
        let mut from = File::open(path)?;
        let closed = from.metadata()?.modified()?;
        let closed = closed
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let mut sealer = Sealer::new(upload, key)?;
        seal::pump(&mut from, &mut sealer)?;
        sealer.flush()?;
        let (upload, stored) = sealer.finish(name)?;
        Ok((upload, stored, closed.as_secs()))
    };
    let (upload, stored, closed_s) = work().map_err(failed)?;
    upload.finish()?;
    Ok((stored, closed_s))
}
