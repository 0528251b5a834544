//! Sends a file, or a part of one, in pieces.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use http::server::Connection;
use http::{Fault, Kind, Phase};

use crate::site_files::SiteFile;

/// Bytes read and written at a time: one read and one write for most files of a site.
const PIECE: usize = 64 << 10;

/// The file, if it is still what was listed: a head with another length would break the connection.
pub(crate) fn open(file: &SiteFile) -> io::Result<File> {
    let open = File::open(&file.path)?;
    if open.metadata()?.len() == file.size {
        Ok(open)
    } else {
        Err(io::Error::other(
            "its length has changed since it was listed",
        ))
    }
}

/// Writes `head` and then `length` bytes from `start`. The first piece goes out with the head.
pub(crate) async fn send(
    client: &mut Connection,
    open: &File,
    mut head: Vec<u8>,
    start: u64,
    length: u64,
    idle: Duration,
) -> Result<u64, Fault> {
    let broken = |kind| Fault::upstream(Phase::ResponseBody, kind);
    let mut sent = 0;
    while sent < length {
        let before = head.len();
        let piece = usize::try_from(length - sent).unwrap_or(PIECE).min(PIECE);
        head.resize(before + piece, 0);
        let into = head.get_mut(before..).unwrap_or_default();
        let count = open
            .read_at(into, start + sent)
            .map_err(|e| broken(e.into()))?;
        if count == 0 {
            // Shorter than it was listed: a release must not change.
            return Err(broken(Kind::Closed));
        }
        head.truncate(before + count);
        client.write_all(&head, idle).await?;
        head.clear();
        sent += count as u64;
    }
    if length == 0 {
        client.write_all(&head, idle).await?;
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_changed_is_not_served_with_its_old_head() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.css");
        std::fs::write(&path, "body{}").unwrap();
        let file = SiteFile {
            path: path.clone(),
            size: 6,
            mime: "text/css".to_owned(),
            etag: "\"a\"".to_owned(),
            modified: std::time::SystemTime::UNIX_EPOCH,
        };
        open(&file).unwrap();
        std::fs::write(&path, "body{ color: teal }").unwrap();
        assert!(open(&file).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(open(&file).is_err());
    }
}
