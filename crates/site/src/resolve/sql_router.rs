//! Pure: `[sql-router]`: what goes to replicas, for everybody and for single users, what is slow, and how
//! clients come in.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::at::At;
use crate::problem::Code;
use crate::resolve::balancer::file;
use crate::resolve::bind::{For, bind};
use crate::resolve::setting::{duration, or};
use crate::source::Problems;
use crate::target::balancer::{Bind, CertificateFiles};
use crate::target::{Consistency, SlowLog, SqlMode, SqlPool, SqlRouting};
use crate::topology::{Role, Server, SqlRouter};
use crate::written::{SqlRouterSection, Written};

/// Without a section.
const ROUTING: SqlRouting = SqlRouting {
    mode: SqlMode::Split,
    consistency: Consistency::Session,
};

/// MariaDB closes a connection that is idle for 8 hours (`wait_timeout`); firewalls forget one much
/// earlier.
const POOL: SqlPool = SqlPool {
    idle_age: Duration::from_secs(30),
    max_age: Duration::from_secs(3600),
    ready: 1,
};

/// Idle ones cost the router little and the database nothing: they share its connections.
const SESSIONS: u32 = 1000;
/// MariaDB's `max_connections` goes no further.
const MOST: u32 = 100_000;

/// MariaDB's longest name of a user ("Identifier Names"), in characters.
const LONGEST_USER: usize = 128;

pub(super) fn resolve(
    written: &Written,
    servers: &[Server],
    problems: &mut Problems<'_>,
) -> SqlRouter {
    let Some(At {
        value: section,
        span,
    }) = &written.sql_router
    else {
        return SqlRouter {
            routing: ROUTING,
            users: BTreeMap::new(),
            sessions: SESSIONS,
            connections: None,
            pool: POOL,
            user_sessions: BTreeMap::new(),
            slow: None,
            socket: None,
            certificate: None,
            require_tls: false,
        };
    };
    let known = !servers.is_empty() && !written.left_out.contains("servers");
    if known && !servers.iter().any(|server| server.has(Role::Database)) {
        let what = "the file has [sql-router], but no server has the role `database`";
        let write = "roles = [\"database\"] at the server that shall keep the data";
        problems.add(Code::Missing, span, what, write);
    }
    let routing = SqlRouting {
        mode: or(section.mode.as_ref(), ROUTING.mode),
        consistency: or(section.consistency.as_ref(), ROUTING.consistency),
    };
    SqlRouter {
        routing,
        users: users(section, routing, problems),
        sessions: count("sessions", section.sessions.as_ref(), problems).unwrap_or(SESSIONS),
        connections: count("connections", section.connections.as_ref(), problems),
        pool: pool(section, problems),
        user_sessions: user_sessions(section, problems),
        slow: slow(section, problems),
        socket: socket(section, problems),
        certificate: certificate(section, problems),
        require_tls: or(section.require_tls.as_ref(), false),
    }
}

fn socket(section: &SqlRouterSection, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let written = section.socket.as_ref()?;
    match bind(written, For::Listening, problems)? {
        Bind::Unix(path) => Some(path),
        Bind::Tcp(address) => {
            let what = format!("{address} is an address; `socket` is a path");
            let write = "socket = \"unix:/run/foobar/sql.sock\"";
            problems.add(Code::BadValue, &written.span, what, write);
            None
        }
    }
}

fn certificate(
    section: &SqlRouterSection,
    problems: &mut Problems<'_>,
) -> Option<CertificateFiles> {
    match (&section.certificate, &section.key) {
        (Some(chain), Some(key)) => Some(CertificateFiles {
            chain: file("certificate", chain, problems),
            key: file("key", key, problems),
        }),
        (Some(alone), None) => {
            let what = "a certificate without its key";
            problems.add(Code::Missing, &alone.span, what, "key = \"tls/sql.key\"");
            None
        }
        (None, Some(alone)) => {
            let what = "a key without its certificate";
            let write = "certificate = \"tls/sql.pem\"";
            problems.add(Code::Missing, &alone.span, what, write);
            None
        }
        (None, None) => None,
    }
}

fn users(
    section: &SqlRouterSection,
    routing: SqlRouting,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, SqlRouting> {
    let mut users = BTreeMap::new();
    for (name, of) in section.users.iter().flatten() {
        let length = name.value.chars().count();
        if length == 0 || length > LONGEST_USER || name.value.chars().any(char::is_control) {
            let what = format!(
                "`{}` is no name of a database user",
                name.value.escape_debug()
            );
            problems.add(
                Code::BadValue,
                &name.span,
                what,
                "[sql-router.users.reports]",
            );
        }
        let routing = SqlRouting {
            mode: or(of.value.mode.as_ref(), routing.mode),
            consistency: or(of.value.consistency.as_ref(), routing.consistency),
        };
        users.insert(name.value.clone(), routing);
    }
    users
}

fn pool(section: &SqlRouterSection, problems: &mut Problems<'_>) -> SqlPool {
    let second = Duration::from_secs(1);
    let day = Duration::from_secs(24 * 3600);
    let mut time = |key, written, default| duration(key, written, default, second..=day, problems);
    SqlPool {
        idle_age: time("idle-age", section.idle_age.as_ref(), POOL.idle_age),
        max_age: time("max-age", section.max_age.as_ref(), POOL.max_age),
        ready: or(section.ready.as_ref(), POOL.ready),
    }
}

fn user_sessions(section: &SqlRouterSection, problems: &mut Problems<'_>) -> BTreeMap<String, u32> {
    let users = section.users.iter().flatten();
    users
        .filter_map(|(name, of)| {
            let sessions = count("sessions", of.value.sessions.as_ref(), problems)?;
            Some((name.value.clone(), sessions))
        })
        .collect()
}

/// At least one.
fn count(name: &str, written: Option<&At<u32>>, problems: &mut Problems<'_>) -> Option<u32> {
    let written = written?;
    if !(1..=MOST).contains(&written.value) {
        let what = format!("`{name}` must be from 1 to {MOST}, not {}", written.value);
        problems.add(Code::BadValue, &written.span, what, format!("{name} = 100"));
    }
    Some(written.value)
}

fn slow(section: &SqlRouterSection, problems: &mut Problems<'_>) -> Option<SlowLog> {
    let Some(written) = &section.slow else {
        if let Some(values) = section.slow_values.as_ref().filter(|values| values.value) {
            let what = "`slow-values` has no meaning without `slow`: nothing is written down";
            problems.add(Code::Conflict, &values.span, what, "slow = \"500ms\"");
        }
        return None;
    };
    Some(SlowLog {
        from: duration(
            "slow",
            Some(written),
            Duration::ZERO,
            bounds_of_slow(),
            problems,
        ),
        values: or(section.slow_values.as_ref(), false),
    })
}

/// From every statement, to what no client waits for.
fn bounds_of_slow() -> RangeInclusive<Duration> {
    Duration::ZERO..=Duration::from_secs(24 * 3600)
}
