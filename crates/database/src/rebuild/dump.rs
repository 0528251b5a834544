//! A copy by `mariadb-dump`, where `mariadb-backup` is not installed: slower, and needs no package
//! besides the server's.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::{Job, RebuildError, client_options, position_text, private, run};
use crate::engine::create::{self, beside, joined};
use crate::engine::mariadb::{STOP_GRACE, Server};
use crate::engine::programs::Program;

/// Bytes at either end of a dump in which its position is looked for.
const EDGE: u64 = 64 << 10;

/// Fills `incoming` by loading a dump with a server that nobody can reach; the position it stands at.
pub(super) async fn copy(
    job: &mut Job,
    login: &Path,
    incoming: &Path,
) -> Result<String, RebuildError> {
    let dump = job.server.programs.find(Program::Dump)?;
    let client = job.server.programs.find(Program::Client)?;
    let file = beside(&job.server.data_dir, ".dump.sql");
    private(&file, "")?;
    let mut args: Vec<OsString> = vec![joined("--defaults-file=", login)];
    args.extend(
        [
            "--all-databases",
            "--single-transaction",
            "--gtid",
            "--master-data=2",
            "--routines",
            "--events",
            "--hex-blob",
            "--flush-privileges",
            // Its own, not the primary's.
            "--ignore-table=mysql.gtid_slave_pos",
        ]
        .map(OsString::from),
    );
    args.push(joined("--result-file=", &file));
    let loaded = match run(job, &dump, args).await {
        Ok(()) => load(job, &client, &file, incoming).await,
        Err(e) => Err(e),
    };
    let found = position(&file);
    if let Err(e) = std::fs::remove_file(&file) {
        tracing::warn!("{}: {e}", file.display());
    }
    loaded?;
    found.ok_or(RebuildError::NoPosition(file))
}

/// It stands near the end (10.11) or near the beginning (older).
fn position(file: &Path) -> Option<String> {
    let mut file = File::open(file).ok()?;
    let length = file.metadata().ok()?.len();
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(EDGE)))
        .ok()?;
    file.by_ref().take(EDGE).read_to_end(&mut tail).ok()?;
    let mut head = Vec::new();
    file.rewind().ok()?;
    file.take(EDGE).read_to_end(&mut head).ok()?;
    position_line(&tail).or_else(|| position_line(&head))
}

/// The last line `-- SET GLOBAL gtid_slave_pos='0-101-9';`
fn position_line(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    text.lines().rev().find_map(|line| {
        let rest = line.strip_prefix("-- SET GLOBAL gtid_slave_pos='")?;
        position_text(rest.split_once('\'')?.0)
    })
}

async fn load(
    job: &mut Job,
    client: &Path,
    file: &Path,
    incoming: &Path,
) -> Result<(), RebuildError> {
    // What a crash may have left there.
    create::make_empty(incoming)?;
    let apart = Server {
        data_dir: incoming.to_owned(),
        runtime_dir: job.server.runtime_dir.join("r"),
        ..job.server.clone()
    };
    let mut running = apart.start_apart(&mut job.cancel).await?;
    let login = apart.in_runtime_dir("copy.cnf");
    let loaded = match private(&login, &client_options(&apart.socket(), &apart)) {
        Ok(()) => {
            let args = vec![
                joined("--defaults-file=", &login),
                joined("--execute=source ", file),
            ];
            run(job, client, args).await
        }
        Err(e) => Err(e),
    };
    running.stop(STOP_GRACE).await;
    for dir in [&apart.runtime_dir, &apart.tmp_dir()] {
        if let Err(e) = std::fs::remove_dir_all(dir) {
            tracing::warn!("{}: {e}", dir.display());
        }
    }
    loaded
}

#[cfg(test)]
mod tests {
    use super::position_line;

    #[test]
    fn the_position_is_found_where_the_tool_puts_it() {
        let text = b"-- x\n--\n-- SET GLOBAL gtid_slave_pos='0-101-9,1-5-2';\n\n";
        assert_eq!(position_line(text).unwrap(), "0-101-9,1-5-2");
        assert_eq!(position_line(b"-- SET GLOBAL gtid_slave_pos='';"), None);
    }
}
