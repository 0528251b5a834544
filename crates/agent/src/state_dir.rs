//! The directory in which a site under `up` keeps what must last, and the short one for its sockets.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

/// File in the state directory that names the runtime directory.
const RUNTIME_NOTE: &str = "runtime";

/// Names the user's own runtime directory.
const USERS_OWN: &str = "XDG_RUNTIME_DIR";
/// Bytes of its path: `/run/user/NUMBER` fits.
const BASE_LIMIT: usize = 24;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("cannot use the state directory: {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("this site runs already (process {pid}, state {path})")]
    Running { pid: String, path: PathBuf },
    #[error("{path} belongs to another user or is open to others")]
    Foreign { path: PathBuf },
}

impl StateError {
    /// What the operator does next.
    pub fn next(&self) -> String {
        match self {
            Self::Running { .. } => {
                "`mainstay status` shows it, `mainstay down` stops it".to_owned()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space, or name another directory with --state".to_owned()
            }
            Self::Io { .. } => "name a directory you can write to with --state".to_owned(),
            Self::Foreign { path } => {
                format!("remove {} after a look at who made it", path.display())
            }
        }
    }
}

/// The directories, claimed for this process as long as this value lives.
#[derive(Debug)]
pub struct StateDir {
    pub root: PathBuf,
    /// Sockets only: a socket's path has at most 107 bytes (unix(7)), and a site's directory may be deep.
    pub runtime: PathBuf,
    _lock: Flock<File>,
}

impl StateDir {
    /// Creates what is missing and claims it.
    pub fn claim(root: &Path) -> Result<Self, StateError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StateError::Io { path, source }
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(root).map_err(failed(root))?;
        let root = root.canonicalize().map_err(failed(root))?;
        let path = root.join("lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(failed(&path))?;
        let mut lock =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(mut file, errno)| {
                match errno {
                    nix::errno::Errno::EWOULDBLOCK => {
                        let mut pid = String::new();
                        // Only for the message.
                        if file.read_to_string(&mut pid).is_err() {
                            pid.clear();
                        }
                        StateError::Running {
                            pid: pid.trim().to_owned(),
                            path: root.clone(),
                        }
                    }
                    errno => StateError::Io {
                        path: path.clone(),
                        source: errno.into(),
                    },
                }
            })?;
        lock.set_len(0).map_err(failed(&path))?;
        lock.rewind().map_err(failed(&path))?;
        writeln!(lock, "{}", std::process::id()).map_err(failed(&path))?;
        for directory in ["logs", "releases", "database"] {
            let directory = root.join(directory);
            builder.create(&directory).map_err(failed(&directory))?;
        }
        probe_space(&root)?;
        let runtime = choose_runtime(&root, std::env::var_os(USERS_OWN));
        claim_runtime(&runtime)?;
        let note = root.join(RUNTIME_NOTE);
        fs::write(&note, runtime.as_os_str().as_encoded_bytes()).map_err(failed(&note))?;
        Ok(Self {
            root,
            runtime,
            _lock: lock,
        })
    }

    /// Where the log of a process goes: `logs/app-1/app-2.log`.
    pub fn log(&self, server: &str, process: &str) -> PathBuf {
        self.root
            .join("logs")
            .join(server)
            .join(format!("{process}.log"))
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.runtime) {
            tracing::debug!("{}: {e}", self.runtime.display());
        }
    }
}

/// Where the sockets of a site with this state are. Written down, because whoever asks may have another
/// environment than the site was started with.
pub fn runtime_of(root: &Path) -> PathBuf {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    match fs::read_to_string(root.join(RUNTIME_NOTE)) {
        Ok(noted) => noted.into(),
        Err(_) => choose_runtime(&root, std::env::var_os(USERS_OWN)),
    }
}

/// In the user's own runtime directory when that can be used: under `su` and `sudo` the variable is
/// another user's, in a container it often names nothing, and a long one leaves no room for names.
fn choose_runtime(root: &Path, users_own: Option<OsString>) -> PathBuf {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let name: String = digest
        .iter()
        .take(5)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let usable = |base: &PathBuf| {
        let ours = fs::metadata(base).is_ok_and(|metadata| {
            metadata.is_dir() && metadata.uid() == nix::unistd::geteuid().as_raw()
        });
        ours && base.is_absolute() && base.as_os_str().len() <= BASE_LIMIT
    };
    let base = users_own.map(PathBuf::from).filter(usable);
    let base = base.unwrap_or_else(|| "/tmp".into());
    base.join(format!("mainstay-{name}"))
}

/// In a directory that all may write to, somebody else may have been there first.
fn claim_runtime(runtime: &Path) -> Result<(), StateError> {
    let io = |source| StateError::Io {
        path: runtime.to_owned(),
        source,
    };
    match DirBuilder::new().mode(0o700).create(runtime) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(io(e)),
        Ok(()) => return Ok(()),
    }
    let metadata = fs::symlink_metadata(runtime).map_err(io)?;
    let ours = metadata.is_dir()
        && metadata.uid() == nix::unistd::geteuid().as_raw()
        && metadata.mode() & 0o077 == 0;
    if ours {
        Ok(())
    } else {
        Err(StateError::Foreign {
            path: runtime.to_owned(),
        })
    }
}

/// A full disk is noticed before anything is half made: a fresh database needs about 40 MB a member.
fn probe_space(root: &Path) -> Result<(), StateError> {
    let path = root.join("lock");
    let io = |source| StateError::Io {
        path: root.to_owned(),
        source,
    };
    let stat = nix::sys::statvfs::statvfs(&path).map_err(|e| io(e.into()))?;
    let free = stat.fragment_size() * stat.blocks_available();
    if free < 256 << 20 {
        let what = format!("only {} MiB are free, 256 MiB are needed", free >> 20);
        return Err(io(io::Error::new(io::ErrorKind::StorageFull, what)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_directory_that_cannot_be_used_is_passed_over() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let base = |path: &Path| {
            let runtime = choose_runtime(Path::new("/site"), Some(path.into()));
            runtime.parent().unwrap().to_owned()
        };
        assert_eq!(base(dir.path()), dir.path());
        assert_eq!(base(Path::new("/run/user/nobody")), Path::new("/tmp"));
        assert_eq!(base(Path::new("relative")), Path::new("/tmp"));
        let long = dir.path().join("far-too-long-for-a-socket");
        fs::create_dir(&long).unwrap();
        assert_eq!(base(&long), Path::new("/tmp"));
    }

    #[test]
    fn a_second_claim_says_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        let first = StateDir::claim(&root).unwrap();
        let second = StateDir::claim(&root).unwrap_err();
        assert!(
            second.to_string().contains(&std::process::id().to_string()),
            "{second}"
        );
        let runtime = first.runtime.clone();
        assert!(runtime.exists());
        drop(first);
        assert!(!runtime.exists());
        StateDir::claim(&root).unwrap();
    }
}
