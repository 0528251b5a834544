//! Sends a file, or a part of one, in pieces.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use http::server::Connection;
use http::{Fault, Kind, Phase};

use crate::site_files::SiteFile;

/// Bytes read and written at a time: one read and one write for most files of a site.
const PIECE: usize = 64 << 10;

/// Writes `head` and then `length` bytes from `start`. The first piece goes out with the head.
pub(crate) async fn send(
    client: &mut Connection,
    file: &SiteFile,
    mut head: Vec<u8>,
    start: u64,
    length: u64,
    idle: Duration,
) -> Result<u64, Fault> {
    let broken = |kind| Fault::upstream(Phase::ResponseBody, kind);
    let open = std::fs::File::open(&file.path).map_err(|e| broken(e.into()))?;
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
