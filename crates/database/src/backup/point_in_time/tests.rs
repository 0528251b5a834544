//! What reaches a moment, and what is said of one that nothing reaches.

use proptest::prelude::*;

use super::super::catalog::samples::{backup, catalog, log, tried};
use super::*;

fn time(s: u64) -> Wanted {
    Wanted {
        backup: None,
        until: Until::Time(Moment::from_s(s)),
    }
}

fn gtid(sequence: u64) -> Wanted {
    Wanted {
        backup: None,
        until: Until::Position(format!("0-1-{sequence}").parse().unwrap()),
    }
}

/// Full at 100 and 200, incremental at 150; logs from 100 to 260, closed at 180, 210 and 260.
fn some() -> Catalog {
    let backups = vec![
        backup("a", None, 100, 100),
        backup("a1", Some("a"), 150, 150),
        backup("b", None, 200, 200),
    ];
    let logs = vec![log(100, 180, 180), log(180, 210, 210), log(210, 260, 260)];
    Catalog::new(backups, logs)
}

#[test]
fn the_nearest_backup_before_and_the_logs_from_there() {
    let plan = |wanted: &Wanted| {
        let plan = plan(&some(), wanted).unwrap();
        (plan.chain.join("+"), plan.logs.len())
    };
    assert_eq!(plan(&time(101)), ("a".to_owned(), 1));
    assert_eq!(plan(&time(160)), ("a+a1".to_owned(), 1));
    assert_eq!(plan(&time(190)), ("a+a1".to_owned(), 2));
    assert_eq!(plan(&time(205)), ("b".to_owned(), 1));
    assert_eq!(plan(&time(260)), ("b".to_owned(), 2));
    assert_eq!(plan(&gtid(150)), ("a+a1".to_owned(), 0));
    assert_eq!(plan(&gtid(199)), ("a+a1".to_owned(), 2));
    let latest = Wanted {
        backup: None,
        until: Until::Latest,
    };
    assert_eq!(plan(&latest), ("b".to_owned(), 2));
    let named = Wanted {
        backup: Some("a".to_owned()),
        ..time(205)
    };
    assert_eq!(plan(&named), ("a".to_owned(), 2));
}

#[test]
fn what_cannot_be_reached_is_refused_with_what_can() {
    let refused = |wanted: &Wanted| plan(&some(), wanted).unwrap_err().to_string();
    let early = refused(&time(99));
    assert!(
        early.contains("the earliest is 1970-01-01T00:01:41Z (a)"),
        "{early}"
    );
    let late = refused(&time(261));
    assert!(late.contains("1970-01-01T00:04:20Z (0-1-260)"), "{late}");
    assert!(refused(&gtid(99)).contains("0-1-100 (a)"));
    assert!(refused(&gtid(261)).contains("(0-1-260)"));
    let unknown = Wanted {
        backup: Some("x".to_owned()),
        ..time(160)
    };
    assert!(refused(&unknown).contains("`mainstay db backups`"));
    assert_eq!(plan(&Catalog::default(), &time(5)), Err(Refusal::NoBackup));
}

#[test]
fn a_gap_ends_what_can_be_reached_until_the_next_backup() {
    let mut catalog = some();
    catalog.logs.remove(0);
    let refused = plan(&catalog, &time(190)).unwrap_err().to_string();
    assert!(refused.contains("(0-1-150)"), "{refused}");
    assert!(plan(&catalog, &time(205)).is_ok(), "b is behind the gap");
}

#[test]
fn a_bad_backup_is_gone_around() {
    let mut catalog = some();
    catalog.backups[2] = tried(catalog.backups[2].clone(), 300, Some("torn"));
    assert_eq!(plan(&catalog, &time(205)).unwrap().chain, ["a", "a1"]);
    catalog.backups[0] = tried(catalog.backups[0].clone(), 300, Some("torn"));
    let refused = plan(&catalog, &time(205)).unwrap_err();
    assert!(matches!(refused, Refusal::Broken(_)), "{refused}");
}

/// After a failover the new primary's log begins earlier than the old one's ended.
#[test]
fn logs_of_two_servers_overlap_and_join() {
    let mut catalog = some();
    let mut other = log(170, 300, 300);
    other.member = site::name::MemberName::new("db-2");
    other.id = format!("x{}", other.id);
    catalog.logs.truncate(2);
    catalog.logs.push(other);
    let plan = plan(&catalog, &time(300)).unwrap();
    assert_eq!(plan.logs.len(), 2, "{:?}", plan.logs);
}

proptest! {
    /// Each log of a plan begins at or before where the data stands by then, and brings something new;
    /// the end is at or beyond what was wanted.
    #[test]
    fn a_plan_has_no_gap_and_nothing_too_much(catalog in catalog(), second in 90..1700_u64, by_gtid: bool) {
        let wanted = if by_gtid { gtid(second) } else { time(second) };
        let Ok(plan) = plan(&catalog, &wanted) else { return Ok(()) };
        let first = catalog.backup(&plan.chain[0]).unwrap();
        prop_assert!(first.manifest.base.is_none());
        for pair in plan.chain.windows(2) {
            let next = catalog.backup(&pair[1]).unwrap();
            prop_assert_eq!(next.manifest.base.as_ref(), Some(&pair[0]));
        }
        let mut at = plan.from.clone();
        for id in &plan.logs {
            let log = catalog.logs.iter().find(|log| log.id == *id).unwrap();
            prop_assert_eq!(log.history, plan.history);
            prop_assert!(at.contains(&log.before.parse().unwrap()), "a gap before {}", id);
            let after: Position = log.after.parse().unwrap();
            prop_assert!(!at.contains(&after), "{} brings nothing", id);
            at.join(&after);
        }
        if let Until::Position(wanted) = &plan.until {
            prop_assert!(at.contains(wanted));
        }
    }
}
