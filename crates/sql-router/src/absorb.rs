//! Pure: (what is known of a session, what a server said) → what is known now.

use mysql::gtid::mariadb::Gtid;
use mysql::reply::{Change, OkPacket};

use crate::restore::COLLATE;
use crate::state::{InsertId, Read, SessionState, Settings, Unseen};
use crate::statement::assigned::Assigned;
use crate::statement::class::{Class, Kind, Pins, Reason};

/// Settings that belong to one connection's past or to writing, so that a read elsewhere does not
/// need them.
const NOT_CARRIED: &[&str] = &[
    "last_gtid",
    "last_insert_id",
    "identity",
    "insert_id",
    "gtid_domain_id",
    "gtid_seq_no",
    "server_id",
    "sql_log_bin",
    "skip_replication",
    "binlog_format",
    "pseudo_slave_mode",
    "pseudo_thread_id",
];

/// Settings that change what a read says and cannot be set elsewhere to the same.
/// `timestamp` is reported with its old value when it is set to DEFAULT (measured).
const PINNING: &[&str] = &[
    "timestamp",
    "rand_seed1",
    "rand_seed2",
    "profiling",
    "sql_auto_is_null",
];

/// Settings that decide what a string in a statement is.
const READS_TEXT: &[&str] = &[
    "character_set_client",
    "character_set_connection",
    "collation_connection",
    "sql_mode",
];

/// An OK of the primary, to a statement of `class` (none: to a command without text).
/// `has`: what the connection it came over has, kept in step.
pub(crate) fn ok(
    state: &mut SessionState,
    has: &mut Settings,
    packet: &OkPacket<'_>,
    class: Option<&Class>,
) {
    state.set_status(packet.status);
    let passing = class.is_some_and(|class| class.kind == Kind::SetStatement);
    let mut explained = false;
    let mut changed = false;
    if !packet.has_changes() {
        return;
    }
    let charset_before = packet
        .changes()
        .any(|change| is_variable(&change, b"character_set_connection"));
    if charset_before && !passing {
        // Setting the character set sets the collation to its default, without a report.
        state.settings.variables.remove("collation_connection");
        has.variables.remove("collation_connection");
    }
    for change in packet.changes() {
        match change {
            Change::Variable { name, value } => {
                explained |= name != b"last_gtid";
                variable(state, has, name, value, passing);
            }
            Change::Schema(name) => {
                explained = true;
                let schema = Some(text(name)).filter(|name| !name.is_empty());
                state.settings.schema.clone_from(&schema);
                has.schema = schema;
            }
            Change::State => changed = true,
            Change::Characteristics(sql) => {
                state.next_transaction_set = !sql.is_empty() && !state.in_transaction();
            }
            Change::Transaction(_) => {}
        }
    }
    // A procedure or function that made a temporary table or set a user variable says no more than
    // "something changed", whatever else it reports.
    let known = class.is_some_and(|class| !class.pins.is_empty());
    let opaque = !explained || class.is_some_and(runs_routines);
    if changed && !known && opaque {
        state.pins = state.pins.with(Pins::STATE);
    }
}

/// The end of a result set without DEPRECATE_EOF: no report, only that there is one.
pub(crate) fn eof(state: &mut SessionState, status: u16, class: Option<&Class>) {
    state.set_status(status);
    let reports = status & mysql::capability::status::SESSION_STATE_CHANGED != 0;
    let plain = class.is_some_and(|class| matches!(class.kind, Kind::Read | Kind::AboutLast));
    if reports && !plain {
        state.unseen = Unseen::Effect;
    }
}

/// An error of the primary. What a routine did before it failed stays done, and is not reported.
pub(crate) fn err(state: &mut SessionState, code: u16, class: Option<&Class>) {
    // The text does not parse, or names no routine, or not enough values for it: nothing was run.
    let idle = matches!(code, 1064 | 1305 | 1318);
    if !idle && class.is_some_and(runs_routines) {
        state.pins = state.pins.with(Pins::STATE);
    }
}

/// What a statement leaves behind by its text alone, once a server has seen it.
///
/// `follows`: the user variables that it sets will be carried along, so that they keep nothing.
pub(crate) fn sent(state: &mut SessionState, class: &Class, follows: bool) {
    let pins = match follows {
        true => class.pins.without(Pins::USER_VARIABLE),
        false => class.pins,
    };
    state.pins = state.pins.with(pins);
    if !matches!(class.because, Reason::PlainRead | Reason::Transaction) {
        state.insert_id = InsertId::Unknown;
    }
    if class.unreported {
        state.text_is_read_anew();
        state.unseen = state.unseen.max(Unseen::Setting);
        state.recollated = true;
    }
    if class.tells_data() {
        state.read = Some(Read::Primary);
    }
}

/// The primary has set these user variables. `has`: of the connection it did so on. `done`: without an error.
pub(crate) fn assigned(state: &mut SessionState, has: &mut Settings, all: &[Assigned], done: bool) {
    if done && state.settings.assign(all) && has.assign(all) {
        return;
    }
    state.pins = state.pins.with(Pins::USER_VARIABLE);
}

/// The primary was asked for what it did not report: `@@last_gtid`, `@@collation_connection`. `results`:
/// the collation of results, where it is not the default one.
pub(crate) fn asked(
    state: &mut SessionState,
    has: &mut Settings,
    last_gtid: Option<&str>,
    collation: Option<&str>,
    results: Option<&str>,
) {
    let before = state.seen.clone();
    if let Some(gtid) = last_gtid.and_then(|gtid| gtid.parse::<Gtid>().ok()) {
        state.seen.advance(gtid);
    }
    if state.unseen == Unseen::Effect && state.seen == before {
        state.pins = state.pins.with(Pins::STATE);
    }
    let recollated = std::mem::take(&mut state.recollated);
    if let Some(collation) = collation.filter(|_| recollated) {
        for settings in [&mut state.settings, has] {
            let name = "collation_connection".to_owned();
            settings.variables.insert(name, collation.to_owned());
            let set = settings.variables.get_mut("character_set_results");
            let set = set.filter(|set| !set.is_empty() && !set.contains(COLLATE));
            if let (Some(set), Some(results)) = (set, results) {
                *set = format!("{set}{COLLATE}{results}");
            }
        }
    }
    state.unseen = Unseen::Nothing;
}

fn variable(
    state: &mut SessionState,
    has: &mut Settings,
    name: &[u8],
    value: &[u8],
    passing: bool,
) {
    // With every write.
    if name == b"last_gtid" {
        let gtid = std::str::from_utf8(value).ok();
        if let Some(gtid) = gtid.and_then(|gtid| gtid.parse::<Gtid>().ok()) {
            state.seen.advance(gtid);
            // Whatever it read before was committed before this.
            state.read = None;
        }
        return;
    }
    let (name, value) = (text(name), text(value));
    if PINNING.contains(&name.as_str()) {
        state.pins = state.pins.with(Pins::STATE);
    } else if !passing && NOT_CARRIED.contains(&name.as_str()) {
        // Its value is asked for when it is needed.
        state.uncarried |= !matches!(name.as_str(), "last_insert_id" | "identity");
    } else if !passing
        && !NOT_CARRIED.contains(&name.as_str())
        && !name.starts_with("session_track_")
    {
        if READS_TEXT.contains(&name.as_str()) {
            state.text_is_read_anew();
        }
        has.variables.insert(name.clone(), value.clone());
        state.settings.variables.insert(name, value);
    }
}

/// May the statement have run code that is not in its text?
fn runs_routines(class: &Class) -> bool {
    matches!(
        class.because,
        Reason::Routine | Reason::Function | Reason::MultiStatement | Reason::Unknown
    )
}

fn is_variable(change: &Change<'_>, wanted: &[u8]) -> bool {
    matches!(change, Change::Variable { name, .. } if *name == wanted)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use mysql::capability::status::{AUTOCOMMIT, IN_TRANSACTION};

    use super::*;
    use crate::statement::classify::classify;

    /// An OK with these blocks: (kind, content).
    fn packet(status: u16, blocks: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut all = Vec::new();
        for (kind, content) in blocks {
            all.push(*kind);
            mysql::wire::put_lenenc_bytes(&mut all, content);
        }
        let [low, high] = (status | 0x4000).to_le_bytes();
        let mut out = vec![0, 0, 0, low, high, 0, 0, 0];
        mysql::wire::put_lenenc_bytes(&mut out, &all);
        out
    }

    fn variable(name: &str, value: &str) -> (u8, Vec<u8>) {
        let mut block = Vec::new();
        mysql::wire::put_lenenc_bytes(&mut block, name.as_bytes());
        mysql::wire::put_lenenc_bytes(&mut block, value.as_bytes());
        (0, block)
    }

    fn changed() -> (u8, Vec<u8>) {
        (2, b"\x011".to_vec())
    }

    #[derive(Debug)]
    struct Session(SessionState, Settings);

    impl Session {
        fn new() -> Self {
            Self(SessionState::new(AUTOCOMMIT, 45, None), Settings::default())
        }

        fn run(&mut self, sql: &str, status: u16, blocks: &[(u8, Vec<u8>)]) -> &mut Self {
            let class = classify(sql.as_bytes());
            let packet = packet(status, blocks);
            sent(&mut self.0, &class, false);
            ok(
                &mut self.0,
                &mut self.1,
                &OkPacket::parse(&packet, true).unwrap(),
                Some(&class),
            );
            self
        }
    }

    #[test]
    fn user_variables_follow_until_their_text_would_be_read_anew() {
        let set = |session: &mut Session, sql: &str, done: bool| {
            let class = classify(sql.as_bytes());
            let all = crate::statement::assigned::assigned(sql.as_bytes()).unwrap();
            sent(&mut session.0, &class, true);
            assigned(&mut session.0, &mut session.1, &all, done);
        };
        let mut session = Session::new();
        set(&mut session, "SET @a = 1", true);
        session.run("SET sql_mode = ''", AUTOCOMMIT, &[variable("sql_mode", "")]);
        assert!(session.0.pins.is_empty());
        set(&mut session, "SET @A = 'x'", true);
        assert!(session.0.pins.is_empty());
        assert_eq!(session.0.settings.user["a"], "'x'");
        assert_eq!(session.0.settings, session.1);
        for report in [
            "sql_mode",
            "character_set_connection",
            "collation_connection",
        ] {
            let mut session = Session(session.0.clone(), session.1.clone());
            session.run("SET x", AUTOCOMMIT, &[variable(report, "y")]);
            assert_eq!(session.0.pins, Pins::USER_VARIABLE, "{report}");
        }
        let mut failed = Session(session.0.clone(), session.1.clone());
        set(&mut failed, "SET @b = 1", false);
        assert_eq!(failed.0.pins, Pins::USER_VARIABLE);
        // Too much to carry.
        let long = format!("SET @b = '{}'", "x".repeat(5_000));
        set(&mut session, &long, true);
        assert_eq!(session.0.pins, Pins::USER_VARIABLE);
    }

    #[test]
    fn a_write_is_remembered_by_its_gtid_alone() {
        let mut session = Session::new();
        session.run(
            "INSERT INTO t VALUES (1)",
            AUTOCOMMIT,
            &[variable("last_gtid", "0-1-7")],
        );
        session.run(
            "INSERT INTO t VALUES (1)",
            AUTOCOMMIT,
            &[variable("last_gtid", "0-1-5")],
        );
        assert_eq!(session.0.seen.to_string(), "0-1-7");
        assert_eq!(session.0.settings, Settings::default());
        assert!(!session.0.holds());
    }

    #[test]
    fn a_write_covers_what_was_read_before_it() {
        let mut session = Session::new();
        session.run("SELECT f()", AUTOCOMMIT, &[]);
        assert_eq!(session.0.read, Some(Read::Primary));
        session.run("SET a = 1", AUTOCOMMIT, &[]);
        assert_eq!(session.0.read, Some(Read::Primary));
        let gtid = [variable("last_gtid", "0-1-7")];
        session.run("INSERT INTO t VALUES (1)", AUTOCOMMIT, &gtid);
        assert_eq!(session.0.read, None);
    }

    #[test]
    fn settings_are_kept_for_both_sides() {
        let mut session = Session::new();
        session.run(
            "SET time_zone = '+02:00'",
            AUTOCOMMIT,
            &[variable("time_zone", "+02:00"), changed()],
        );
        assert_eq!(session.0.variable("time_zone"), Some("+02:00"));
        assert_eq!(session.0.settings, session.1);
        assert!(session.0.pins.is_empty());
        session.run("USE db", AUTOCOMMIT, &[(1, b"\x02db".to_vec()), changed()]);
        assert_eq!(session.1.schema.as_deref(), Some("db"));
        assert!(session.0.pins.is_empty());
    }

    #[test]
    fn a_character_set_takes_its_collation_along() {
        let mut session = Session::new();
        session.run(
            "SET x",
            AUTOCOMMIT,
            &[variable("collation_connection", "utf8mb4_bin")],
        );
        session.run(
            "SET NAMES latin1",
            AUTOCOMMIT,
            &[variable("character_set_connection", "latin1")],
        );
        assert_eq!(session.0.variable("collation_connection"), None);
        session.run(
            "SET NAMES latin1 COLLATE latin1_bin",
            AUTOCOMMIT,
            &[variable("character_set_connection", "latin1")],
        );
        assert_eq!(session.0.unseen, Unseen::Setting);
    }

    #[test]
    fn what_a_statement_sets_for_itself_does_not_stay() {
        let mut session = Session::new();
        session.run(
            "SET STATEMENT max_statement_time=5 FOR SELECT 1",
            AUTOCOMMIT,
            &[variable("max_statement_time", "5"), changed()],
        );
        assert_eq!(session.0.settings, Settings::default());
        assert!(session.0.pins.is_empty());
    }

    #[test]
    fn unexplained_changes_pin() {
        for sql in ["CALL p()", "SELECT f()"] {
            let mut session = Session::new();
            session.run(
                sql,
                AUTOCOMMIT,
                &[
                    variable("last_gtid", "0-1-1"),
                    variable("sql_mode", ""),
                    changed(),
                ],
            );
            assert_eq!(session.0.pins, Pins::STATE, "{sql}");
        }
        let mut session = Session::new();
        session.run(
            "SET timestamp = 5",
            AUTOCOMMIT,
            &[variable("timestamp", "5.000000"), changed()],
        );
        assert_eq!(session.0.pins, Pins::STATE);
    }

    #[test]
    fn transactions_begin_and_end_with_the_status() {
        let mut session = Session::new();
        let characteristics = |sql: &str| {
            let mut block = Vec::new();
            mysql::wire::put_lenenc_bytes(&mut block, sql.as_bytes());
            (4, block)
        };
        session.run(
            "BEGIN",
            AUTOCOMMIT | IN_TRANSACTION,
            &[characteristics("START TRANSACTION;")],
        );
        assert!(session.0.in_transaction() && !session.0.next_transaction_set);
        session.run("COMMIT", AUTOCOMMIT, &[characteristics("")]);
        assert!(!session.0.holds());
        session.run(
            "SET TRANSACTION READ ONLY",
            AUTOCOMMIT,
            &[characteristics("SET TRANSACTION READ ONLY;")],
        );
        assert!(session.0.next_transaction_set && session.0.holds());
        session.run(
            "SET autocommit = 0",
            0,
            &[variable("autocommit", "OFF"), changed()],
        );
        assert!(!session.0.autocommit());
    }

    #[test]
    fn an_eof_with_a_report_asks_for_a_second_look_unless_it_was_a_read() {
        let mut session = Session::new();
        eof(&mut session.0, 0x4002, Some(&classify(b"SELECT 1")));
        assert_eq!(session.0.unseen, Unseen::Nothing);
        eof(&mut session.0, 0x4002, Some(&classify(b"SELECT f()")));
        assert_eq!(session.0.unseen, Unseen::Effect);
    }

    #[test]
    fn a_collation_is_learned_only_where_one_may_have_been_set() {
        let ask = |sql: &str, results: Option<&str>| {
            let mut session = Session::new();
            let charsets = ["character_set_results", "character_set_connection"];
            let blocks = charsets.map(|name| variable(name, "latin1"));
            session.run(sql, AUTOCOMMIT, &blocks);
            let Session(state, has) = &mut session;
            asked(state, has, None, Some("latin1_bin"), results);
            assert_eq!(state.settings, *has);
            let value = |name| state.variable(name).map(str::to_owned);
            (
                value("collation_connection"),
                value("character_set_results"),
            )
        };
        let some = |text: &str| Some(text.to_owned());
        let names = "SET NAMES latin1 COLLATE latin1_bin";
        let with = some("latin1 COLLATE latin1_bin");
        assert_eq!(ask(names, Some("latin1_bin")), (some("latin1_bin"), with));
        assert_eq!(ask(names, None), (some("latin1_bin"), some("latin1")));
        assert_eq!(
            ask("SET NAMES latin1", Some("latin1_bin")),
            (None, some("latin1"))
        );
    }

    #[test]
    fn what_a_failed_routine_did_is_not_known() {
        for (sql, code, pins) in [
            ("CALL p()", 1644, Pins::STATE),
            ("CALL p()", 1305, Pins::NONE),
            ("SELECT f()", 1644, Pins::STATE),
            ("SELEC 1", 1064, Pins::NONE),
            ("INSERT INTO t VALUES (1)", 1062, Pins::NONE),
        ] {
            let mut session = Session::new();
            err(&mut session.0, code, Some(&classify(sql.as_bytes())));
            assert_eq!(session.0.pins, pins, "{sql}: {code}");
        }
    }
}
