//! The decisions as a table of examples and as properties over any View.

use std::collections::BTreeMap;
use std::time::Duration;

use mysql::gtid::mariadb::{Gtid, Position};
use proptest::prelude::*;
use site::name::{MemberName, ServerName};
use site::target::MemberAddress;

use super::attempts::Attempts;
use super::decide::decide;
use super::decision::{Action, Decision, Reason};
use super::diagnosis::Diagnosis;
use super::view::{
    Engine, InFlight, Io, Long, Replication, ServerError, Status, Store, Time, View,
};
use crate::accounts::replication_user;
use crate::record::{Generation, Obeyed};

const ME: &str = "db-1";
const OTHER: &str = "db-2";

fn name(name: &str) -> MemberName {
    MemberName::new(name)
}

fn address(member: &str, last: u8) -> MemberAddress {
    MemberAddress {
        name: name(member),
        server: ServerName::new(member),
        address: ([127, 0, 0, last], 3306).into(),
    }
}

fn at(seconds: u64) -> Time {
    Time(Duration::from_secs(seconds))
}

fn state(primary: &str, generation: u64) -> Obeyed {
    Obeyed {
        primary: name(primary),
        generation: Generation(generation),
    }
}

fn position(text: &str) -> Position {
    text.parse().unwrap()
}

fn gtid(text: &str) -> Gtid {
    text.parse().unwrap()
}

/// A server with data that has just started.
fn status() -> Status {
    Status {
        version: "10.11.6-MariaDB".to_owned(),
        read_only: true,
        binlog_pos: position("0-102-9"),
        own: Vec::new(),
        slave_pos: position("0-102-9"),
        replication: None,
        start_from: false,
        lag: None,
    }
}

fn following(last: u8) -> Replication {
    Replication {
        host: format!("127.0.0.{last}"),
        port: 3306,
        user: replication_user(&name(ME)),
        io: Io::Running,
        io_error: None,
        sql_running: true,
        sql_error: None,
        received: "0-102-9".to_owned(),
    }
}

/// `ME` in a site of two, its server answering.
fn view(store: Store, obeyed: Option<Obeyed>, status: Status) -> View {
    View {
        members: vec![address(ME, 1), address(OTHER, 2)],
        first_primary: true,
        max_lag: Duration::from_secs(5),
        store,
        obeyed,
        heard: [(name(OTHER), None)].into(),
        engine: Engine::Answers(Box::new(status)),
        in_flight: None,
        accounts_for: None,
        last_beat: None,
        replication_starts: Attempts::default(),
        rebuilds: Vec::new(),
    }
}

fn decided(view: &View) -> Decision {
    decide(view, &name(ME), at(1000))
}

/// `ME` as a replica of `OTHER` in generation 1.
fn replica(change: impl FnOnce(&mut Status, &mut Replication)) -> View {
    let mut replication = following(2);
    let mut status = status();
    status.lag = Some(Duration::ZERO);
    change(&mut status, &mut replication);
    status.replication = Some(replication);
    let state = state(OTHER, 1);
    view(Store::Names(state.clone()), Some(state), status)
}

fn error(code: u16) -> Option<ServerError> {
    Some(ServerError {
        code,
        message: "words".to_owned(),
    })
}

#[test]
fn a_first_start_makes_accounts_then_the_state_then_it_writes() {
    let mut view = view(Store::Empty, None, status());
    let first = Generation::FIRST;
    assert_eq!(
        decided(&view).actions,
        [Action::PrepareAccounts(first), Action::CreateState(first)]
    );
    view.accounts_for = Some(first);
    view.store = Store::Names(state(ME, 1));
    assert_eq!(decided(&view).actions, [Action::Obey(state(ME, 1))]);
    view.obeyed = Some(state(ME, 1));
    assert_eq!(decided(&view).actions, [Action::SetWritable(first)]);
}

#[test]
fn only_the_first_primary_begins_and_only_when_all_were_heard() {
    let mut view = view(Store::Empty, None, status());
    view.first_primary = false;
    assert_eq!(decided(&view).reason, Reason::ForFirstPrimary);
    view.first_primary = true;
    view.heard.clear();
    assert_eq!(decided(&view).reason, Reason::UntilHeard(name(OTHER)));
}

#[test]
fn a_lost_state_is_made_again_by_the_last_primary_in_the_next_generation() {
    let mut view = view(Store::Empty, Some(state(ME, 3)), status());
    assert_eq!(
        decided(&view).actions.last(),
        Some(&Action::CreateState(Generation(4)))
    );
    view.heard = [(name(OTHER), Some(state(OTHER, 4)))].into();
    assert_eq!(decided(&view).reason, Reason::ForPrimary(name(OTHER)));
    assert_eq!(decided(&view).actions, []);
}

#[test]
fn a_restarted_primary_writes_again_only_in_its_generation() {
    let named = state(ME, 2);
    let mut view = view(Store::Names(named.clone()), Some(named), status());
    view.accounts_for = Some(Generation(2));
    assert_eq!(decided(&view).actions, [Action::SetWritable(Generation(2))]);
    view.obeyed = Some(state(OTHER, 3));
    let decision = decided(&view);
    assert!(matches!(
        decision.diagnosis,
        Diagnosis::StateOutdated { .. }
    ));
    assert_eq!(decision.actions, []);
}

#[test]
fn a_primary_whose_data_is_gone_stays_read_only() {
    let mut status = status();
    status.binlog_pos = Position::default();
    status.slave_pos = Position::default();
    let mut view = view(Store::Names(state(ME, 1)), Some(state(ME, 1)), status);
    view.accounts_for = Some(Generation(1));
    assert_eq!(decided(&view).diagnosis, Diagnosis::PrimaryIsEmpty);
    assert_eq!(decided(&view).actions, []);
}

#[test]
fn who_is_not_primary_is_made_read_only() {
    let writable = || Status {
        read_only: false,
        ..status()
    };
    for (store, obeyed) in [
        (Store::Empty, None),
        (Store::Names(state(OTHER, 1)), Some(state(OTHER, 1))),
        (Store::Names(state(ME, 1)), Some(state(OTHER, 2))),
        (Store::Unusable("x".into()), Some(state(OTHER, 1))),
    ] {
        let view = view(store, obeyed, writable());
        assert_eq!(decided(&view).actions, [Action::SetReadOnly], "{view:?}");
    }
    // The primary goes on without the store.
    let view = view(Store::Unusable("x".into()), Some(state(ME, 1)), writable());
    assert_eq!(decided(&view).actions, []);
}

#[test]
fn replication_is_followed_started_or_the_replica_rebuilt() {
    let kind = |view: &View| decided(view).actions.first().map(std::mem::discriminant);
    let generation = Generation(1);
    let start = Some(std::mem::discriminant(&Action::StartReplication(
        generation,
    )));
    let source = address(OTHER, 2);
    let rebuild = Some(std::mem::discriminant(&Action::Rebuild {
        source: source.clone(),
        generation,
        why: String::new(),
    }));
    let follow = Some(std::mem::discriminant(&Action::Follow {
        source,
        generation,
    }));

    assert_eq!(kind(&replica(|_, _| {})), None, "all is well");
    assert_eq!(kind(&replica(|_, r| r.port = 1)), follow, "another source");
    assert_eq!(kind(&replica(|_, r| r.io = Io::Connecting)), None);
    assert_eq!(kind(&replica(|_, r| r.io = Io::Stopped)), start);
    assert_eq!(kind(&replica(|_, r| r.sql_running = false)), start);
    let stopped = |code| {
        replica(|_, r| {
            r.sql_running = false;
            r.sql_error = error(code);
        })
    };
    assert_eq!(kind(&stopped(1205)), start, "a lock wait");
    assert_eq!(kind(&stopped(1062)), rebuild, "a duplicate key");
    let mut unclear = stopped(1594);
    assert_eq!(kind(&unclear), start);
    for _ in 0..3 {
        unclear.replication_starts = unclear.replication_starts.tried(at(1));
    }
    assert_eq!(kind(&unclear), rebuild, "three tries did not help");
    let purged = replica(|_, r| {
        r.io = Io::Stopped;
        r.io_error = error(1236);
    });
    assert_eq!(kind(&purged), rebuild);
    assert_eq!(
        kind(&replica(|s, _| s.own = vec![gtid("0-101-10")])),
        rebuild,
        "a transaction of its own"
    );
    assert_eq!(
        kind(&replica(|s, _| s.own = vec![gtid("0-101-8")])),
        None,
        "one from when it was primary"
    );
}

#[test]
fn a_rebuild_has_to_wait_for_the_one_before() {
    let mut view = replica(|_, r| {
        r.sql_running = false;
        r.sql_error = error(1032);
    });
    view.rebuilds = vec![at(990)];
    assert_eq!(decided(&view).reason, Reason::RebuildNotBefore(at(1050)));
    assert_eq!(decided(&view).actions, []);
}

#[test]
fn every_sentence_can_be_read() {
    let mut views = vec![
        view(Store::Empty, None, status()),
        view(Store::Unusable("the disk is gone".into()), None, status()),
        view(
            Store::Names(state("db-9", 1)),
            Some(state("db-9", 1)),
            status(),
        ),
        view(Store::Names(state(ME, 1)), Some(state(OTHER, 2)), status()),
        replica(|_, _| {}),
        replica(|s, _| s.lag = Some(Duration::from_millis(7300))),
        replica(|s, _| s.lag = None),
        replica(|_, r| r.io = Io::Connecting),
        replica(|s, _| s.own = vec![gtid("0-101-10")]),
        replica(|s, _| s.slave_pos = Position::default()),
    ];
    views[0].heard.clear();
    let mut down = replica(|_, _| {});
    down.engine = Engine::Down {
        why: "mariadbd killed by SIGKILL".to_owned(),
        start_at: at(1001),
        needs_you: false,
    };
    views.push(down);
    let sentences: Vec<String> = views.iter().map(|v| decided(v).sentence()).collect();
    insta::assert_snapshot!(sentences.join("\n"));
}

/// Nothing in this folder, as its rule says, sees a clock, a file, a socket or a random number.
#[test]
fn the_folder_is_pure() {
    let forbidden = [
        "std::fs",
        "std::io",
        "std::net::Tcp",
        "std::env",
        "std::process",
        "Instant",
        "SystemTime",
        "tokio",
        "getrandom",
        "Mutex",
        "RwLock",
        "std::thread",
        "async ",
        "tracing",
    ];
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/failover");
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("tests.rs") || path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! Pure: "), "{}", path.display());
        for word in forbidden {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

fn any_state() -> impl Strategy<Value = Obeyed> {
    (prop::sample::select(vec![ME, OTHER, "db-9"]), 1..4u64).prop_map(|(p, g)| state(p, g))
}

fn any_store() -> impl Strategy<Value = Store> {
    prop_oneof![
        1 => Just(Store::Unusable("unusable".to_owned())),
        1 => Just(Store::Empty),
        4 => any_state().prop_map(Store::Names),
    ]
}

fn any_position() -> impl Strategy<Value = Position> {
    prop::sample::select(vec!["", "0-101-5", "0-102-5", "0-102-9"]).prop_map(position)
}

fn any_replication() -> impl Strategy<Value = Replication> {
    let codes = vec![0u16, 1032, 1062, 1205, 1236, 1594, 2003];
    (
        1..3u8,
        prop::sample::select(vec![Io::Running, Io::Connecting, Io::Stopped]),
        prop::sample::select(codes.clone()),
        any::<bool>(),
        prop::sample::select(codes),
    )
        .prop_map(|(last, io, io_code, sql_running, sql_code)| Replication {
            io,
            io_error: error(io_code).filter(|e| e.code != 0),
            sql_running,
            sql_error: error(sql_code).filter(|e| e.code != 0),
            ..following(last)
        })
}

fn any_status() -> impl Strategy<Value = Status> {
    (
        any::<bool>(),
        any_position(),
        any_position(),
        prop::option::of(any_replication()),
        any::<bool>(),
        prop::option::of(0..20u64),
        prop::sample::select(vec!["", "0-101-5", "0-101-99"]),
    )
        .prop_map(
            |(read_only, binlog_pos, slave_pos, replication, start_from, lag, own)| Status {
                version: String::new(),
                read_only,
                binlog_pos,
                own: own.parse().into_iter().collect(),
                slave_pos,
                replication,
                start_from,
                lag: lag.map(Duration::from_secs),
            },
        )
}

fn any_engine() -> impl Strategy<Value = Engine> {
    prop_oneof![
        1 => (0..2000u64, any::<bool>()).prop_map(|(s, needs_you)| Engine::Down {
            why: String::new(),
            start_at: at(s),
            needs_you,
        }),
        1 => Just(Engine::Silent { why: String::new(), since: at(1) }),
        6 => any_status().prop_map(|status| Engine::Answers(Box::new(status))),
    ]
}

fn any_view() -> impl Strategy<Value = View> {
    let heard = prop::option::of(prop::option::of(any_state()));
    let seen = (
        any_store(),
        prop::option::of(any_state()),
        heard,
        any_engine(),
    );
    let remembered = (
        any::<bool>(),
        prop::option::of(prop::sample::select(vec![Long::Start, Long::Rebuild])),
        prop::option::of((1..4u64).prop_map(Generation)),
        prop::option::of((0..1500u64).prop_map(at)),
        0..5usize,
        prop::collection::vec((0..1500u64).prop_map(at), 0..4),
    );
    (seen, remembered).prop_map(|((store, obeyed, heard, engine), remembered)| {
        let (first_primary, in_flight, accounts_for, last_beat, starts, mut rebuilds) = remembered;
        rebuilds.sort();
        View {
            first_primary,
            heard: heard
                .map(|h| (name(OTHER), h))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            engine,
            in_flight: in_flight.map(|what| InFlight { what, since: at(1) }),
            accounts_for,
            last_beat,
            replication_starts: (0..starts).fold(Attempts::default(), |a, _| a.tried(at(900))),
            rebuilds,
            ..view(store, obeyed, status())
        }
    })
}

/// What the world is after an action, as a careful keeper would see it.
fn apply(view: &mut View, action: &Action, now: Time) {
    let change = |view: &mut View, change: &dyn Fn(&mut Status)| {
        if let Engine::Answers(status) = &mut view.engine {
            change(status);
        }
    };
    match action {
        Action::Start => {
            let mut started = status();
            // A server comes back with the replication it had, stopped; a copy has none.
            started.start_from = !view.rebuilds.is_empty();
            view.engine = Engine::Answers(Box::new(started));
        }
        Action::SetReadOnly => change(view, &|s| s.read_only = true),
        Action::Obey(state) => view.obeyed = Some(state.clone()),
        Action::PrepareAccounts(generation) => {
            view.accounts_for = Some(*generation);
            change(view, &|s| s.binlog_pos = position("0-101-20"));
        }
        Action::CreateState(generation) => {
            view.store = Store::Names(state(ME, generation.0));
        }
        Action::SetWritable(_) => change(view, &|s| s.read_only = false),
        Action::Beat(_) => view.last_beat = Some(now),
        Action::Follow { .. } => change(view, &|s| {
            s.replication = Some(following(2));
            s.start_from = false;
        }),
        Action::StartReplication(_) => {
            view.replication_starts = view.replication_starts.tried(now);
            change(view, &|s| {
                if let Some(replication) = &mut s.replication {
                    *replication = following(2);
                }
            });
        }
        Action::Rebuild { .. } => {
            view.rebuilds.push(now);
            view.engine = Engine::Down {
                why: String::new(),
                start_at: now,
                needs_you: false,
            };
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn only_the_primary_of_the_current_generation_is_made_writable(view in any_view()) {
        let decision = decided(&view);
        prop_assert_eq!(&decision, &decided(&view), "the same view, the same decision");
        for action in &decision.actions {
            match action {
                Action::SetWritable(generation) | Action::Beat(generation) => {
                    let entitled = state(ME, generation.0);
                    prop_assert_eq!(&view.store, &Store::Names(entitled.clone()));
                    prop_assert_eq!(view.obeyed.as_ref(), Some(&entitled));
                    prop_assert_eq!(view.accounts_for, Some(*generation));
                }
                Action::CreateState(generation) => {
                    prop_assert_eq!(&view.store, &Store::Empty);
                    prop_assert!(view.heard.contains_key(&name(OTHER)));
                    let known = view.heard.values().chain([&view.obeyed]).flatten();
                    for obeyed in known {
                        prop_assert!(obeyed.generation < *generation);
                    }
                }
                Action::Follow { source, generation }
                | Action::Rebuild { source, generation, .. } => {
                    prop_assert_eq!(&view.store, &Store::Names(state(OTHER, generation.0)));
                    prop_assert_eq!(source, &address(OTHER, 2));
                }
                Action::Obey(state) => {
                    let before = view.obeyed.as_ref().map(|o| o.generation);
                    prop_assert!(before.is_none_or(|before| before <= state.generation));
                }
                Action::Start
                | Action::SetReadOnly
                | Action::PrepareAccounts(_)
                | Action::StartReplication(_) => {}
            }
        }
    }

    /// Whoever is writable without the right to be is read-only after one round, whatever else.
    #[test]
    fn a_writable_server_without_the_right_is_stopped_at_once(view in any_view()) {
        let Engine::Answers(status) = &view.engine else { return Ok(()) };
        let entitled = view.state().is_some_and(|s| s.primary == name(ME));
        if view.in_flight.is_none() && !status.read_only && !entitled {
            prop_assert_eq!(decided(&view).actions, vec![Action::SetReadOnly]);
        }
    }

    /// Carrying the actions out leads to rest (but for the heartbeat), never round in a circle.
    #[test]
    fn it_comes_to_rest(mut view in any_view()) {
        view.in_flight = None;
        let mut now = at(1000);
        let mut quiet = 0;
        for _ in 0..40 {
            // Long enough for every wait to be over.
            now = now.after(Duration::from_secs(3600));
            let decision = decide(&view, &name(ME), now);
            let work: Vec<&Action> =
                decision.actions.iter().filter(|a| !matches!(a, Action::Beat(_))).collect();
            quiet = if work.is_empty() { quiet + 1 } else { 0 };
            for action in &decision.actions {
                apply(&mut view, action, now);
            }
        }
        prop_assert!(quiet >= 20, "only {} quiet rounds at the end: {:?}", quiet, decide(&view, &name(ME), now));
    }
}
