//! Pure: what is wrong with the backups.

use std::time::Duration;

use super::{Condition, Kind, Look, rough};
use crate::status::BackupStatus;

/// Late is what is twice as old as the schedule allows: one backup was missed, or is taking that long.
const LATE: u64 = 2;
/// The same of logs, which are copied every few minutes.
const LOGS_LATE: u64 = 4;

pub(super) fn backups(look: &Look<'_>, found: &mut Vec<Condition>) {
    let Some(backup) = &look.status.backup else {
        return;
    };
    let now = look.status.at_ms;
    let mut add = |kind, what: String| {
        let subject = "backup".to_owned();
        found.push(Condition {
            kind,
            subject,
            what,
        });
    };
    if let Some(why) = &backup.failed {
        add(Kind::BackupFailed, format!("the last backup failed: {why}"));
    }
    if let Some(bad) = &backup.bad {
        let what = format!("the newest backup cannot be restored: {bad}");
        add(Kind::BackupBad, what);
    }
    if let Some(what) = old(backup, now) {
        add(Kind::BackupOld, what);
    }
    if let Some(what) = not_verified(backup, now) {
        add(Kind::BackupNotVerified, what);
    }
    if let Some(what) = logs(backup, now) {
        add(Kind::LogsNotArchived, what);
    }
}

fn age(now: u64, then: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(then))
}

fn late(every_ms: u64, times: u64) -> Duration {
    Duration::from_millis(every_ms.saturating_mul(times))
}

fn old(backup: &BackupStatus, now: u64) -> Option<String> {
    let Some(newest) = backup.newest_ms else {
        return Some(format!("there is no backup yet: {}", backup.reason));
    };
    let age = age(now, newest);
    (age > late(backup.every_ms, LATE)).then(|| format!("the newest backup is {} old", rough(age)))
}

fn not_verified(backup: &BackupStatus, now: u64) -> Option<String> {
    // Without any backup the one alert above says it.
    backup.newest_ms?;
    let Some(verified) = backup.verified_ms else {
        return Some("no backup was ever restored on trial".to_owned());
    };
    let age = age(now, verified);
    (age > late(backup.verify_ms, LATE))
        .then(|| format!("the last trial restore that worked is {} ago", rough(age)))
}

fn logs(backup: &BackupStatus, now: u64) -> Option<String> {
    if let Some(why) = &backup.archive_failed {
        return Some(format!("binary logs are not archived: {why}"));
    }
    // From the first backup on; before there is nothing to archive.
    let since = backup.archived_ms.max(backup.newest_ms)?;
    let age = age(now, since);
    (age > late(backup.archive_ms, LOGS_LATE))
        .then(|| format!("the newest archived binary log is {} old", rough(age)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::alert::rules::tests::well;

    fn kinds(change: impl FnOnce(&mut BackupStatus)) -> Vec<&'static str> {
        let mut backup = BackupStatus {
            newest_ms: Some(100_000_000),
            verified_ms: Some(100_000_000),
            archived_ms: Some(100_000_000),
            every_ms: 1000,
            verify_ms: 7000,
            archive_ms: 300,
            ..BackupStatus::default()
        };
        change(&mut backup);
        let mut status = well();
        status.at_ms = 100_001_000;
        status.backup = Some(backup);
        let found = super::super::conditions(&status, &[], &BTreeMap::new(), Duration::MAX);
        found.iter().map(|found| found.kind.as_str()).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_is_found() {
        assert_eq!(kinds(|_| ()), [""; 0]);
        let later = |ms: u64| move |b: &mut BackupStatus| b.newest_ms = Some(100_000_000 - ms);
        assert_eq!(kinds(later(1000)), [""; 0]);
        assert_eq!(kinds(later(1001)), ["backup-old"]);
        assert_eq!(kinds(|b| b.newest_ms = None), ["backup-old"]);
        assert_eq!(kinds(|b| b.failed = Some("x".into())), ["backup-failed"]);
        assert_eq!(kinds(|b| b.bad = Some("x".into())), ["backup-bad"]);
        assert_eq!(kinds(|b| b.verified_ms = None), ["backup-not-verified"]);
        assert_eq!(
            kinds(|b| b.verified_ms = Some(99_000_000)),
            ["backup-not-verified"]
        );
        assert_eq!(
            kinds(|b| b.archive_failed = Some("x".into())),
            ["logs-not-archived"]
        );
        let quiet = |b: &mut BackupStatus| {
            b.archived_ms = Some(99_999_000);
            b.newest_ms = Some(99_999_700);
        };
        assert_eq!(kinds(quiet), ["logs-not-archived"]);
    }
}
