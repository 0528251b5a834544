//! Pure: `[sql-router]`: what goes to replicas, for everybody and for single users, and what is slow.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::at::At;
use crate::problem::Code;
use crate::resolve::setting::{duration, or};
use crate::source::Problems;
use crate::target::{Consistency, SlowLog, SqlMode, SqlRouting};
use crate::topology::{Role, Server, SqlRouter};
use crate::written::{SqlRouterSection, Written};

/// Without a section.
const ROUTING: SqlRouting = SqlRouting {
    mode: SqlMode::Split,
    consistency: Consistency::Session,
};

/// Idle ones cost the router little and the database nothing: they share its connections.
const SESSIONS: u32 = 1000;

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
            slow: None,
            sessions: SESSIONS,
            connections: None,
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
        slow: slow(section, problems),
        sessions: or(section.sessions.as_ref(), SESSIONS),
        connections: section.connections.as_ref().map(|written| written.value),
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
