//! What goes, and that nothing goes which somebody needs.

use proptest::prelude::*;

use super::super::catalog::samples::{backup, catalog, log, tried};
use super::super::point_in_time::{Until, Wanted, plan};
use super::*;

fn without(catalog: &Catalog, gone: &Removable) -> Catalog {
    let backups = catalog.backups.iter();
    let logs = catalog.logs.iter();
    Catalog::new(
        backups
            .filter(|b| !gone.backups.contains(&b.manifest.id))
            .cloned()
            .collect(),
        logs.filter(|l| !gone.logs.contains(&l.id))
            .cloned()
            .collect(),
    )
}

#[test]
fn what_the_window_does_not_need_goes() {
    let backups = vec![
        backup("a", None, 100, 100),
        backup("b", None, 200, 200),
        backup("b1", Some("b"), 250, 250),
        backup("c", None, 300, 300),
    ];
    let logs = vec![log(100, 150, 150), log(150, 260, 260), log(260, 310, 310)];
    let catalog = Catalog::new(backups, logs);
    // The window begins at 260: b1 reaches it, and stands on b; a and the log before b are past.
    let gone = removable(&catalog, Duration::from_secs(60), Moment::from_s(320));
    assert_eq!(gone.backups, ["a"]);
    assert_eq!(gone.logs, [catalog.logs[0].id.clone()]);
    assert_eq!(
        removable(&catalog, Duration::from_secs(600), Moment::from_s(320)),
        Removable::default()
    );
}

#[test]
fn the_newest_that_was_tried_stays_however_old() {
    let backups = vec![
        tried(backup("a", None, 100, 100), 110, None),
        backup("b", None, 200, 200),
        tried(backup("c", None, 300, 300), 310, Some("torn")),
    ];
    let catalog = Catalog::new(backups, vec![]);
    let gone = removable(&catalog, Duration::from_secs(10), Moment::from_s(1000));
    assert_eq!(
        gone.backups,
        ["c"],
        "a was tried, b is the newest that may be good"
    );
}

proptest! {
    /// Every second of the window that could be restored before can be restored after, by the same rule.
    #[test]
    fn no_moment_of_the_window_is_lost(catalog in catalog(), keep in 1..400_u64, later in 0..300_u64) {
        let newest = catalog.backups.last().map_or(100, |b| b.taken().s());
        let now = newest + later;
        let gone = removable(&catalog, Duration::from_secs(keep), Moment::from_s(now));
        let rest = without(&catalog, &gone);
        for second in now.saturating_sub(keep).saturating_add(1)..=now {
            let wanted = Wanted { backup: None, until: Until::Time(Moment::from_s(second)) };
            if plan(&catalog, &wanted).is_ok() {
                prop_assert!(plan(&rest, &wanted).is_ok(), "{} could be reached", second);
            }
        }
    }

    /// What is kept stands on what is kept, and removing twice removes nothing more.
    #[test]
    fn nothing_kept_has_lost_its_base(catalog in catalog(), keep in 0..400_u64, later in 0..300_u64) {
        let now = Moment::from_s(catalog.backups.last().map_or(100, |b| b.taken().s()) + later);
        let keep = Duration::from_secs(keep);
        let rest = without(&catalog, &removable(&catalog, keep, now));
        for backup in &rest.backups {
            let base = backup.manifest.base.as_deref();
            if let Some(base) = base.filter(|base| catalog.backup(base).is_some()) {
                prop_assert!(rest.backup(base).is_some(), "{} lost {}", backup.manifest.id, base);
            }
        }
        let usable = |c: &Catalog| c.backups.iter().any(|b| c.chain(&b.manifest.id).is_some());
        prop_assert_eq!(usable(&catalog), usable(&rest), "the last good one stays");
        prop_assert_eq!(removable(&rest, keep, now), Removable::default());
    }
}
