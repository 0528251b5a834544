//! The transactions that only this server has, out of its binary log, as SQL for a person to read and decide
//! on. Before its data is replaced.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use mysql::gtid::mariadb::Position;

use super::{Job, RebuildError, private, run};
use crate::engine::create::{beside, joined};
use crate::engine::programs::Program;

/// What it has alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extra {
    /// For people: the last one of each domain.
    pub(crate) last: String,
    /// Up to here the primary has it too.
    pub(crate) after: Position,
}

/// Where it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Salvaged {
    pub(crate) file: PathBuf,
    pub(crate) transactions: u64,
}

/// Its server is stopped. The file is readable for the owner only, as the data is.
pub(super) async fn save(job: &mut Job, extra: &Extra) -> Result<Salvaged, RebuildError> {
    let program = job.server.programs.find(Program::Binlog)?;
    let file = free(&job.server.data_dir);
    private(&file, "")?;
    let server_id = job.server.target.server_id;
    let mut args: Vec<OsString> = vec![
        "--no-defaults".into(),
        "--verbose".into(),
        format!("--server-id={server_id}").into(),
        joined("--result-file=", &file),
    ];
    // Without one it begins at the beginning.
    if !extra.after.is_empty() {
        args.push(format!("--start-position={}", extra.after).into());
    }
    args.extend(logs(&job.server.data_dir)?.into_iter().map(OsString::from));
    run(job, &program, args).await?;
    let transactions = count(&file).map_err(|source| RebuildError::Io {
        path: file.clone(),
        source,
    })?;
    Ok(Salvaged { file, transactions })
}

/// `db-1.extra-1.sql`, and so on, beside the data directory.
fn free(data_dir: &Path) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let path = beside(data_dir, &format!(".extra-{number}.sql"));
        if !path.exists() {
            return path;
        }
        number = number.saturating_add(1);
    }
}

/// Its binary logs, oldest first.
fn logs(data_dir: &Path) -> Result<Vec<PathBuf>, RebuildError> {
    let failed = |source| RebuildError::Io {
        path: data_dir.to_owned(),
        source,
    };
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(data_dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("bin."));
        if let Some(Ok(number)) = number.map(str::parse::<u64>) {
            logs.push((number, entry.path()));
        }
    }
    logs.sort();
    Ok(logs.into_iter().map(|(_, path)| path).collect())
}

/// mariadb-binlog writes a comment with `GTID 0-1-2 trans` in it before each.
fn count(file: &Path) -> std::io::Result<u64> {
    let mut reader = BufReader::new(std::fs::File::open(file)?);
    let mut line = Vec::new();
    let mut transactions = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        let is_one = line.starts_with(b"#") && line.windows(6).any(|part| part == b"\tGTID ");
        transactions += u64::from(is_one);
        line.clear();
    }
    Ok(transactions)
}
