//! What is news, as sequences of diagnoses.

use std::time::Duration;

use site::name::MemberName;

use super::*;
use crate::failover::attempts::Attempts;
use crate::failover::decision::Reason;
use crate::failover::view::{Long, Status, Store};

fn view() -> View {
    let me = MemberName::new("db-1");
    let mut view = View {
        members: Vec::new(),
        first_primary: false,
        max_lag: Duration::from_secs(1),
        acknowledged: true,
        wall_ms: 0,
        store: Store::Empty,
        seen_at: Time::default(),
        held: None,
        request: Default::default(),
        obeyed: None,
        peers: std::collections::BTreeMap::new(),
        announced: true,
        promised: None,
        whole: true,
        engine: Engine::Answers(Box::new(Status {
            version: "10.11".to_owned(),
            read_only: true,
            binlog_pos: "".parse().unwrap(),
            own: Vec::new(),
            slave_pos: "".parse().unwrap(),
            replication: None,
            start_from: false,
            lag: None,
            semi_sync: false,
            connected: Default::default(),
            locked: Default::default(),
        })),
        unfit_since: None,
        switching_since: None,
        away: std::collections::BTreeMap::new(),
        barrier: None,
        in_flight: None,
        accounts_for: None,
        last_beat: None,
        replication_starts: Attempts::default(),
        rebuilds: Vec::new(),
    };
    let first = crate::failover::state_change::first(&me, Generation(1), &view);
    view.store = Store::Names(Box::new(first));
    view
}

/// The kinds told for diagnoses half a second apart.
fn kinds(diagnoses: impl IntoIterator<Item = Diagnosis>) -> Vec<&'static str> {
    let mut told = Told::default();
    let mut kinds = Vec::new();
    for (n, diagnosis) in (0..).zip(diagnoses) {
        let decision = Decision {
            diagnosis,
            actions: Vec::new(),
            reason: Reason::AsDiagnosed,
        };
        let now = Time(Duration::from_millis(500 * n));
        let (next, all) = tell(&told, &view(), &decision, now);
        told = next;
        kinds.extend(all.into_iter().map(|news| news.kind));
    }
    kinds
}

fn db1() -> MemberName {
    MemberName::new("db-1")
}

fn following() -> Diagnosis {
    Diagnosis::Following(db1())
}

fn lagging(seconds: u64) -> Diagnosis {
    Diagnosis::Lagging {
        source: db1(),
        lag: Duration::from_secs(seconds),
    }
}

fn unreachable() -> Diagnosis {
    Diagnosis::SourceUnreachable {
        source: db1(),
        why: "connecting".to_owned(),
    }
}

fn down(start_at: u64) -> Diagnosis {
    Diagnosis::EngineDown {
        why: "killed".to_owned(),
        start_at: Time(Duration::from_secs(start_at)),
        needs_you: false,
    }
}

fn repeat(diagnosis: &Diagnosis, times: usize) -> Vec<Diagnosis> {
    vec![diagnosis.clone(); times]
}

#[test]
fn a_quiet_start_tells_that_it_is_up_and_what_it_is() {
    let start = [down(0), Diagnosis::ActionInFlight(Long::Start)];
    let primary = [
        Diagnosis::PrimaryReadOnly,
        Diagnosis::PrimaryServes,
        Diagnosis::PrimaryServes,
    ];
    assert_eq!(
        kinds(start.clone().into_iter().chain(primary)),
        ["member-up", "primary"]
    );
    let replica = [
        Diagnosis::NoState,
        Diagnosis::NewState,
        unreachable(),
        Diagnosis::LagUnknown(db1()),
        following(),
    ];
    assert_eq!(
        kinds(start.into_iter().chain(replica)),
        ["member-up", "replica-following"]
    );
}

#[test]
fn a_crash_is_told_once_and_its_end_too() {
    let crash = [
        Diagnosis::PrimaryServes,
        down(9),
        Diagnosis::ActionInFlight(Long::Start),
        down(10),
        down(11),
        Diagnosis::PrimaryReadOnly,
        Diagnosis::PrimaryServes,
    ];
    assert_eq!(
        kinds(crash),
        [
            "member-up",
            "primary",
            "member-down",
            "member-up",
            "primary"
        ]
    );
}

#[test]
fn a_lag_is_news_after_five_seconds_and_when_it_is_over() {
    let short = [vec![following()], repeat(&lagging(9), 9), vec![following()]];
    assert_eq!(kinds(short.concat()), ["member-up", "replica-following"]);
    let long = [
        vec![following()],
        repeat(&lagging(9), 30),
        repeat(&following(), 3),
    ];
    assert_eq!(
        kinds(long.concat()),
        [
            "member-up",
            "replica-following",
            "replica-lagging",
            "replica-caught-up"
        ]
    );
}

#[test]
fn a_lost_connection_is_news_after_five_seconds() {
    let short = [
        vec![following()],
        repeat(&unreachable(), 9),
        vec![following()],
    ];
    assert_eq!(kinds(short.concat()), ["member-up", "replica-following"]);
    let long = [
        vec![following()],
        repeat(&unreachable(), 30),
        vec![following()],
    ];
    assert_eq!(
        kinds(long.concat()),
        [
            "member-up",
            "replica-following",
            "replication-broken",
            "replica-following"
        ]
    );
}

#[test]
fn a_broken_replica_is_told_once_until_it_follows_again() {
    let lost = Diagnosis::LostPlace {
        why: "duplicate".to_owned(),
    };
    let course = [
        vec![following()],
        repeat(&lost, 3),
        vec![
            Diagnosis::ActionInFlight(Long::Rebuild),
            Diagnosis::NotStarted(db1()),
            following(),
        ],
    ];
    assert_eq!(
        kinds(course.concat()),
        [
            "member-up",
            "replica-following",
            "replication-broken",
            "replica-following"
        ]
    );
}

#[test]
fn what_only_a_person_can_put_right_is_told_once() {
    let stuck = [Diagnosis::PrimaryIsEmpty, Diagnosis::PrimaryIsEmpty];
    assert_eq!(kinds(stuck), ["member-up", "member-stuck"]);
    let writable = [
        Diagnosis::WritableUnentitled,
        Diagnosis::WritableUnentitled,
        following(),
    ];
    assert_eq!(
        kinds(writable),
        ["member-up", "member-writable", "replica-following"]
    );
}
