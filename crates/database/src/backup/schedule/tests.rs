//! What is due when; and what must never be.

use proptest::prelude::*;

use super::super::catalog::samples::{MEMBER, backup, catalog, tried};
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn schedule() -> Schedule {
    Schedule {
        full: 24 * HOUR,
        incremental: Some(HOUR),
        verify: Some(7 * 24 * HOUR),
    }
}

fn here() -> Vec<Copyable> {
    vec![Copyable {
        member: MemberName::new(MEMBER),
        lineage: Some("l".to_owned()),
    }]
}

fn at(catalog: &Catalog, now_s: u64) -> (Due, Reason) {
    let now = Moment::from_s(now_s);
    due(catalog, 1, &here(), Failures::default(), now, &schedule())
}

#[test]
fn the_day_of_a_site() {
    let none = Catalog::default();
    assert_eq!(at(&none, 1000), (Due::Full, Reason::NoFull));
    let full = || backup("f", None, 1000, 1);
    let one = Catalog::new(vec![full()], vec![]);
    let verify = Due::Verify { id: "f".to_owned() };
    assert_eq!(
        at(&one, 1001).0,
        verify,
        "a new site tries its first backup"
    );
    let good = Catalog::new(vec![tried(full(), 1010, None)], vec![]);
    let until = Moment::from_s(1000 + 3600);
    assert_eq!(at(&good, 1020).0, Due::Nothing { until });
    let incremental = Due::Incremental {
        base: "f".to_owned(),
        member: MemberName::new(MEMBER),
    };
    assert_eq!(at(&good, 1000 + 3600).0, incremental);
    let day = 24 * 3600;
    assert!(matches!(at(&good, 1000 + day).1, Reason::FullIsOld(_)));
    let bad = Catalog::new(vec![tried(full(), 1010, Some("torn"))], vec![]);
    assert_eq!(at(&bad, 1020), (Due::Full, Reason::NoFull));
}

#[test]
fn without_the_data_of_its_base_an_incremental_backup_becomes_a_full_one() {
    let good = Catalog::new(vec![tried(backup("f", None, 1000, 1), 1010, None)], vec![]);
    let elsewhere = [Copyable {
        member: MemberName::new(MEMBER),
        lineage: Some("rebuilt".to_owned()),
    }];
    let now = Moment::from_s(1000 + 3600);
    let (due, reason) = due(&good, 1, &elsewhere, Failures::default(), now, &schedule());
    assert_eq!(
        (due, reason),
        (Due::Full, Reason::BaseNotHere("f".to_owned()))
    );
}

#[test]
fn failures_are_waited_for_longer_and_longer_but_not_for_ever() {
    let none = Catalog::default();
    let after = |count, s: u64| {
        let failures = Failures {
            count,
            last: Moment::from_s(1000),
        };
        due(
            &none,
            1,
            &here(),
            failures,
            Moment::from_s(1000 + s),
            &schedule(),
        )
        .0
    };
    assert!(matches!(after(1, 59), Due::Nothing { .. }));
    assert_eq!(after(1, 60), Due::Full);
    assert!(matches!(after(3, 239), Due::Nothing { .. }));
    assert_eq!(after(3, 240), Due::Full);
    assert_eq!(after(1000, 3600), Due::Full);
}

#[test]
fn a_backup_from_the_future_does_not_stop_the_others() {
    let future = Catalog::new(vec![backup("f", None, 1_000_000, 1)], vec![]);
    assert_eq!(at(&future, 1000), (Due::Full, Reason::NoFull));
}

proptest! {
    /// Whatever is there: what is due can be done, and doing it moves the schedule on.
    #[test]
    fn each_thing_done_is_not_due_again_at_once(catalog in catalog(), history in 1..4_u64, wait in 0..200_000_u64) {
        let newest = catalog.backups.last().map_or(0, |b| b.taken().s());
        let now_s = newest + wait;
        let now = Moment::from_s(now_s);
        let (first, _) = due(&catalog, history, &here(), Failures::default(), now, &schedule());
        let mut backups = catalog.backups.clone();
        match &first {
            Due::Nothing { until } => {
                prop_assert!(*until > now);
                let before = Moment(until.0 - 1);
                let again = due(&catalog, history, &here(), Failures::default(), before, &schedule());
                prop_assert!(matches!(again.0, Due::Nothing { .. }), "nothing is due before it is");
                return Ok(());
            }
            Due::Full => backups.push(backup("new", None, now_s, now_s)),
            Due::Incremental { base, .. } => {
                let chain = catalog.chain(base);
                prop_assert!(chain.is_some(), "it can be restored on top of its base");
                backups.push(backup("new", Some(base), now_s, now_s));
            }
            Due::Verify { id } => {
                let at = backups.iter().position(|b| b.manifest.id == *id).unwrap();
                let one = backups.remove(at);
                prop_assert!(one.verification.is_none());
                backups.insert(at, tried(one, now_s, None));
            }
        }
        if let Some(new) = backups.iter_mut().find(|b| b.manifest.id == "new") {
            new.manifest.history = history;
        }
        let after = Catalog::new(backups, catalog.logs.clone());
        let (second, _) = due(&after, history, &here(), Failures::default(), now, &schedule());
        prop_assert_ne!(first, second);
    }
}
