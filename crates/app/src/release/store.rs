//! The releases on this server: `STORE/HASH/…`, each copied whole before it gets its name.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::prune;

/// A code base has fewer files; more are a mistake in `path` (a home directory, say).
const FILES: usize = 200_000;
/// Bytes of one release, for the same reason.
const BYTES: u64 = 8 << 30;
/// Never part of a release: our own state, and what only developers need.
const LEFT_OUT: [&str; 3] = [".mainstay", ".git", ".hg"];

/// A release that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// 12 hexadecimal digits of its content's SHA-256.
    pub hash: String,
    pub root: PathBuf,
}

/// Why a release could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error("the app's directory {0} does not exist")]
    Missing(PathBuf),
    #[error("the app's directory {0} is empty")]
    Empty(PathBuf),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("the app's directory {0} has more than {FILES} files or {BYTES} bytes")]
    TooLarge(PathBuf),
}

/// Where releases are kept.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// One entry of a code base.
#[derive(Debug)]
struct Entry {
    /// Relative to the root.
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Directory,
    File { executable: bool, size: u64 },
    Link(PathBuf),
}

impl Store {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The release with the content of `source`, copied unless it is there already.
    pub fn take(&self, source: &Path) -> Result<Release, ReleaseError> {
        if !source.is_dir() {
            return Err(ReleaseError::Missing(source.to_owned()));
        }
        let entries = list(source)?;
        if !entries
            .iter()
            .any(|entry| matches!(entry.kind, Kind::File { .. }))
        {
            return Err(ReleaseError::Empty(source.to_owned()));
        }
        let hash = hash(source, &entries)?;
        let root = self.dir.join(&hash);
        if !root.exists() {
            // A crash in the middle leaves a directory that no release is named by.
            let part = self.dir.join(format!("{hash}.part"));
            if part.exists() {
                fs::remove_dir_all(&part).map_err(|e| io_error(&part, e))?;
            }
            fs::create_dir_all(&part).map_err(|e| io_error(&part, e))?;
            copy(source, &part, &entries)?;
            fs::rename(&part, &root).map_err(|e| io_error(&root, e))?;
        }
        self.prune(&hash);
        Ok(Release { hash, root })
    }

    /// Drops what is too old. A release that cannot be dropped now is tried again next time.
    fn prune(&self, in_use: &str) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut releases: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let modified = entry
                    .metadata()
                    .and_then(|metadata| metadata.modified())
                    .ok()?;
                Some((modified, entry.file_name().into_string().ok()?))
            })
            .collect();
        releases.sort_by(|a, b| b.cmp(a));
        let names: Vec<String> = releases.into_iter().map(|(_, name)| name).collect();
        for name in prune::to_drop(&names, in_use) {
            if let Err(e) = fs::remove_dir_all(self.dir.join(name)) {
                tracing::warn!("old release {name}: {e}");
            }
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> ReleaseError {
    ReleaseError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Every entry, sorted by path, so that the hash depends on nothing else.
fn list(source: &Path) -> Result<Vec<Entry>, ReleaseError> {
    let mut entries = Vec::new();
    let mut directories = vec![PathBuf::new()];
    let (mut files, mut bytes) = (0, 0);
    while let Some(relative) = directories.pop() {
        let directory = source.join(&relative);
        for entry in fs::read_dir(&directory).map_err(|e| io_error(&directory, e))? {
            let entry = entry.map_err(|e| io_error(&directory, e))?;
            if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let path = relative.join(entry.file_name());
            let metadata = entry.metadata().map_err(|e| io_error(&entry.path(), e))?;
            let kind = if metadata.is_dir() {
                directories.push(path.clone());
                Kind::Directory
            } else if metadata.is_symlink() {
                Kind::Link(fs::read_link(entry.path()).map_err(|e| io_error(&entry.path(), e))?)
            } else if metadata.is_file() {
                bytes += metadata.len();
                let executable = metadata.permissions().mode() & 0o111 != 0;
                Kind::File {
                    executable,
                    size: metadata.len(),
                }
            } else {
                // Sockets, pipes and devices are not code.
                continue;
            };
            files += 1;
            if files > FILES || bytes > BYTES {
                return Err(ReleaseError::TooLarge(source.to_owned()));
            }
            entries.push(Entry { path, kind });
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn hash(source: &Path, entries: &[Entry]) -> Result<String, ReleaseError> {
    use std::os::unix::ffi::OsStrExt;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    for entry in entries {
        let path = entry.path.as_os_str().as_bytes();
        hasher.update((path.len() as u64).to_be_bytes());
        hasher.update(path);
        match &entry.kind {
            Kind::Directory => hasher.update(b"d"),
            Kind::Link(to) => {
                hasher.update(b"l");
                hasher.update(to.as_os_str().as_bytes());
                hasher.update([0]);
            }
            Kind::File { executable, size } => {
                hasher.update([b'f', u8::from(*executable)]);
                hasher.update(size.to_be_bytes());
                let path = source.join(&entry.path);
                let mut file = File::open(&path).map_err(|e| io_error(&path, e))?;
                loop {
                    let count = file.read(&mut buffer).map_err(|e| io_error(&path, e))?;
                    if count == 0 {
                        break;
                    }
                    hasher.update(buffer.get(..count).unwrap_or_default());
                }
            }
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn copy(source: &Path, to: &Path, entries: &[Entry]) -> Result<(), ReleaseError> {
    // Sorted: a directory comes before what is in it.
    for entry in entries {
        let (from, to) = (source.join(&entry.path), to.join(&entry.path));
        match &entry.kind {
            Kind::Directory => fs::create_dir(&to).map_err(|e| io_error(&to, e))?,
            Kind::Link(target) => {
                std::os::unix::fs::symlink(target, &to).map_err(|e| io_error(&to, e))?;
            }
            Kind::File { .. } => {
                fs::copy(&from, &to).map_err(|e| io_error(&to, e))?;
                let modified = fs::metadata(&from).and_then(|metadata| metadata.modified());
                let modified = modified.map_err(|e| io_error(&from, e))?;
                File::open(&to)
                    .and_then(|file| file.set_modified(modified))
                    .map_err(|e| io_error(&to, e))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(dir: &Path) -> PathBuf {
        let source = dir.join("code");
        fs::create_dir_all(source.join("bin")).unwrap();
        fs::create_dir_all(source.join(".git")).unwrap();
        fs::write(source.join("bin/app"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(source.join("bin/app"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(source.join("a.txt"), "a").unwrap();
        fs::write(source.join(".git/HEAD"), "x").unwrap();
        std::os::unix::fs::symlink("a.txt", source.join("b.txt")).unwrap();
        source
    }

    #[test]
    fn a_release_is_named_by_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let source = code(dir.path());
        let store = Store::new(dir.path().join("releases"));
        let first = store.take(&source).unwrap();
        assert_eq!(store.take(&source).unwrap(), first);
        assert_eq!(fs::read_to_string(first.root.join("b.txt")).unwrap(), "a");
        assert!(!first.root.join(".git").exists());
        let mode = fs::metadata(first.root.join("bin/app"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);

        fs::write(source.join("a.txt"), "b").unwrap();
        let second = store.take(&source).unwrap();
        assert_ne!(second.hash, first.hash);
        assert!(first.root.exists());
        fs::write(source.join("a.txt"), "a").unwrap();
        assert_eq!(store.take(&source).unwrap(), first);
    }

    #[test]
    fn a_read_only_file_can_be_copied() {
        let dir = tempfile::tempdir().unwrap();
        let source = code(dir.path());
        fs::set_permissions(source.join("a.txt"), fs::Permissions::from_mode(0o444)).unwrap();
        assert!(
            Store::new(dir.path().join("releases"))
                .take(&source)
                .is_ok()
        );
    }

    #[test]
    fn a_missing_or_empty_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("releases"));
        let missing = store.take(&dir.path().join("nothing")).unwrap_err();
        assert!(matches!(missing, ReleaseError::Missing(_)));
        fs::create_dir(dir.path().join("empty")).unwrap();
        let empty = store.take(&dir.path().join("empty")).unwrap_err();
        assert!(matches!(empty, ReleaseError::Empty(_)));
    }
}
