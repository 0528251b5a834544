//! Where statements go, in every state of a session and of the servers.

use mysql::capability::status::{AUTOCOMMIT, IN_TRANSACTION};

use super::*;
use crate::statement::classify::classify;

fn name(name: &str) -> MemberName {
    MemberName::new(name)
}

fn servers() -> Servers {
    let replica = |member, lag_ms| Replica {
        member: name(member),
        replicating: true,
        lag_ms,
    };
    Servers {
        generation: 1,
        primary: Some(name("db-1")),
        draining: false,
        replicas: vec![
            replica("db-1", Some(0)),
            replica("db-2", Some(10)),
            replica("db-3", Some(0)),
            replica("db-4", Some(60_000)),
            replica("db-5", None),
        ],
    }
}

fn session() -> SessionState {
    SessionState::new(AUTOCOMMIT, 45, None)
}

const RULES: Rules = Rules {
    mode: SqlMode::Split,
    max_lag: Duration::from_secs(1),
};

const CHOICE: Choice<'static> = Choice {
    current: None,
    avoid: &[],
    turn: 0,
    loads: None,
};

fn because(state: &SessionState, sql: &str, servers: &Servers) -> (bool, Because) {
    let class = classify(sql.as_bytes());
    let route = decide(state, &class, servers, RULES, CHOICE);
    (route.to != To::Primary, route.because)
}

#[test]
fn reads_go_to_replicas_that_are_good_in_turn() {
    let (servers, class) = (servers(), classify(b"SELECT 1"));
    let to = |choice| decide(&session(), &class, &servers, RULES, choice).to;
    let turns: Vec<_> = (0..3).map(|turn| to(Choice { turn, ..CHOICE })).collect();
    let (two, three) = (name("db-2"), name("db-3"));
    assert_eq!(
        turns,
        [To::Replica(&two), To::Replica(&three), To::Replica(&two)]
    );
    assert_eq!(
        to(Choice {
            current: Some(&three),
            ..CHOICE
        }),
        To::Replica(&three)
    );
    assert_eq!(
        to(Choice {
            avoid: &[two],
            ..CHOICE
        }),
        To::Replica(&three)
    );
}

#[test]
fn the_quicker_one_is_taken_and_left_only_for_a_much_quicker_one() {
    let mut servers = servers();
    servers.replicas.retain(|replica| replica.lag_ms != Some(0));
    servers.replicas[1].lag_ms = Some(10);
    let [two, four] = ["db-2", "db-4"].map(name);
    let (class, loads) = (classify(b"SELECT 1"), Loads::default());
    let to = |current| {
        let choice = Choice {
            current,
            turn: 1,
            loads: Some(&loads),
            ..CHOICE
        };
        decide(&session(), &class, &servers, RULES, choice).to
    };
    loads.begin(&four);
    assert_eq!(to(None), To::Replica(&two));
    assert_eq!(to(Some(&four)), To::Replica(&four));
    for _ in 0..20 {
        loads.begin(&four);
    }
    assert_eq!(to(Some(&four)), To::Replica(&two));
}

#[test]
fn every_state_that_keeps_a_read_on_the_primary() {
    let servers = servers();
    let read = "SELECT 'ä' FROM t";
    let mut state = session();
    assert!(because(&state, read, &servers).0);
    state.status |= IN_TRANSACTION;
    assert_eq!(
        because(&state, read, &servers),
        (false, Because::Transaction)
    );
    state.status = 0;
    assert_eq!(
        because(&state, read, &servers),
        (false, Because::AutocommitOff)
    );
    state = session();
    state.pins = Pins::LOCK;
    assert_eq!(because(&state, read, &servers), (false, Because::Pinned));
    state = session();
    state.next_transaction_set = true;
    assert_eq!(
        because(&state, read, &servers),
        (false, Because::NextTransactionSet)
    );
    let gbk = SessionState::new(AUTOCOMMIT, 28, None);
    assert_eq!(because(&gbk, read, &servers), (false, Because::Charset));
    assert!(because(&gbk, "SELECT 'a'", &servers).0);
    let system = SessionState::new(AUTOCOMMIT, 45, Some("MySQL".to_owned()));
    assert_eq!(
        because(&system, read, &servers),
        (false, Because::SystemSchema)
    );
    state = session();
    let oracle = ("sql_mode".to_owned(), "PIPES_AS_CONCAT,ORACLE".to_owned());
    state.settings.variables.extend([oracle]);
    assert_eq!(
        because(&state, read, &servers),
        (false, Because::OracleMode)
    );
}

#[test]
fn without_a_good_replica_everything_goes_to_the_primary() {
    let mut servers = servers();
    servers
        .replicas
        .retain(|replica| replica.lag_ms != Some(0) && replica.lag_ms != Some(10));
    assert_eq!(
        because(&session(), "SELECT 1", &servers),
        (false, Because::NoReplica)
    );
    let write = because(&session(), "DELETE FROM t", &servers);
    assert_eq!(write, (false, Because::Statement(Reason::Writes)));
}

#[test]
fn what_asks_about_the_last_statement_follows_it() {
    let servers = servers();
    let warnings = classify(b"SHOW WARNINGS");
    let rows = classify(b"SELECT ROW_COUNT()");
    let two = name("db-2");
    let choice = Choice {
        current: Some(&two),
        ..CHOICE
    };
    let mut state = session();
    let to = |state: &SessionState, class| decide(state, class, &servers, RULES, choice).to;
    state.last = Last::Replica;
    assert_eq!(to(&state, &rows), To::LastReplica);
    // It used no table, and had no warnings: those of the statement before are the session's.
    assert_eq!(to(&state, &warnings), To::Primary);
    (state.last, state.listed.on) = (Last::Primary, Last::Replica);
    assert_eq!(to(&state, &rows), To::Primary);
    assert_eq!(to(&state, &warnings), To::LastReplica);
    state.status |= IN_TRANSACTION;
    assert_eq!(to(&state, &warnings), To::Primary);
}

fn in_mode(mode: SqlMode, state: &SessionState, sql: &str) -> (&'static str, Because) {
    let (servers, class) = (servers(), classify(sql.as_bytes()));
    let rules = Rules { mode, ..RULES };
    let route = decide(state, &class, &servers, rules, CHOICE);
    let to = match route.to {
        To::Primary => "primary",
        To::Replica(_) | To::LastReplica => "replica",
        To::Nowhere => "nowhere",
    };
    (to, route.because)
}

#[test]
fn a_hint_decides_as_far_as_it_is_safe() {
    let split = |state: &SessionState, sql| in_mode(SqlMode::Split, state, sql);
    let mut state = session();
    for (sql, expected) in [
        (
            "/*mainstay:primary*/ SELECT 1",
            ("primary", Because::HintPrimary),
        ),
        (
            "/*mainstay:replica*/ SELECT f()",
            ("replica", Because::HintReplica),
        ),
        (
            "/*mainstay:replica*/ SELECT 1",
            ("replica", Because::Statement(Reason::PlainRead)),
        ),
        (
            "/*mainstay:replica*/ DELETE FROM t",
            ("primary", Because::Statement(Reason::Writes)),
        ),
        (
            "/*mainstay:replica*/ SELECT f() FROM t FOR UPDATE",
            ("primary", Because::Statement(Reason::Function)),
        ),
    ] {
        assert_eq!(split(&state, sql), expected, "{sql}");
    }
    state.status |= IN_TRANSACTION;
    let within = split(&state, "/*mainstay:replica*/ SELECT f()");
    assert_eq!(within, ("primary", Because::Transaction));
    let mut state = session();
    state.pins = Pins::LOCK;
    let pinned = split(&state, "/*mainstay:replica*/ SELECT f()");
    assert_eq!(pinned, ("primary", Because::Pinned));
}

#[test]
fn a_mode_is_obeyed_before_a_hint() {
    let read = Because::Statement(Reason::PlainRead);
    for (mode, sql, expected) in [
        (SqlMode::Primary, "SELECT 1", ("primary", Because::Mode)),
        (
            SqlMode::Primary,
            "/*mainstay:replica*/ SELECT f()",
            ("primary", Because::Mode),
        ),
        (SqlMode::Replica, "SELECT 1", ("replica", read)),
        (
            SqlMode::Replica,
            "/*mainstay:primary*/ SELECT 1",
            ("replica", read),
        ),
        (
            SqlMode::Replica,
            "/*mainstay:replica*/ SELECT f()",
            ("replica", Because::HintReplica),
        ),
        (
            SqlMode::Replica,
            "SELECT f()",
            ("nowhere", Because::Statement(Reason::Function)),
        ),
        (
            SqlMode::Replica,
            "DELETE FROM t",
            ("nowhere", Because::Statement(Reason::Writes)),
        ),
        (
            SqlMode::Replica,
            "SET NAMES utf8mb4",
            ("primary", Because::Statement(Reason::SetsSession)),
        ),
        (
            SqlMode::Replica,
            "SHOW VARIABLES",
            ("primary", Because::Statement(Reason::ServerState)),
        ),
    ] {
        assert_eq!(in_mode(mode, &session(), sql), expected, "{sql}");
    }
    let mut state = session();
    state.status |= IN_TRANSACTION;
    let within = in_mode(SqlMode::Replica, &state, "SELECT 1");
    assert_eq!(within, ("nowhere", Because::Transaction));
}

#[test]
fn each_reason_has_its_own_place() {
    for (at, because) in Because::ALL.iter().enumerate() {
        assert_eq!(because.index(), at, "{because:?}");
    }
}
