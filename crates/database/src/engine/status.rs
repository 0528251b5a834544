//! Pure: the server's answers about itself, read.

use mysql::client::Rows;
use mysql::gtid::mariadb::{Gtid, Position};

use crate::failover::view::{Io, Replication, ServerError};

/// Positions and state in one statement, so that they belong together.
pub const VARIABLES: &str = "SELECT @@global.version AS version, @@global.read_only AS read_only, \
     @@global.gtid_binlog_pos AS binlog_pos, @@global.gtid_slave_pos AS slave_pos, \
     @@global.gtid_binlog_state AS binlog_state, \
     @@global.rpl_semi_sync_master_enabled AS semi_sync";

/// Who receives binary logs, and whose account is locked. A connection that is being ended does not
/// count.
pub const FOLLOWERS: &str = "SELECT user, 'connected' FROM information_schema.processlist \
     WHERE command = 'Binlog Dump' AND state NOT LIKE '%kill%' UNION ALL \
     SELECT user, 'locked' FROM mysql.global_priv \
     WHERE user LIKE 'repl\\_%' AND JSON_VALUE(priv, '$.account_locked') = 1";

pub const REPLICATION: &str = "SHOW SLAVE STATUS";

/// The newest heartbeat; there is one row per server that was primary.
pub const NEWEST_BEAT: &str = "SELECT MAX(at_us) FROM mainstay.heartbeat";

/// The answer to `VARIABLES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variables {
    pub version: String,
    pub read_only: bool,
    pub binlog_pos: Position,
    pub slave_pos: Position,
    /// Of `@@gtid_binlog_state` what was committed on the server itself.
    pub own: Vec<Gtid>,
    pub semi_sync: bool,
}

/// `None`: an answer that makes no sense.
pub fn variables(rows: &Rows, server_id: u32) -> Option<Variables> {
    let text = |column: &str| rows.first(column);
    let own = text("binlog_state")?
        .split(',')
        .filter(|gtid| !gtid.trim().is_empty())
        .map(str::parse::<Gtid>)
        .collect::<Result<Vec<Gtid>, _>>()
        .ok()?
        .into_iter()
        .filter(|gtid| gtid.server == server_id)
        .collect();
    Some(Variables {
        version: text("version")?.to_owned(),
        // 12.0 makes an enumeration of it: everything but "off" keeps somebody from writing.
        read_only: !matches!(text("read_only")?, "0" | "OFF"),
        binlog_pos: text("binlog_pos")?.parse().ok()?,
        slave_pos: text("slave_pos")?.parse().ok()?,
        own,
        // Unknown where there is no such variable: nothing waits for anybody.
        semi_sync: matches!(text("semi_sync"), Some("1" | "ON")),
    })
}

/// `None`: it follows nobody.
pub fn replication(rows: &Rows) -> Option<Replication> {
    let text = |column: &str| rows.first(column).unwrap_or_default();
    rows.rows.first()?;
    let error = |prefix: &str| {
        let code = text(&format!("Last_{prefix}_Errno")).parse().unwrap_or(0);
        (code != 0).then(|| ServerError {
            code,
            message: text(&format!("Last_{prefix}_Error")).to_owned(),
        })
    };
    Some(Replication {
        host: text("Master_Host").to_owned(),
        port: text("Master_Port").parse().unwrap_or(0),
        user: text("Master_User").to_owned(),
        by_gtid: text("Using_Gtid") == "Slave_Pos",
        io: match text("Slave_IO_Running") {
            "Yes" => Io::Running,
            "No" => Io::Stopped,
            // "Connecting", "Preparing"
            _ => Io::Connecting,
        },
        io_error: error("IO"),
        sql_running: text("Slave_SQL_Running") == "Yes",
        sql_error: error("SQL"),
        received: text("Gtid_IO_Pos").parse().unwrap_or_default(),
    })
}

/// The answer to `NEWEST_BEAT`.
pub fn newest_beat(rows: &Rows) -> Option<i64> {
    rows.single()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(&str, &str)]) -> Rows {
        Rows {
            columns: pairs.iter().map(|(name, _)| (*name).to_owned()).collect(),
            rows: vec![pairs.iter().map(|(_, v)| Some((*v).to_owned())).collect()],
        }
    }

    #[test]
    fn a_stopped_replica_as_recorded() {
        let answer = rows(&[
            ("Master_Host", "127.0.3.1"),
            ("Master_Port", "3306"),
            ("Master_User", "repl_db-1.2"),
            ("Using_Gtid", "Slave_Pos"),
            ("Slave_IO_Running", "Yes"),
            ("Slave_SQL_Running", "No"),
            ("Last_IO_Errno", "0"),
            ("Last_IO_Error", ""),
            ("Last_SQL_Errno", "1062"),
            ("Last_SQL_Error", "Duplicate entry '1' for key 'PRIMARY'"),
            ("Gtid_IO_Pos", "0-101-9"),
        ]);
        let replication = replication(&answer).unwrap();
        assert_eq!(replication.io, Io::Running);
        assert!(!replication.sql_running && replication.io_error.is_none());
        assert_eq!(replication.sql_error.as_ref().unwrap().code, 1062);
        assert!(replication.follows(([127, 0, 3, 1], 3306).into(), "repl_db-1.2"));
    }

    #[test]
    fn no_row_means_it_follows_nobody() {
        assert_eq!(replication(&Rows::default()), None);
    }

    #[test]
    fn own_transactions_are_told_from_received_ones() {
        let answer = rows(&[
            ("version", "10.11.6-MariaDB-log"),
            ("read_only", "1"),
            ("binlog_pos", "0-102-8"),
            ("slave_pos", "0-101-7"),
            ("binlog_state", "0-101-7,0-102-8"),
        ]);
        let variables = variables(&answer, 102).unwrap();
        assert!(variables.read_only);
        assert_eq!(variables.own, ["0-102-8".parse().unwrap()]);
    }
}
