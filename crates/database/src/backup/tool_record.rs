//! Pure: what mariadb-backup says of a backup: `xtrabackup_checkpoints` and `xtrabackup_info` (since
//! 11.1 `mariadb_backup_…`), lines of `name = value`.

use mysql::gtid::mariadb::Position;

/// The part of it that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ToolRecord {
    pub from_lsn: u64,
    pub to_lsn: u64,
    pub position: Position,
    pub server_version: String,
}

/// None when something of it is missing: then it is no backup to count on.
pub(super) fn parse(checkpoints: &str, info: &str) -> Option<ToolRecord> {
    let lsn = |name| value(checkpoints, name)?.parse().ok();
    Some(ToolRecord {
        from_lsn: lsn("from_lsn")?,
        to_lsn: lsn("to_lsn")?,
        position: position(value(info, "binlog_pos")?)?,
        server_version: value(info, "server_version")?.to_owned(),
    })
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// `filename 'bin.000002', position '580', GTID of the last change '0-1-7'`
fn position(text: &str) -> Option<Position> {
    let (_, rest) = text.split_once("GTID of the last change '")?;
    let position: Position = rest.split_once('\'')?.0.parse().ok()?;
    (!position.is_empty()).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKPOINTS: &str = "backup_type = full-backuped\nfrom_lsn = 0\nto_lsn = 44404\n\
                               last_lsn = 50702\nrecover_binlog_info = 0\n";
    const INFO: &str = "tool_version = 10.11.19-MariaDB\n\
                        server_version = 10.11.19-MariaDB-0+deb12u1-log\n\
                        binlog_pos = filename 'bin.000002', position '580', GTID of the last change \
                        '0-1-7'\ninnodb_from_lsn = 0\n";

    #[test]
    fn what_the_tool_prints_is_understood() {
        let record = parse(CHECKPOINTS, INFO).unwrap();
        assert_eq!((record.from_lsn, record.to_lsn), (0, 44404));
        assert_eq!(record.position.to_string(), "0-1-7");
        assert_eq!(record.server_version, "10.11.19-MariaDB-0+deb12u1-log");
    }

    #[test]
    fn without_a_position_it_is_no_record() {
        assert_eq!(parse(CHECKPOINTS, &INFO.replace("0-1-7", "")), None);
        assert_eq!(parse(CHECKPOINTS, ""), None);
        assert_eq!(parse("", INFO), None);
    }
}
