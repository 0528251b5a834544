//! An empty data directory: made beside its place, renamed into it, so that a crash in the middle
//! leaves nothing half-made.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use process::spawn::Spawner;

use super::accounts::{self, PasswordHash};
use super::identity::{self, IdentityError};
use super::options::redo_log;
use super::programs::{Missing, Program, Programs};
use super::tool::{self, Cancel, ToolError};
use crate::record::Identity;

/// Bytes a new directory needs besides its redo log: 34 MB of system tables (measured, 10.11), 12 MB
/// of temporary tablespace, and room for the first data and binary logs.
const ROOM: u64 = 128 << 20;

/// The data directory cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error("cannot make the data directory {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the file system of {path} has {free} MB free; a new database needs {needed} MB: make room \
         or choose another state directory"
    )]
    NoRoom {
        path: PathBuf,
        free: u64,
        needed: u64,
    },
    #[error("cannot make the data directory {path}: {source}")]
    Tool { path: PathBuf, source: ToolError },
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// What a new directory is made of.
#[derive(Debug)]
pub struct New<'a> {
    pub data_dir: &'a Path,
    /// For its temporary tables: any mariadbd that starts removes those it finds in its own.
    pub tmp_dir: &'a Path,
    pub identity: &'a Identity,
    pub admin: &'a PasswordHash,
    pub buffer_pool: u64,
    pub log: &'a Path,
}

/// Where copies are made before they are renamed to `data_dir`: on the same file system.
pub fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    data_dir.with_file_name(name)
}

/// Makes `new.data_dir`, which must be missing or empty.
pub async fn create(
    new: &New<'_>,
    programs: &Programs,
    spawner: &Spawner,
    cancel: &mut Cancel,
) -> Result<(), CreateError> {
    let temporary = beside(new.data_dir, ".new");
    make_empty(&temporary)?;
    room(&temporary, ROOM + redo_log(new.buffer_pool))?;
    let filled = fill(new, &temporary, programs, spawner, cancel).await;
    if let Err(e) = filled {
        // Nothing half-made stays; what cannot be removed is removed by the next try.
        if let Err(e) = std::fs::remove_dir_all(&temporary) {
            tracing::debug!("{}: {e}", temporary.display());
        }
        return Err(e);
    }
    rename(&temporary, new.data_dir)
}

async fn fill(
    new: &New<'_>,
    temporary: &Path,
    programs: &Programs,
    spawner: &Spawner,
    cancel: &mut Cancel,
) -> Result<(), CreateError> {
    let install = programs.find(Program::Install)?;
    // mariadb-install-db finds it by itself, but its own message names no package.
    programs.find(Program::Server)?;
    let accounts = beside(new.data_dir, ".sql");
    write_private(&accounts, &accounts::bootstrap(new.admin)).map_err(failed(&accounts))?;
    let mut args: Vec<OsString> = [
        "--no-defaults",
        "--skip-test-db",
        "--skip-name-resolve",
        // It would give up where neither the machine's name nor `localhost` can be looked up, which nothing here needs.
        "--force",
        "--auth-root-authentication-method=normal",
    ]
    .map(OsString::from)
    .into();
    args.push(joined("--datadir=", temporary));
    args.push(joined("--tmpdir=", new.tmp_dir));
    args.push(joined("--extra-file=", &accounts));
    args.push(format!("--innodb-log-file-size={}", redo_log(new.buffer_pool)).into());
    if nix::unistd::geteuid().is_root() {
        args.push("--user=root".into());
    }
    let made = tool::run(spawner, &install, args, new.log, cancel).await;
    let removed = std::fs::remove_file(&accounts);
    made.map_err(|source| CreateError::Tool {
        path: new.data_dir.to_owned(),
        source,
    })?;
    removed.map_err(failed(&accounts))?;
    // Its exit status does not tell whether the SQL ran.
    if !temporary.join("mysql/global_priv.frm").is_file() {
        return Err(failed(new.data_dir)(io::Error::other(format!(
            "mariadb-install-db made no system tables (log: {})",
            new.log.display()
        ))));
    }
    identity::write(temporary, new.identity)?;
    Ok(())
}

/// An empty directory of ours at `path`; what was left there by a crash is removed.
pub fn make_empty(path: &Path) -> Result<(), CreateError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed(parent))?;
    }
    match std::fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(path)(e)),
    }
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(failed(path))
}

/// Puts `from` in the place of `to`, for good.
pub fn rename(from: &Path, to: &Path) -> Result<(), CreateError> {
    std::fs::rename(from, to).map_err(failed(to))?;
    let parent = to.parent().unwrap_or(Path::new("/"));
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(failed(parent))
}

/// A full or read-only file system, found out before the server trips over it.
pub fn writable(data_dir: &Path) -> Result<(), CreateError> {
    let probe = data_dir.join(".mainstay-probe");
    write_private(&probe, "x")
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(failed(data_dir))
}

pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

pub fn joined(option: &str, path: &Path) -> OsString {
    let mut text = OsString::from(option);
    text.push(path);
    text
}

fn room(path: &Path, needed: u64) -> Result<(), CreateError> {
    let stat = nix::sys::statvfs::statvfs(path).map_err(|e| failed(path)(e.into()))?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    if free >= needed {
        return Ok(());
    }
    Err(CreateError::NoRoom {
        path: path.to_owned(),
        free: free >> 20,
        needed: needed >> 20,
    })
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CreateError {
    move |source| CreateError::Io {
        path: path.to_owned(),
        source,
    }
}
