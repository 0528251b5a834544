//! A log's file, of the balancer's access log and the SQL router's slow log: kept below a size, with the
//! one before it. Another process may append to it too, while one takes the place of another.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Bytes of one file, about 200,000 lines; the one before it is kept as `NAME.log.1`.
pub const FILE_LIMIT: u64 = 64 << 20;

/// The file that is open.
#[derive(Debug, Default)]
pub struct RotatingFile {
    path: PathBuf,
    file: Option<File>,
}

impl RotatingFile {
    /// Appends whole lines in one call; to a new file when the one there is has `limit` bytes.
    pub fn append(&mut self, path: &Path, lines: &str, limit: u64) -> io::Result<()> {
        if *self.path != *path {
            (self.path, self.file) = (path.to_owned(), None);
        }
        let written = self.write(lines, limit);
        if written.is_err() {
            self.file = None;
        }
        written
    }

    fn write(&mut self, lines: &str, limit: u64) -> io::Result<()> {
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
        self.file.insert(file).write_all(lines.as_bytes())
    }
}

/// Renames the file unless another process has done it: then the path names another file already.
fn rotate(path: &Path, inode: u64) -> io::Result<()> {
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
    fn two_rotate_once_and_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let (mut one, mut two) = (RotatingFile::default(), RotatingFile::default());
        let write = |file: &mut RotatingFile, line: &str| file.append(&path, line, 10).unwrap();
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

        let other = dir.path().join("other.log");
        one.append(&other, "moved\n", 10).unwrap();
        assert_eq!(read(&other), "moved\n");
    }
}
