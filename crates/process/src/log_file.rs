//! The captured output of one process: a file of lines, each with its time, kept below a size.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes of one log file; the one before it is kept as `NAME.log.1`.
const FILE_LIMIT: u64 = 8 << 20;
/// Bytes of one line; the rest is cut.
pub const LINE_LIMIT: usize = 16 << 10;

/// An open log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
}

impl LogFile {
    /// Opens `path` for appending, with its directories; errors name the path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(named)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(named)?;
        let written = file.metadata().map_err(named)?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            written,
        })
    }

    /// Appends one line. `at`: RFC 3339, so that lines of several files sort by time.
    pub fn line(&mut self, at: &str, text: &[u8]) -> io::Result<()> {
        if self.written > FILE_LIMIT {
            self.rotate()?;
        }
        let text = text.get(..LINE_LIMIT).unwrap_or(text);
        let mut line = Vec::with_capacity(at.len() + text.len() + 2);
        line.extend_from_slice(at.as_bytes());
        line.push(b' ');
        // Other control characters could drive the terminal of whoever reads the log.
        line.extend(
            text.iter()
                .map(|b| if *b < 0x20 && *b != b'\t' { b'?' } else { *b }),
        );
        line.push(b'\n');
        self.written += line.len() as u64;
        self.file.write_all(&line)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let mut former = self.path.clone().into_os_string();
        former.push(".1");
        std::fs::rename(&self.path, former)?;
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.log");
        let mut log = LogFile::open(&path).unwrap();
        log.line("T", b"\x1b[2Jhello").unwrap();
        log.line("T", &vec![b'x'; LINE_LIMIT * 2]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "T ?[2Jhello");
        assert_eq!(lines[1].len(), LINE_LIMIT + 2);
    }
}
