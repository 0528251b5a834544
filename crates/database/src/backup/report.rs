//! Pure: how it stands with the backups, for `status`, metrics and alerts.

use super::catalog::{Backup, Catalog};
use super::moment::Moment;
use super::record::{Kind, LogRecord};

/// As the keeper saw it last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Of this history, and good as far as is known.
    pub newest: Option<Moment>,
    pub newest_full: Option<Moment>,
    /// When a trial restore last succeeded.
    pub verified: Option<Moment>,
    /// Everything before it is archived.
    pub archived: Option<Moment>,
    pub backups: u64,
    pub logs: u64,
    /// As stored, of backups and logs.
    pub bytes: u64,
    /// What is being done now.
    pub doing: Option<String>,
    /// Why the last backup or trial failed; `None`: it did not.
    pub failed: Option<String>,
    /// The id of the newest backup when its trial restore failed, and how.
    pub bad: Option<String>,
    /// Why logs are not archived now.
    pub archive_failed: Option<String>,
    /// Failures of backups and trials in a row.
    pub failures: u32,
    /// One sentence: what is due, or why nothing is.
    pub reason: String,
}

impl Report {
    /// What the catalog says; the rest is as before.
    pub fn counted(&mut self, catalog: &Catalog, history: u64) {
        let good = |backup: &&Backup| !backup.is_bad();
        let mut of = catalog.of_history(history).filter(good);
        let full = catalog
            .of_history(history)
            .filter(good)
            .rfind(|backup| backup.manifest.kind == Kind::Full);
        self.newest_full = full.map(Backup::taken);
        self.newest = of.next_back().map(Backup::taken);
        self.verified = catalog
            .backups
            .iter()
            .filter(|backup| backup.is_verified())
            .filter_map(|backup| Some(Moment(backup.verification.as_ref()?.at_ms)))
            .max();
        let last = catalog.backups.last();
        self.bad = last.filter(|backup| backup.is_bad()).map(|backup| {
            let why = backup.verification.as_ref();
            let why = why.and_then(|v| v.failed.clone()).unwrap_or_default();
            format!("{}: {why}", backup.manifest.id)
        });
        let of = |log: &&LogRecord| log.history == history;
        let logs = catalog.logs.iter().filter(of);
        self.archived = logs.map(|log| Moment::from_s(log.closed_s)).max();
        self.backups = catalog.backups.len() as u64;
        self.logs = catalog.logs.len() as u64;
        let data = catalog.backups.iter().map(|backup| &backup.manifest.data);
        let data = data.chain(catalog.logs.iter().map(|log| &log.data));
        self.bytes = data.map(|data| data.bytes).sum();
    }
}
