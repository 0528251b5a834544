//! The decisions as a table of examples and as properties over any View.

use std::collections::BTreeMap;
use std::time::Duration;

use mysql::gtid::mariadb::{Gtid, Position};
use proptest::prelude::*;
use site::name::{MemberName, ServerName};
use site::target::MemberAddress;

use super::attempts::Attempts;
use super::candidate;
use super::decide::decide;
use super::decision::{Action, Decision, Put, Reason};
use super::diagnosis::Diagnosis;
use super::lease;
use super::rejoin;
use super::restart;
use super::state_change;
use super::switchover::{self, Refusal, Switchover};
use super::view::{
    Engine, Held, InFlight, Io, Long, Peer, Replication, ServerError, Status, Store, Time, View,
};
use crate::accounts::replication_user;
use crate::record::{
    Change, Generation, Lease, Obeyed, RequestRecord, Restart, StateRecord, SyncSet, Wanted,
};

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

/// What the store says then: an open primary with nobody acknowledging.
fn record(primary: &str, generation: u64) -> StateRecord {
    StateRecord {
        format: crate::record::FORMAT,
        primary: name(primary),
        generation: Generation(generation),
        revision: generation * 10,
        lease: Lease::Held,
        writer: name(primary),
        sync_set: SyncSet::alone(),
        forced: false,
        position: String::new(),
        position_of: 0,
        why: String::new(),
        history: Vec::new(),
    }
}

fn names(primary: &str, generation: u64) -> Store {
    Store::Names(Box::new(record(primary, generation)))
}

/// `ME` holds the lease of that state.
fn held(generation: u64) -> Option<Held> {
    Some(Held {
        revision: generation * 10,
        sent: at(999),
        settled: true,
    })
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
        semi_sync: false,
        connected: Default::default(),
        locked: Default::default(),
    }
}

fn following(last: u8) -> Replication {
    Replication {
        host: format!("127.0.0.{last}"),
        port: 3306,
        user: replication_user(&name(ME)),
        by_gtid: true,
        io: Io::Running,
        io_error: None,
        sql_running: true,
        sql_error: None,
        received: position("0-102-9"),
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
        acknowledged: true,
        wall_ms: 0,
        seen_at: at(998),
        held: None,
        request: RequestRecord::default(),
        peers: [(name(OTHER), Peer::default())].into(),
        announced: true,
        promised: None,
        whole: true,
        engine: Engine::Answers(Box::new(status)),
        unfit_since: None,
        switching_since: None,
        away: BTreeMap::new(),
        barrier: None,
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
    view(names(OTHER, 1), Some(state), status)
}

fn error(code: u16) -> Option<ServerError> {
    Some(ServerError {
        code,
        message: "words".to_owned(),
    })
}

/// The only write of the state, and why.
fn put(decision: &Decision) -> Option<(Put, StateRecord)> {
    decision.actions.iter().find_map(|action| match action {
        Action::PutState(why, next) => Some((*why, next.as_ref().clone())),
        _ => None,
    })
}

#[test]
fn a_first_start_makes_accounts_then_the_state_then_it_writes() {
    let mut view = view(Store::Empty, None, status());
    let first = Generation::FIRST;
    let decision = decided(&view);
    assert_eq!(decision.actions[0], Action::PrepareAccounts(first));
    let (why, state) = put(&decision).unwrap();
    assert_eq!(
        (why, state.revision, state.is_open()),
        (Put::Create, 1, true)
    );
    view.accounts_for = Some(first);
    view.held = Some(Held {
        revision: 1,
        ..held(1).unwrap()
    });
    view.store = Store::Names(Box::new(state.clone()));
    assert_eq!(decided(&view).actions, [Action::Obey(state.obeyed())]);
    view.obeyed = Some(state.obeyed());
    assert_eq!(decided(&view).actions, [Action::SetWritable(first)]);
}

#[test]
fn only_the_first_primary_begins_and_only_when_all_were_heard() {
    let mut view = view(Store::Empty, None, status());
    view.first_primary = false;
    assert_eq!(decided(&view).reason, Reason::ForFirstPrimary);
    view.first_primary = true;
    view.peers.clear();
    assert_eq!(decided(&view).reason, Reason::UntilHeard(name(OTHER)));
}

#[test]
fn a_lost_state_is_made_again_by_the_last_primary_in_the_next_generation() {
    let mut view = view(Store::Empty, Some(state(ME, 3)), status());
    let (why, next) = put(&decided(&view)).unwrap();
    assert_eq!((why, next.generation), (Put::Create, Generation(4)));
    view.peers.get_mut(&name(OTHER)).unwrap().obeyed = Some(state(OTHER, 4));
    assert_eq!(decided(&view).reason, Reason::ForPrimary(name(OTHER)));
    assert_eq!(decided(&view).actions, []);
}

#[test]
fn a_restarted_primary_writes_again_only_in_its_generation_and_with_the_lease() {
    let mut view = view(names(ME, 2), Some(state(ME, 2)), status());
    view.accounts_for = Some(Generation(2));
    assert_eq!(put(&decided(&view)).unwrap().0, Put::Renew);
    assert_eq!(decided(&view).actions.len(), 1);
    view.held = held(2);
    assert_eq!(decided(&view).actions, [Action::SetWritable(Generation(2))]);
    view.held.as_mut().unwrap().settled = false;
    assert_eq!(put(&decided(&view)).unwrap().0, Put::Renew);
    assert_eq!(decided(&view).actions.len(), 1);
    view.obeyed = Some(state(OTHER, 3));
    let decision = decided(&view);
    assert!(matches!(
        decision.diagnosis,
        Diagnosis::StateOutdated { .. }
    ));
    assert_eq!(decision.actions, []);
}

#[test]
fn a_primary_whose_data_is_gone_stays_read_only_and_gives_the_lease_up() {
    let mut empty = status();
    empty.binlog_pos = Position::default();
    empty.slave_pos = Position::default();
    let mut view = view(names(ME, 1), Some(state(ME, 1)), empty);
    view.accounts_for = Some(Generation(1));
    view.held = held(1);
    assert_eq!(decided(&view).diagnosis, Diagnosis::PrimaryIsEmpty);
    assert_eq!(put(&decided(&view)).unwrap().0, Put::Release);
    let mut lacking = record(ME, 1);
    lacking.position = "0-102-10".to_owned();
    view.store = Store::Names(Box::new(lacking));
    view.engine = Engine::Answers(Box::new(status()));
    assert!(matches!(
        decided(&view).diagnosis,
        Diagnosis::PrimaryLacks { .. }
    ));
    assert_eq!(put(&decided(&view)).unwrap().0, Put::Release);
}

#[test]
fn who_is_not_primary_is_made_read_only_and_who_was_is_ended() {
    let writable = || Status {
        read_only: false,
        ..status()
    };
    for (store, obeyed) in [
        (Store::Empty, None),
        (names(OTHER, 1), Some(state(OTHER, 1))),
        (names(ME, 1), Some(state(OTHER, 2))),
        (Store::Unusable("x".into()), Some(state(OTHER, 1))),
    ] {
        let view = view(store, obeyed, writable());
        assert_eq!(decided(&view).actions, [Action::SetReadOnly], "{view:?}");
    }
    let mut deposed = view(names(OTHER, 2), Some(state(ME, 1)), writable());
    deposed.held = held(1);
    assert_eq!(decided(&deposed).actions, [Action::Fence]);
    // The primary goes on without the store, as long as its lease lasts.
    let mut view = view(Store::Unusable("x".into()), Some(state(ME, 1)), writable());
    view.held = held(1);
    assert_eq!(decided(&view).actions, []);
    assert_eq!(decide(&view, &name(ME), at(1003)).actions, [Action::Fence]);
    view.held = None;
    assert_eq!(decided(&view).actions, [Action::Fence]);
}

#[test]
fn a_primary_that_hangs_is_ended() {
    let mut view = view(names(ME, 1), Some(state(ME, 1)), status());
    view.held = held(1);
    view.engine = Engine::Silent {
        why: String::new(),
        since: at(998),
    };
    assert_eq!(decided(&view).actions, [Action::Fence]);
    view.request.paused = true;
    assert_eq!(decided(&view).actions, []);
    view.obeyed = Some(state(OTHER, 1));
    view.request.paused = false;
    assert_eq!(decided(&view).actions, [], "a replica is left alone");
}

#[test]
fn a_server_that_ended_is_started_in_place_or_the_lease_given_up() {
    let mut view = view(names(ME, 1), Some(state(ME, 1)), status());
    view.held = held(1);
    view.unfit_since = Some(at(1000));
    view.engine = Engine::Down {
        why: String::new(),
        start_at: at(1000),
        needs_you: false,
    };
    assert_eq!(decided(&view).actions, [Action::Start]);
    view.engine = Engine::Down {
        why: String::new(),
        start_at: at(1001),
        needs_you: false,
    };
    assert_eq!(put(&decided(&view)).unwrap().0, Put::Release);
}

#[test]
fn a_primary_that_gave_up_lets_another_take_its_place_before_its_server_starts() {
    let mut given_up = record(ME, 1);
    given_up.lease = Lease::Released;
    given_up.sync_set = SyncSet::Members([name(OTHER)].into());
    let down = |state: &StateRecord| {
        let store = Store::Names(Box::new(state.clone()));
        let mut view = view(store, Some(self::state(ME, 1)), status());
        view.engine = Engine::Down {
            why: String::new(),
            start_at: at(0),
            needs_you: false,
        };
        view.seen_at = at(1000);
        view
    };
    let waits = decided(&down(&given_up));
    assert_eq!(waits.actions, []);
    assert_eq!(waits.reason, Reason::StartNotBefore(at(1003)));
    let mut late = down(&given_up);
    late.seen_at = at(990);
    assert_eq!(decided(&late).actions, [Action::Start]);
    assert!(!rejoin::is_succeeded(&late, &name(ME)));
    given_up.sync_set = SyncSet::alone();
    let nobody_else = decided(&down(&given_up));
    assert!(nobody_else.actions.contains(&Action::Start));
    let mut elected = state_change::taken_over(&given_up, &name(OTHER), false, "");
    elected.sync_set = SyncSet::Members([name(OTHER)].into());
    assert_eq!(decided(&down(&elected)).actions, []);
    assert!(!rejoin::is_succeeded(&down(&elected), &name(ME)));
    elected.writer = name(OTHER);
    assert_eq!(decided(&down(&elected)).actions, [Action::Start]);
    assert!(rejoin::is_succeeded(&down(&elected), &name(ME)));
    let mut replica = down(&elected);
    replica.obeyed = Some(state(OTHER, 2));
    assert!(!rejoin::is_succeeded(&replica, &name(ME)));
}

#[test]
fn writes_are_not_held_for_a_successor_that_is_far_behind() {
    let mut state = record(ME, 1);
    state.sync_set = SyncSet::Members([name(OTHER)].into());
    state.position = "0-1-8".to_owned();
    let status = Status {
        read_only: false,
        connected: [name(OTHER)].into(),
        ..status()
    };
    let mut view = view(names(ME, 1), Some(self::state(ME, 1)), status.clone());
    view.request.switchover = Some(Wanted {
        generation: Generation(1),
        to: Some(name(OTHER)),
    });
    let mut next = |applied: &str| {
        let peer = Peer {
            applied: position(applied),
            whole: true,
            ..Peer::default()
        };
        view.peers = [(name(OTHER), peer)].into();
        switchover::next(&view, &name(ME), &state, &status, at(1000))
    };
    let behind = Switchover::Refused(Refusal::Behind(name(OTHER)));
    assert_eq!(next("0-1-7"), behind);
    let hold = Switchover::Step(Action::HoldWrites(Generation(1)));
    assert_eq!(next("0-1-8"), hold);
}

#[test]
fn a_replica_that_has_yet_to_show_that_it_has_everything_is_helped_to_it() {
    let mut view = view(names(ME, 1), Some(state(ME, 1)), status());
    view.held = held(1);
    view.accounts_for = Some(Generation(1));
    let revision = record(ME, 1).revision;
    let decided = |whole, seen| {
        let mut view = view.clone();
        let peer = Peer {
            obeyed: Some(state(ME, 1)),
            linked: true,
            whole,
            seen,
            ..Peer::default()
        };
        view.peers = [(name(OTHER), peer)].into();
        put(&decided(&view)).map(|(why, _)| why)
    };
    assert_eq!(decided(false, revision), Some(Put::Renew));
    assert_eq!(
        decided(false, revision - 1),
        None,
        "it has not seen this one"
    );
    assert_eq!(decided(true, revision), None);
}

/// Another in the sync set, the lease free.
fn election() -> View {
    let mut view = replica(|_, r| r.io = Io::Stopped);
    let mut free = record(OTHER, 1);
    free.lease = Lease::Released;
    free.sync_set = SyncSet::Members([name(ME)].into());
    free.position = "0-102-9".to_owned();
    view.promised = Some(free.revision);
    view.store = Store::Names(Box::new(free));
    view
}

#[test]
fn a_replica_stops_receiving_then_campaigns() {
    let mut view = election();
    view.promised = None;
    assert_eq!(decided(&view).actions, [Action::StopReceiving(10)]);
    view.promised = Some(10);
    view.announced = false;
    assert_eq!(decided(&view).actions, []);
    view.announced = true;
    let (why, next) = put(&decided(&view)).unwrap();
    assert_eq!((why, next.primary.clone()), (Put::Campaign, name(ME)));
    assert_eq!((next.generation, next.revision), (Generation(2), 11));
    assert!(!next.is_open());
    view.request.paused = true;
    assert_eq!(decided(&view).diagnosis, Diagnosis::Promised);
}

#[test]
fn who_may_not_be_promoted_is_told_why() {
    let nobody = |view: &View| {
        let decision = decided(view);
        assert_eq!(decision.actions, [], "{decision:?}");
        decision.reason.to_string()
    };
    let mut torn = election();
    torn.whole = false;
    insta::assert_snapshot!(nobody(&torn), @"nobody may be promoted: db-1 was restarted and may have lost what it acknowledged before it could apply it; db-2 was not heard");
    let mut two = election();
    two.members.push(address("db-3", 3));
    let Store::Names(state) = &mut two.store else {
        panic!()
    };
    state.sync_set = SyncSet::Members([name(ME), name("db-3")].into());
    insta::assert_snapshot!(nobody(&two), @"nobody may be promoted: db-2 was not heard; db-3 was not heard");
    let third = |stopped_for, received: &str| Peer {
        seen: 10,
        stopped_for,
        received: position(received),
        whole: true,
        ..Peer::default()
    };
    two.peers.insert(name("db-3"), third(Some(9), "0-102-9"));
    assert!(nobody(&two).contains("db-3 has not stopped receiving yet"));
    two.peers.insert(name("db-3"), third(Some(10), "0-102-10"));
    assert_eq!(
        decided(&two).reason,
        Reason::ForCandidate(name("db-3")),
        "it has more"
    );
    two.peers.insert(name("db-3"), third(Some(10), "0-102-8"));
    assert_eq!(put(&decided(&two)).unwrap().0, Put::Campaign);
    let mut alone = election();
    let Store::Names(state) = &mut alone.store else {
        panic!()
    };
    state.sync_set = SyncSet::alone();
    assert!(nobody(&alone).contains("db-1 is not in the sync set"));
    // By order it is.
    alone.request.force = Some(Wanted {
        generation: Generation(1),
        to: Some(name(ME)),
    });
    let (why, next) = put(&decided(&alone)).unwrap();
    assert_eq!((why, next.forced), (Put::Campaign, true));
}

#[test]
fn the_elected_one_applies_opens_and_writes() {
    let mut view = election();
    let mut elected = record(OTHER, 1);
    elected.sync_set = SyncSet::Members([name(ME)].into());
    elected.primary = name(ME);
    elected.generation = Generation(2);
    elected.revision = 20;
    view.store = Store::Names(Box::new(elected));
    view.obeyed = Some(state(ME, 2));
    assert_eq!(put(&decided(&view)).unwrap().0, Put::Renew);
    view.held = held(2);
    let change = |view: &mut View, change: &dyn Fn(&mut Status)| {
        if let Engine::Answers(status) = &mut view.engine {
            change(status);
        }
    };
    change(&mut view, &|s| {
        s.replication.as_mut().unwrap().received = position("0-102-12");
    });
    assert_eq!(decided(&view).diagnosis, Diagnosis::Draining);
    assert_eq!(decided(&view).actions, []);
    change(&mut view, &|s| {
        s.binlog_pos = position("0-102-12");
        s.slave_pos = position("0-102-12");
    });
    assert_eq!(decided(&view).actions, [Action::Promote(Generation(2))]);
    change(&mut view, &|s| s.replication = None);
    let (why, opened) = put(&decided(&view)).unwrap();
    assert_eq!((why, opened.is_open()), (Put::Open, true));
    assert_eq!(opened.sync_set, SyncSet::alone());
    assert_eq!(opened.history.last().unwrap().began, "0-102-12");
    view.whole = false;
    assert_eq!(put(&decided(&view)).unwrap().0, Put::Release);
}

#[test]
fn a_former_primary_follows_or_is_rebuilt_by_what_its_successor_has() {
    let mut former = status();
    former.slave_pos = Position::default();
    former.own = vec![gtid("0-101-9")];
    former.binlog_pos = position("0-101-9");
    let mut successor = record(OTHER, 2);
    let change = |primary: &str, generation, began: &str| Change {
        generation: Generation(generation),
        primary: name(primary),
        began: began.to_owned(),
        at_ms: 0,
        why: String::new(),
    };
    successor.history = vec![change(ME, 1, ""), change(OTHER, 2, "0-101-9")];
    let mut view = view(
        Store::Names(Box::new(successor.clone())),
        Some(state(OTHER, 2)),
        former,
    );
    assert!(matches!(
        decided(&view).actions[..],
        [Action::Follow {
            was_primary: true,
            ..
        }]
    ));
    successor.history[1].began = "0-101-8".to_owned();
    view.store = Store::Names(Box::new(successor));
    assert!(matches!(
        decided(&view).actions[..],
        [Action::Rebuild { .. }]
    ));
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
        was_primary: false,
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
        view(names("db-9", 1), Some(state("db-9", 1)), status()),
        view(names(ME, 1), Some(state(OTHER, 2)), status()),
        replica(|_, _| {}),
        replica(|s, _| s.lag = Some(Duration::from_millis(7300))),
        replica(|s, _| s.lag = None),
        replica(|_, r| r.io = Io::Connecting),
        replica(|s, _| s.own = vec![gtid("0-101-10")]),
        replica(|s, _| s.slave_pos = Position::default()),
    ];
    views[0].peers.clear();
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

mod properties;

#[test]
fn a_server_is_restarted_once_and_only_where_that_costs_nothing() {
    let due = |view: &View, pid| restart::is_due(view, &name(ME), Some(pid), at(1000));
    let mut view = replica(|_, _| {});
    view.request.restart = Some(Restart {
        member: name(ME),
        pid: 41,
    });
    assert!(due(&view, 41));
    assert!(!due(&view, 42), "the life that was meant is over");
    view.request.paused = true;
    assert!(!due(&view, 41), "maintenance");
    view.request.paused = false;
    view.seen_at = at(900);
    assert!(!due(&view, 41), "an election needs what it received");
    view.seen_at = at(998);
    view.request.restart = Some(Restart {
        member: name(OTHER),
        pid: 41,
    });
    assert!(!due(&view, 41), "another one is meant");

    let mut alone = self::view(names(ME, 1), Some(state(ME, 1)), status());
    alone.request.restart = Some(Restart {
        member: name(ME),
        pid: 41,
    });
    assert!(!due(&alone, 41), "somebody could take its place");
    alone.members.truncate(1);
    assert!(due(&alone, 41));
}
