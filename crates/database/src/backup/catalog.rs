//! Pure: all backups and archived logs there are, as their records say; and what follows from them alone.

use mysql::gtid::mariadb::Position;

use super::moment::Moment;
use super::record::{Kind, LogRecord, Manifest, Verification};

/// A backup and how its newest trial restore ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub manifest: Manifest,
    pub verification: Option<Verification>,
}

impl Backup {
    /// The data is as it was then.
    pub fn taken(&self) -> Moment {
        Moment(self.manifest.ended_ms)
    }

    /// A trial restore did not work: nothing is built on it and nothing is counted on it.
    pub fn is_bad(&self) -> bool {
        self.verification.as_ref().is_some_and(|v| !v.is_good())
    }

    pub fn is_verified(&self) -> bool {
        self.verification
            .as_ref()
            .is_some_and(Verification::is_good)
    }

    /// Empty when the record's text is none, which its reader has refused before.
    pub fn position(&self) -> Position {
        self.manifest.position.parse().unwrap_or_default()
    }
}

/// Everything at a destination. Backups in the order they were taken, logs in the order they were begun.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    pub backups: Vec<Backup>,
    pub logs: Vec<LogRecord>,
}

impl Catalog {
    pub fn new(mut backups: Vec<Backup>, mut logs: Vec<LogRecord>) -> Self {
        backups.sort_by(|a, b| {
            (a.manifest.ended_ms, &a.manifest.id).cmp(&(b.manifest.ended_ms, &b.manifest.id))
        });
        logs.sort_by(|a, b| a.id.cmp(&b.id));
        Self { backups, logs }
    }

    pub fn backup(&self, id: &str) -> Option<&Backup> {
        self.backups.iter().find(|backup| backup.manifest.id == id)
    }

    /// The full backup, then each incremental one, up to `id`; `None` when one of them is missing or bad.
    pub fn chain(&self, id: &str) -> Option<Vec<&Backup>> {
        let mut chain = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let backup = self.backup(id).filter(|backup| !backup.is_bad())?;
            // Longer than all there are: they refer to each other in a circle.
            if chain.len() > self.backups.len() {
                return None;
            }
            chain.push(backup);
            next = match backup.manifest.kind {
                Kind::Full => None,
                Kind::Incremental => Some(backup.manifest.base.as_deref()?),
            };
        }
        chain.reverse();
        Some(chain)
    }

    /// Those of one course of the data.
    pub fn of_history(&self, history: u64) -> impl DoubleEndedIterator<Item = &Backup> {
        let of = move |backup: &&Backup| backup.manifest.history == history;
        self.backups.iter().filter(of)
    }

    /// `None`: there is nothing here.
    pub fn last_history(&self) -> Option<u64> {
        let backups = self.backups.iter().map(|backup| backup.manifest.history);
        backups.chain(self.logs.iter().map(|log| log.history)).max()
    }

    /// The furthest position that was archived in one history.
    pub fn archived(&self, history: u64) -> Position {
        let mut position = Position::default();
        for log in self.logs.iter().filter(|log| log.history == history) {
            position.join(&log.after.parse().unwrap_or_default());
        }
        position
    }
}

#[cfg(test)]
pub(super) mod samples;
