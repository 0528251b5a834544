//! Pure: the server's option file, with the reason of each line.
//!
//! It is given as `--defaults-file`, so nothing in `/etc/mysql` reaches a server of ours.

use std::fmt::Write as _;
use std::path::PathBuf;

use site::target::MemberTarget;

/// What the file needs besides the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    pub data_dir: PathBuf,
    pub socket: PathBuf,
    pub pid_file: PathBuf,
    pub tmp_dir: PathBuf,
    /// mariadbd refuses to run as root unless it is told to.
    pub as_root: bool,
}

/// A setting of the user's that the file cannot carry. The site file's check comes before; this is
/// the second net, because a wrong line here can cost data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("the database setting `{0}` is set by Mainstay; take it out of the site file")]
    Ours(String),
    #[error("the database setting `{0}` or its value has characters an option file cannot carry")]
    Characters(String),
}

/// The smallest and largest redo log, bytes: 32 MiB holds the largest row and a test's writes;
/// above 512 MiB crash recovery takes longer than a failover should.
const REDO_LOG: (u64, u64) = (32 << 20, 512 << 20);

/// Size of InnoDB's redo log: half the buffer pool, within bounds. Also used when the data directory
/// is made, so that the first start need not change it.
pub fn redo_log(buffer_pool: u64) -> u64 {
    (buffer_pool / 2).clamp(REDO_LOG.0, REDO_LOG.1)
}

/// The whole file.
pub fn render(target: &MemberTarget, places: &Places) -> Result<String, SettingError> {
    let mut file = File::new(target);
    file.identity(target, places);
    file.replication(target);
    file.durability();
    file.sessions();
    file.size(target);
    file.settings(target)?;
    Ok(file.text)
}

struct File {
    text: String,
    ours: Vec<String>,
}

impl File {
    fn new(target: &MemberTarget) -> Self {
        Self {
            text: format!(
                "# Database member {}, written by Mainstay at every start: edit the site file instead.\n\
                 [mariadbd]\n",
                target.name
            ),
            ours: Vec::new(),
        }
    }

    fn because(&mut self, reason: &str) {
        self.line(&format!("\n# {reason}"));
    }

    fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        self.ours.push(name.to_owned());
        self.line(&format!("{name} = {value}"));
    }

    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        if writeln!(self.text, "{line}").is_err() {
            self.text.clear();
        }
    }

    fn identity(&mut self, target: &MemberTarget, places: &Places) {
        self.because("Where it lives.");
        self.set("datadir", places.data_dir.display());
        self.set("socket", places.socket.display());
        self.set("pid_file", places.pid_file.display());
        self.because(
            "Not shared: a server that starts removes temporary tables in it, others' too.",
        );
        self.set("tmpdir", places.tmp_dir.display());
        if places.as_root {
            self.because("mariadbd refuses to run as root, which started it, without this.");
            self.set("user", "root");
        }
        self.because(
            "Only its own address: others reach it where the site file says, or not at all.",
        );
        self.set("bind_address", target.listen.ip());
        self.set("port", target.listen.port());
        self.because("No look-up of client names: a slow name server must not delay a login.");
        self.set("skip_name_resolve", 1);
        self.because("Symbolic links could lead a table out of the data directory.");
        self.set("symbolic_links", 0);
    }

    fn replication(&mut self, target: &MemberTarget) {
        self.because(
            "A server that starts is never writable: its keeper asks the cluster state first.",
        );
        self.set("read_only", 1);
        self.set("skip_slave_start", 1);
        self.because("Every member can become primary, so each writes a full binary log, rows only:\n# statements may have another effect elsewhere.");
        self.set("server_id", target.server_id);
        self.set("log_bin", "bin");
        self.set("log_bin_index", "bin.index");
        self.set("relay_log", "relay");
        self.set("relay_log_index", "relay.index");
        self.set("log_slave_updates", 1);
        self.set("binlog_format", "ROW");
        self.because("Refuses a transaction out of order instead of diverging silently.");
        self.set("gtid_strict_mode", 1);
        self.because("The name under which it appears in SHOW SLAVE HOSTS.");
        self.set("report_host", &target.name);
        self.set("report_port", target.listen.port());
        self.because("After a crash the relay log is fetched anew from the applied position.");
        self.set("relay_log_recovery", 1);
        self.because("Apply in parallel: serial apply fell behind four busy writers (3.8 of 4.5 k writes/s).");
        self.set("slave_parallel_threads", 4);
        self.set("slave_parallel_mode", "optimistic");
        self.because("A silent connection to the primary is dead after 3 s (it says\n# something every second); then one try per second for an\n# hour, after which the keeper starts it again and says so.");
        self.set("slave_net_timeout", 3);
        self.set("master_retry_count", 3600);
        self.because("A week of binary logs; a replica away for longer is rebuilt.");
        self.set("binlog_expire_logs_seconds", 604_800);
        self.because(
            "Not on by itself: going without an acknowledgement is decided by the keeper.",
        );
        self.set("rpl_semi_sync_master_enabled", 0);
        self.because("When it is on: nobody sees what is not acknowledged yet, and it never falls back by itself.");
        self.set("rpl_semi_sync_master_wait_point", "AFTER_SYNC");
        self.set("rpl_semi_sync_master_wait_no_slave", 1);
        self.set("rpl_semi_sync_master_timeout", u64::MAX);
        self.because("A replica acknowledges what it has received when it is asked to; who is asked, the\n# primary's keeper decides by the replication accounts.");
        self.set("rpl_semi_sync_slave_enabled", u8::from(target.acknowledged));
    }

    fn durability(&mut self) {
        self.because("A committed write is on disk, in the engine and in the binary log.");
        self.set("sync_binlog", 1);
        self.set("innodb_flush_log_at_trx_commit", 1);
    }

    fn sessions(&mut self) {
        self.because("Tells the SQL router of every change of a session, and of the last GTID.");
        self.set("session_track_system_variables", "*");
        self.because("Full Unicode by default.");
        self.set("character_set_server", "utf8mb4");
        self.set("collation_server", "utf8mb4_unicode_ci");
        self.because("A client cannot be asked for its local files.");
        self.set("local_infile", 0);
    }

    fn size(&mut self, target: &MemberTarget) {
        self.because("From the site file, or by the server's memory.");
        self.set("innodb_buffer_pool_size", target.buffer_pool);
        self.set("innodb_log_file_size", redo_log(target.buffer_pool));
        self.because("For tables of other engines, which there are few of.");
        self.set("key_buffer_size", "1M");
        self.set("aria_pagecache_buffer_size", "8M");
        self.because("Costs memory (100 MB and more) for figures nobody reads here.");
        self.set("performance_schema", 0);
    }

    fn settings(&mut self, target: &MemberTarget) -> Result<(), SettingError> {
        if target.settings.is_empty() {
            return Ok(());
        }
        self.because("From `[database.settings]` of the site file.");
        for (name, value) in &target.settings {
            // The server takes `-` for `_` and any case.
            let canonical = name.to_ascii_lowercase().replace('-', "_");
            let good_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if canonical.is_empty()
                || !canonical.bytes().all(good_name)
                || value.chars().any(char::is_control)
            {
                return Err(SettingError::Characters(name.clone()));
            }
            if self.is_ours(&canonical) {
                return Err(SettingError::Ours(name.clone()));
            }
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            self.line(&format!("{canonical} = \"{value}\""));
        }
        Ok(())
    }

    /// Sizes may be the user's; what identity, replication and durability stand on may not.
    fn is_ours(&self, name: &str) -> bool {
        const SIZES: [&str; 9] = [
            "innodb_log_file_size",
            "key_buffer_size",
            "aria_pagecache_buffer_size",
            "performance_schema",
            "character_set_server",
            "collation_server",
            "slave_parallel_threads",
            "binlog_expire_logs_seconds",
            "local_infile",
        ];
        // Other names of the same, and what would go around them.
        const ALSO: [&str; 12] = [
            "init_file",
            "plugin_load",
            "plugin_load_add",
            "plugin_dir",
            "skip_grant_tables",
            "skip_networking",
            "skip_log_bin",
            "expire_logs_days",
            "gtid_domain_id",
            "log_error",
            "basedir",
            "defaults_file",
        ];
        // The server takes prefixes for "if you know it" and "not", and shortened names.
        let mut name = name;
        loop {
            let short_for = |full: &str| full.starts_with(name);
            let ours = || self.ours.iter().any(|ours| short_for(ours));
            if ALSO.iter().any(|also| short_for(also)) || (ours() && !SIZES.contains(&name)) {
                return true;
            }
            let prefixes = ["loose_", "skip_", "enable_", "disable_", "maximum_"];
            match prefixes.iter().find_map(|p| name.strip_prefix(p)) {
                Some(rest) => name = rest,
                None => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixtures::target;

    fn places() -> Places {
        Places {
            data_dir: "/data/db-1".into(),
            socket: "/run/m/db-1.sock".into(),
            pid_file: "/run/m/db-1.pid".into(),
            tmp_dir: "/data/db-1.tmp".into(),
            as_root: true,
        }
    }

    #[test]
    fn the_option_file() {
        insta::assert_snapshot!(render(&target(), &places()).unwrap());
    }

    #[test]
    fn settings_cannot_take_away_what_keeps_data() {
        let with = |name: &str, value: &str| {
            let mut target = target();
            target.settings = [(name.to_owned(), value.to_owned())].into();
            render(&target, &places())
        };
        for name in [
            "read_only",
            "read-only",
            "sync_binlog",
            "SERVER-ID",
            "datadir",
            "loose-log_bin",
            "skip_log_bin",
            "loose_skip_grant_tables",
            "loose_skip_grant",
            "disable_sync_bin",
            "init_file",
        ] {
            let error = with(name, "1").unwrap_err();
            assert_eq!(error, SettingError::Ours(name.to_owned()));
        }
        for (name, value) in [("a\nread_only", "0"), ("a", "1\nread_only=0"), ("", "1")] {
            assert!(matches!(
                with(name, value),
                Err(SettingError::Characters(_))
            ));
        }
        let text = with("innodb-log-file-size", "64M").unwrap();
        assert!(text.ends_with("innodb_log_file_size = \"64M\"\n"), "{text}");
    }

    #[test]
    fn the_redo_log_has_bounds() {
        assert_eq!(redo_log(16 << 20), 32 << 20);
        assert_eq!(redo_log(256 << 20), 128 << 20);
        assert_eq!(redo_log(64 << 30), 512 << 20);
    }
}
