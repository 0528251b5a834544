//! Pure: where a statement would go, by the functions that send it there.

use std::time::Duration;

use mysql::capability::status::{AUTOCOMMIT, IN_TRANSACTION};
use site::target::Consistency;

use crate::route::{self, Choice, Destination, Rules, To};
use crate::snapshot::{RouteAnswer, RouteQuestion, ServerAnswer, Servers, Snapshot};
use crate::state::SessionState;
use crate::statement::classify::classify;
use crate::statement::digest::digest;

/// utf8mb4_general_ci, what most clients log in with.
const COLLATION: u8 = 45;

/// As a session that has done nothing else.
pub(crate) fn answer(snapshot: &Snapshot, question: &RouteQuestion) -> RouteAnswer {
    let text = question.statement.as_bytes();
    let class = classify(text);
    let mut state = SessionState::new(0, COLLATION, question.schema.clone());
    let flag = |set: bool, flag: u16| if set { flag } else { 0 };
    state.set_status(
        flag(question.autocommit, AUTOCOMMIT) | flag(question.in_transaction, IN_TRANSACTION),
    );
    let target = &snapshot.target;
    let routing = match &question.user {
        Some(user) => target.routing_of(user),
        None => target.routing,
    };
    let rules = Rules {
        mode: routing.mode,
        max_lag: target.max_lag,
    };
    let choice = Choice {
        loads: None,
        current: None,
        avoid: &[],
        turn: 0,
    };
    let servers = &snapshot.servers;
    let route = route::decide(&state, &class, servers, rules, choice);
    let (to, member) = match route.to {
        To::Primary | To::LastReplica => (Destination::Primary, servers.primary.as_ref()),
        To::Replica(member) => (Destination::Replica, Some(member)),
        To::Nowhere => (Destination::Router, None),
    };
    let waits_for = match (to, routing.consistency) {
        (Destination::Replica, Consistency::Session) => {
            "what its session has written, and what it has read elsewhere"
        }
        (Destination::Replica, Consistency::Strong) => "all that the primary has committed by then",
        _ => "",
    };
    RouteAnswer {
        to: to.as_str().to_owned(),
        member: member.map(ToString::to_string),
        because: route.because.as_str().to_owned(),
        why: route.because.to_string(),
        digest: digest(text),
        mode: routing.mode.as_str().to_owned(),
        consistency: routing.consistency.as_str().to_owned(),
        waits_for: waits_for.to_owned(),
        pins: class.pins.to_string(),
        servers: members(servers, target.max_lag),
    }
}

fn members(servers: &Servers, max_lag: Duration) -> Vec<ServerAnswer> {
    let primary = servers.primary.iter().map(|member| ServerAnswer {
        member: member.to_string(),
        role: "primary".to_owned(),
        usable: true,
        lag_ms: None,
        why: String::new(),
    });
    let replicas = servers.replicas.iter().map(|replica| {
        let why = route::unusable(servers, replica, max_lag);
        ServerAnswer {
            member: replica.member.to_string(),
            role: "replica".to_owned(),
            usable: why.is_none(),
            lag_ms: replica.lag_ms,
            why: why.unwrap_or_default().to_owned(),
        }
    });
    primary.chain(replicas).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        serde_json::from_str(include_str!("snapshot/example.json")).unwrap()
    }

    fn ask(statement: &str, user: Option<&str>, in_transaction: bool) -> RouteAnswer {
        let question = RouteQuestion {
            statement: statement.to_owned(),
            user: user.map(str::to_owned),
            schema: None,
            in_transaction,
            autocommit: true,
        };
        answer(&snapshot(), &question)
    }

    #[test]
    fn it_is_said_where_a_statement_goes_and_why() {
        let read = ask("SELECT a FROM t WHERE b = 5", None, false);
        assert_eq!(
            (read.to.as_str(), read.member.as_deref()),
            ("replica", Some("db-3"))
        );
        assert_eq!(
            (read.because.as_str(), read.why.as_str()),
            ("plain-read", "it is a plain read")
        );
        assert_eq!(read.digest, "SELECT a FROM t WHERE b = ?");
        assert!(read.waits_for.contains("has written"), "{read:?}");
        assert_eq!(read.servers[1].why, "it is too far behind");
        let within = ask("SELECT a FROM t", None, true);
        assert_eq!(
            (within.to.as_str(), within.because.as_str()),
            ("primary", "in-transaction")
        );
        let write = ask("CREATE TEMPORARY TABLE t (a INT)", None, false);
        assert_eq!(
            (write.member.as_deref(), write.pins.as_str()),
            (Some("db-1"), "temporary table")
        );
        let refused = ask("DELETE FROM t", Some("reports"), false);
        assert_eq!((refused.to.as_str(), refused.member), ("router", None));
        assert_eq!(
            (refused.mode.as_str(), refused.consistency.as_str()),
            ("replica", "eventual")
        );
    }
}
