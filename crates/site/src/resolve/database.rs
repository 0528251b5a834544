//! Pure: `[database]`: how many copies, what they are called, which server variables.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::at::At;
use crate::hint::quoted;
use crate::problem::Code;
use crate::resolve::backup;
use crate::resolve::setting::{duration, or, size, span};
use crate::source::Problems;
use crate::spelling::Scalar;
use crate::topology::{Database, Engine, Replication, Role, Server};
use crate::written::{DatabaseSection, Written};

/// MariaDB's own default of `innodb_buffer_pool_size`.
const BUFFER_POOL: u64 = 128 << 20;
/// MariaDB's smallest `innodb_buffer_pool_size`.
const LEAST_BUFFER_POOL: u64 = 5 << 20;
/// Visitors' own writes are never read late (read-your-writes by GTID), so this bounds only how old
/// the others' may look.
const MAX_LAG: Duration = Duration::from_secs(5);

/// What Mainstay sets itself, because replication, failover or the address depend on it: by name, or
/// by the beginning of the name where it ends with `_`.
const OURS: [&str; 37] = [
    "bind_address",
    "binlog_format",
    "binlog_row_image",
    "datadir",
    "enforce_gtid_consistency",
    "expire_logs_days",
    "binlog_expire_logs_seconds",
    "extra_port",
    "general_log_file",
    "gtid_",
    "init_file",
    "innodb_buffer_pool_size",
    "innodb_data_home_dir",
    "innodb_log_group_home_dir",
    "log_bin",
    "log_error",
    "log_slave_updates",
    "log_replica_updates",
    "master_",
    "pid_file",
    "plugin_load",
    "plugin_dir",
    "port",
    "read_only",
    "relay_log",
    "report_host",
    "report_port",
    "rpl_semi_sync_",
    "secure_file_priv",
    "server_id",
    "session_track_",
    "skip_",
    "slave_",
    "socket",
    "sql_log_bin",
    "tmpdir",
    "user",
];

/// Names that MariaDB keeps for itself.
const RESERVED: [&str; 7] = [
    "mysql",
    "sys",
    "information_schema",
    "performance_schema",
    "root",
    "mainstay",
    "mariadb",
];

/// None when no server has the role and there is no section.
pub(super) fn resolve(
    written: &Written,
    site: &str,
    servers: &[Server],
    problems: &mut Problems<'_>,
) -> Option<Database> {
    let first = servers.iter().find(|server| server.has(Role::Database))?;
    let section = written.database.as_ref().map(|at| &at.value);
    let default = default_name(site);
    let name = section.and_then(|s| s.name.as_ref());
    let name = identifier("name", name, &default, problems);
    let pool = section.and_then(|s| s.buffer_pool.as_ref());
    let lag = section.and_then(|s| s.max_lag.as_ref());
    let at = written
        .database
        .as_ref()
        .map(|at| problems.source.place(at.span.start));
    Some(Database {
        engine: or(section.and_then(|s| s.engine.as_ref()), Engine::Mariadb),
        replicas: or(section.and_then(|s| s.replicas.as_ref()), 1),
        user: identifier(
            "user",
            section.and_then(|s| s.user.as_ref()),
            &name,
            problems,
        ),
        name,
        buffer_pool: size(
            "buffer-pool",
            pool,
            BUFFER_POOL,
            LEAST_BUFFER_POOL..=1 << 40,
            problems,
        ),
        settings: settings(section, problems),
        max_lag: duration("max-lag", lag, MAX_LAG, bounds_of_lag(), problems),
        replication: or(
            section.and_then(|s| s.replication.as_ref()),
            Replication::Async,
        ),
        backup: section
            .and_then(|s| s.backup.as_ref())
            .and_then(|backup| backup::resolve(backup, servers, problems)),
        at: at.unwrap_or(first.at),
    })
}

/// The site's name as a name of the database server.
fn default_name(site: &str) -> String {
    let name = site.replace('-', "_");
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || RESERVED.contains(&name.as_str()) {
        return format!("site_{name}");
    }
    name
}

/// From what a replica's lag can be measured by, to what nobody would call a copy any more.
fn bounds_of_lag() -> std::ops::RangeInclusive<Duration> {
    Duration::from_millis(100)..=Duration::from_secs(24 * 3600)
}

/// The name of a database or user: needs no quoting anywhere. 32: MySQL's longest user name.
fn identifier(
    key: &str,
    written: Option<&At<String>>,
    default: &str,
    problems: &mut Problems<'_>,
) -> String {
    let Some(At { value: name, span }) = written else {
        return default.chars().take(32).collect();
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    let proposed: String = name
        .to_lowercase()
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .skip_while(|c| !c.is_ascii_lowercase())
        .take(32)
        .collect();
    if RESERVED.contains(&name.to_lowercase().as_str()) {
        let what = format!("`{name}` is a name the database server keeps for itself");
        let write = format!("{key} = \"{proposed}_site\"");
        problems.add(Code::Conflict, span, what, write);
    } else if !starts || !name.chars().all(plain) || name.len() > 32 {
        let what = format!("`{name}` may have only a-z, 0-9 and `_`, a letter first, 32 at most");
        let proposed = if proposed.is_empty() {
            "foobar"
        } else {
            &proposed
        };
        problems.add(
            Code::BadValue,
            span,
            what,
            format!("{key} = {}", quoted(proposed)),
        );
    }
    name.clone()
}

fn settings(
    section: Option<&DatabaseSection>,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for (name, value) in section
        .and_then(|s| s.settings.as_ref())
        .into_iter()
        .flatten()
    {
        // The server takes `-` and `_` for the same.
        let variable = name.value.to_lowercase().replace('-', "_");
        let text = match &value.value {
            Scalar::Yes(true) => "ON".to_owned(),
            Scalar::Yes(false) => "OFF".to_owned(),
            other => other.to_string(),
        };
        check_setting(name, &variable, problems);
        if text.chars().any(char::is_control) {
            let what = format!(
                "the value of `{}` has a control character in it",
                name.value
            );
            problems.add(Code::BadValue, &value.span, what, "the value on one line");
        }
        if settings.insert(variable, text).is_some() {
            let what = format!(
                "`{}` is written twice, once with `-` and once with `_`",
                name.value
            );
            problems.add(Code::Duplicate, &span(Some(name), &(0..0)), what, "it once");
        }
    }
    settings
}

fn check_setting(
    At { value: name, span }: &At<String>,
    variable: &str,
    problems: &mut Problems<'_>,
) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !variable.starts_with(|c: char| c.is_ascii_lowercase()) || !variable.chars().all(plain) {
        let what = format!("`{name}` is no name of a server variable");
        problems.add(Code::BadValue, span, what, "a name like max_connections");
        return;
    }
    // `loose_` only says that an unknown variable is no error.
    let meant = variable.strip_prefix("loose_").unwrap_or(variable);
    let ours = OURS.iter().any(|ours| match ours.strip_suffix('_') {
        Some(_) => meant.starts_with(ours),
        None => meant == *ours,
    });
    if ours {
        let what = format!("`{name}` is set by Mainstay itself");
        let write = match meant {
            "innodb_buffer_pool_size" => "buffer-pool = \"…\" in [database]",
            m if m.starts_with("rpl_semi_sync_") => "replication = \"semi-sync\" in [database]",
            _ => "nothing here: replication and failover depend on the right value",
        };
        problems.add(Code::Conflict, span, what, write);
    }
}
