//! A copy by `mariadb-backup`: the files themselves, while the primary goes on.

use std::ffi::OsString;
use std::path::Path;

use super::{Job, RebuildError, position_text, run};
use crate::engine::create::{self, joined};
use crate::record::MemberRecord;

/// Fills `incoming`; the position it stands at.
pub(super) async fn copy(
    job: &mut Job,
    program: &Path,
    login: &Path,
    source: &MemberRecord,
    incoming: &Path,
) -> Result<String, RebuildError> {
    create::make_empty(incoming)?;
    let target = joined("--target-dir=", incoming);
    let tmp_dir = joined("--tmpdir=", &job.server.tmp_dir());
    let args: Vec<OsString> = vec![
        joined("--defaults-file=", login),
        "--backup".into(),
        target.clone(),
        joined("--datadir=", &source.data_dir),
        tmp_dir.clone(),
    ];
    run(job, program, args).await?;
    let args: Vec<OsString> = vec!["--no-defaults".into(), "--prepare".into(), target, tmp_dir];
    run(job, program, args).await?;
    // The second name since 11.1.
    ["xtrabackup_binlog_info", "mariadb_backup_binlog_info"]
        .iter()
        .find_map(|name| std::fs::read_to_string(incoming.join(name)).ok())
        .and_then(|text| position(&text))
        .ok_or_else(|| RebuildError::NoPosition(incoming.to_owned()))
}

/// `bin.000007 <tab> 1709 <tab> 0-2-54850`
fn position(text: &str) -> Option<String> {
    let position = text.split_whitespace().nth(2)?;
    position_text(position)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_position_is_found_where_the_tool_puts_it() {
        let text = "bin.000007\t1709\t0-2-54850\n";
        assert_eq!(super::position(text).unwrap(), "0-2-54850");
        assert_eq!(super::position("bin.000007\t1709\n"), None);
    }
}
