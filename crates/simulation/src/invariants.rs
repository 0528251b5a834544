//! What must hold at every moment.

use std::collections::BTreeSet;

use database::record::{StateRecord, SyncSet};

use crate::keeper::number;
use crate::world::World;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    writers: Vec<usize>,
}

impl World {
    /// One server at most takes writes. Where whole machines stand still (their fence too), one that
    /// wakes takes some before it is ended, and nobody acknowledges them.
    pub(crate) fn look_at_writers(&mut self) -> Result<(), String> {
        self.fall_back();
        let now = self.now;
        self.watch.writers.clear();
        for (n, server) in self.servers.iter().enumerate() {
            let engine = &server.engine;
            if server.up && now >= server.frozen_until && engine.answers(now) && !engine.read_only {
                self.watch.writers.push(n);
            }
        }
        match self.watch.writers.as_slice() {
            [one, other, ..] if !self.freezes => Err(format!(
                "db-{} and db-{} take writes at once",
                one + 1,
                other + 1
            )),
            _ => Ok(()),
        }
    }

    /// Generations and revisions only grow, and a new writer has everything that was acknowledged.
    pub(crate) fn state_written(
        &mut self,
        server: usize,
        before: Option<&StateRecord>,
        next: &StateRecord,
    ) -> Result<(), String> {
        let Some(before) = before else {
            return Ok(());
        };
        if next.generation < before.generation {
            return Err(format!(
                "generation {} follows {}",
                next.generation, before.generation
            ));
        }
        if next.generation == before.generation && next.primary != before.primary {
            return Err(format!("generation {} has two primaries", next.generation));
        }
        if next.generation > before.generation {
            self.outcome.changes += 1;
        }
        self.note(server, || {
            format!(
                "has written r{} g{} {} set {}",
                next.revision, next.generation, next.primary, next.sync_set
            )
        });
        if next.writer != before.writer && next.sync_set != SyncSet::Async {
            return self.has_everything(number(&next.writer));
        }
        Ok(())
    }

    /// Every acknowledged write is in the log of `server`.
    pub(crate) fn has_everything(&self, server: usize) -> Result<(), String> {
        let log: BTreeSet<u64> = self
            .server(server)
            .engine
            .log
            .iter()
            .map(|t| t.id)
            .collect();
        let lost: Vec<u64> = self
            .ledger
            .acknowledged()
            .difference(&log)
            .copied()
            .collect();
        match lost.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "db-{} is primary and lacks acknowledged writes: {lost:?}",
                server + 1
            )),
        }
    }
}
