//! A log's file that every thread may append to: kept below a size, with the one before it. Of the
//! balancer's access log and the SQL router's slow log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Bytes of one file, about 200,000 requests; the one before it is kept as `NAME.log.1`.
const FILE_LIMIT: u64 = 64 << 20;

/// Threads rotate one at a time: two at once would throw the file before away.
static ROTATING: Mutex<()> = Mutex::new(());

/// One thread's lines that are not yet written, and where they go.
#[derive(Debug, Default)]
pub struct RotatingFile {
    pub path: PathBuf,
    pub lines: String,
    file: Option<File>,
}

impl RotatingFile {
    /// Appends what has collected, in one call. A log that cannot be written stops nobody.
    pub fn write(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        if let Err(e) = self.append(FILE_LIMIT) {
            tracing::error!("log {}: {e}", self.path.display());
            self.file = None;
        }
        self.lines.clear();
    }

    fn append(&mut self, limit: u64) -> io::Result<()> {
        if let Some(file) = &self.file {
            let metadata = file.metadata()?;
            if metadata.len() > limit {
                rotate(&self.path, metadata.ino())?;
                self.file = None;
            } else if metadata.nlink() == 0 {
                // Somebody has removed it: what is written there is lost.
                self.file = None;
            }
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.path)?,
        };
        self.file.insert(file).write_all(self.lines.as_bytes())
    }
}

/// Renames the file unless another thread has done it: then the path names another file already.
fn rotate(path: &Path, inode: u64) -> io::Result<()> {
    let _one_at_a_time = ROTATING.lock();
    match path.metadata() {
        Ok(metadata) if metadata.ino() == inode => {
            let mut former = path.to_owned().into_os_string();
            former.push(".1");
            std::fs::rename(path, former)
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_rotate_once_and_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let thread = |lines: &str| RotatingFile {
            path: path.clone(),
            lines: lines.to_owned(),
            file: None,
        };
        let (mut one, mut two) = (thread("one\n"), thread("two\n"));
        let write = |file: &mut RotatingFile, line: &str| {
            file.lines = line.to_owned();
            file.append(10).unwrap();
        };
        write(&mut one, "1 old\n");
        write(&mut two, "2 old\n");
        write(&mut one, "1 new\n");
        write(&mut two, "2 new\n");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&dir.path().join("access.log.1")), "1 old\n2 old\n");
        assert_eq!(read(&path), "1 new\n2 new\n");

        std::fs::remove_file(&path).unwrap();
        write(&mut one, "1 newest\n");
        assert_eq!(read(&path), "1 newest\n");
    }
}
