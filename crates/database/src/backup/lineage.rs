//! The mark of a data directory: a random word in a file of its own. InnoDB counts its log sequence
//! numbers from the making of a directory, so an incremental backup is only of use on top of one of the
//! very same; a copy (a rebuild, a restore) does not take the file along.

use std::io;
use std::path::Path;

use crate::engine::create;

const FILE: &str = "mainstay-lineage";
const RANDOM_BYTES: usize = 16;

/// None when it has none yet.
pub(super) fn read(data_dir: &Path) -> Option<String> {
    let text = std::fs::read_to_string(data_dir.join(FILE)).ok()?;
    let text = text.trim();
    (!text.is_empty() && text.len() <= 2 * RANDOM_BYTES).then(|| text.to_owned())
}

/// Its mark, made now if there is none.
pub(super) fn of(data_dir: &Path) -> io::Result<String> {
    if let Some(mark) = read(data_dir) {
        return Ok(mark);
    }
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
    let mark: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    create::write_private(&data_dir.join(FILE), &mark)?;
    Ok(mark)
}
