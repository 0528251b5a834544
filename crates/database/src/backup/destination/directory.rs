//! A directory: a disk of its own, a mounted share, or another server's under `mainstay up`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::PlaceError;

/// What is still being written: a name no object has.
const PART: &str = ".part-";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn create(&self, name: &str) -> Result<Upload, PlaceError> {
        let path = self.path(name);
        let parent = path.parent().unwrap_or(&self.root);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(failed("cannot make the directory", parent))?;
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let part = parent.join(format!("{PART}{file_name}"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .map_err(failed("cannot write", &part))?;
        Ok(Upload {
            file: Some(file),
            part,
            path,
        })
    }

    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read + Send>, PlaceError> {
        let path = self.path(name);
        match File::open(&path) {
            Ok(file) => Ok(Box::new(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(PlaceError::Missing(path.display().to_string()))
            }
            Err(source) => Err(failed("cannot read", &path)(source)),
        }
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<String>, PlaceError> {
        let mut names = Vec::new();
        walk(&self.root, &mut |path| {
            let name = path.strip_prefix(&self.root).unwrap_or(path);
            let name = name.to_string_lossy();
            if name.starts_with(prefix) && !is_part(path) {
                names.push(name.into_owned());
            }
            Ok(())
        })?;
        Ok(names)
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), PlaceError> {
        let path = self.path(name);
        gone(fs::remove_file(&path)).map_err(failed("cannot remove", &path))?;
        // The last object of a directory takes it along; one that is not empty stays.
        if let Some(parent) = path.parent().filter(|parent| *parent != self.root)
            && let Err(e) = fs::remove_dir(parent)
        {
            tracing::trace!("{}: {e}", parent.display());
        }
        Ok(())
    }

    pub(super) fn sweep(&self) -> Result<usize, PlaceError> {
        let mut removed = 0;
        walk(&self.root, &mut |path| {
            if is_part(path) {
                gone(fs::remove_file(path)).map_err(failed("cannot remove", path))?;
                removed += 1;
            }
            Ok(())
        })?;
        Ok(removed)
    }
}

/// A file beside its place, renamed into it.
#[derive(Debug)]
pub struct Upload {
    /// `None` once it is in its place.
    file: Option<File>,
    part: PathBuf,
    path: PathBuf,
}

impl Upload {
    pub(super) fn finish(mut self) -> Result<(), PlaceError> {
        if let Some(file) = &self.file {
            file.sync_all().map_err(failed("cannot keep", &self.path))?;
        }
        fs::rename(&self.part, &self.path).map_err(failed("cannot keep", &self.path))?;
        self.file = None;
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        File::open(parent)
            .and_then(|dir| dir.sync_all())
            .map_err(failed("cannot keep", &self.path))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("it is finished")),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.file.take().is_some()
            && let Err(e) = fs::remove_file(&self.part)
        {
            tracing::warn!("{}: {e}", self.part.display());
        }
    }
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(PART)
}

/// Every file below `dir`; a directory that is not there is empty.
fn walk(
    dir: &Path,
    visit: &mut impl FnMut(&Path) -> Result<(), PlaceError>,
) -> Result<(), PlaceError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("cannot read", dir)(source)),
    };
    for entry in entries {
        let entry = entry.map_err(failed("cannot read", dir))?;
        let kind = entry.file_type().map_err(failed("cannot read", dir))?;
        match kind.is_dir() {
            true => walk(&entry.path(), visit)?,
            false => visit(&entry.path())?,
        }
    }
    Ok(())
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PlaceError {
    move |source| PlaceError::Io {
        doing,
        what: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::Destination;
    use super::*;

    #[test]
    fn an_object_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let place = Destination::Directory(Directory::new(dir.path().join("backups")));
        assert_eq!(place.list("").unwrap(), Vec::<String>::new());
        let mut upload = place.create("logs/a.json").unwrap();
        upload.write_all(b"half").unwrap();
        assert_eq!(place.list("").unwrap(), Vec::<String>::new());
        drop(upload);
        assert_eq!(place.sweep().unwrap(), 0, "dropping it removed it");
        std::mem::forget(place.create("logs/b.json").unwrap());
        assert_eq!(place.list("").unwrap(), Vec::<String>::new());
        assert_eq!(place.sweep().unwrap(), 1, "what a dead process left");
        place.put("logs/a.json", b"whole").unwrap();
        place.put("logs/a.json", b"anew").unwrap();
        assert_eq!(place.list("logs/").unwrap(), ["logs/a.json"]);
        assert_eq!(place.get("logs/a.json").unwrap(), b"anew");
        place.remove("logs/a.json").unwrap();
        place.remove("logs/a.json").unwrap();
        assert!(matches!(
            place.get("logs/a.json"),
            Err(PlaceError::Missing(_))
        ));
        assert!(!dir.path().join("backups/logs").exists());
    }

    #[test]
    fn a_name_cannot_leave_the_place() {
        let place = Destination::Directory(Directory::new("/nowhere".into()));
        for bad in ["../x", "a//b", "/etc/passwd", "a/.b", ""] {
            assert!(matches!(place.open(bad), Err(PlaceError::Name(_))), "{bad}");
        }
    }
}
