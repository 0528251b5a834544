//! Pure: which backups and archived logs may go.
//!
//! Kept are: every backup taken within `keep`; in each history the newest good one before that, from
//! which the first moment of the window is reached; the newest backup that a trial restore has shown to
//! be good, however old; what any of these builds on; and every log after the oldest of these. A backup
//! that failed its trial keeps nothing alive.

use std::collections::BTreeSet;
use std::time::Duration;

use mysql::gtid::mariadb::Position;

use super::catalog::{Backup, Catalog};
use super::moment::Moment;
use super::record::{Kind, LogRecord};

/// What nobody needs any more, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removable {
    pub backups: Vec<String>,
    pub logs: Vec<String>,
}

pub fn removable(catalog: &Catalog, keep: Duration, now: Moment) -> Removable {
    let window = Moment(
        now.0
            .saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)),
    );
    let kept = kept(catalog, window);
    let backups = catalog
        .backups
        .iter()
        .map(|backup| backup.manifest.id.clone())
        .filter(|id| !kept.contains(id.as_str()))
        .collect();
    let logs = catalog
        .logs
        .iter()
        .filter(|log| !needed(log, catalog, &kept, window))
        .map(|log| log.id.clone())
        .collect();
    Removable { backups, logs }
}

fn kept(catalog: &Catalog, window: Moment) -> BTreeSet<&str> {
    let mut roots: Vec<&Backup> = Vec::new();
    let histories: BTreeSet<u64> = catalog.backups.iter().map(|b| b.manifest.history).collect();
    for history in histories {
        let of: Vec<&Backup> = catalog.of_history(history).collect();
        let usable = |backup: &&&Backup| catalog.chain(&backup.manifest.id).is_some();
        roots.extend(of.iter().filter(|backup| backup.taken() >= window));
        let ended = ended(catalog, history);
        if ended.is_none_or(|ended| ended > window) {
            roots.extend(of.iter().filter(|b| b.taken() < window).rfind(usable));
        }
    }
    let good =
        |backup: &&Backup| backup.is_verified() && catalog.chain(&backup.manifest.id).is_some();
    roots.extend(catalog.backups.iter().rfind(good));
    // Without any that was tried: the newest of all that can be used.
    let usable = |backup: &&Backup| catalog.chain(&backup.manifest.id).is_some();
    roots.extend(catalog.backups.iter().rfind(usable));
    let mut kept = BTreeSet::new();
    for root in roots {
        with_bases(catalog, root, &mut kept);
    }
    kept
}

/// When a later history began, this one had ended.
fn ended(catalog: &Catalog, history: u64) -> Option<Moment> {
    let later = |backup: &&Backup| backup.manifest.history > history;
    catalog
        .backups
        .iter()
        .filter(later)
        .map(Backup::taken)
        .min()
}

fn with_bases<'a>(catalog: &'a Catalog, backup: &'a Backup, kept: &mut BTreeSet<&'a str>) {
    let mut next = Some(backup);
    while let Some(backup) = next {
        if !kept.insert(&backup.manifest.id) {
            return;
        }
        next = match backup.manifest.kind {
            Kind::Full => None,
            Kind::Incremental => backup
                .manifest
                .base
                .as_deref()
                .and_then(|id| catalog.backup(id)),
        };
    }
}

/// A log goes when every kept backup of its history has all of it; one of a history without kept
/// backups goes when it is older than the window.
fn needed(log: &LogRecord, catalog: &Catalog, kept: &BTreeSet<&str>, window: Moment) -> bool {
    let mut of = catalog
        .of_history(log.history)
        .filter(|backup| kept.contains(backup.manifest.id.as_str()))
        .peekable();
    if of.peek().is_none() {
        return Moment::from_s(log.closed_s) >= window;
    }
    let after: Position = log.after.parse().unwrap_or_default();
    of.any(|backup| !backup.position().contains(&after))
}

#[cfg(test)]
mod tests;
