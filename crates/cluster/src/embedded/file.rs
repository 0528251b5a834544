//! The store's file: read whole, replaced whole (temporary file, fsync, rename, fsync of the
//! directory), so that a crash leaves the old or the new one, never a half.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::map::{FORMAT, KIND, Map};
use crate::agreement::StoreError;
use crate::entry::{KEYS_LIMIT, VALUE_LIMIT};

/// No store within the bounds is larger; anything that is, is not ours.
const FILE_LIMIT: u64 = (KEYS_LIMIT as u64) * (VALUE_LIMIT as u64);

/// The store in `path`; an empty one when there is no such file.
pub(super) fn read(path: &Path) -> Result<Map, StoreError> {
    let failed = |source| StoreError::Read {
        path: path.to_owned(),
        source,
    };
    let damaged = |reason: String| StoreError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Map::empty()),
        Err(e) => return Err(failed(e)),
    };
    let mut text = String::new();
    match file.take(FILE_LIMIT).read_to_string(&mut text) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged("it is not text".to_owned()));
        }
        Err(e) => return Err(failed(e)),
    }
    let map: Map = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
    if map.kind != KIND {
        return Err(damaged(format!("it calls itself `{}`", map.kind)));
    }
    if map.format != FORMAT {
        return Err(damaged(format!(
            "it has format {}, this version knows {FORMAT}",
            map.format
        )));
    }
    match map.fault() {
        Some(fault) => Err(damaged(fault)),
        None => Ok(map),
    }
}

/// On return the content is on disk under its name.
pub(super) fn write(path: &Path, map: &Map) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write {
        path: path.to_owned(),
        source,
    };
    let text = serde_json::to_vec_pretty(map).map_err(|e| failed(io::Error::other(e)))?;
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(failed)?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed)
}
