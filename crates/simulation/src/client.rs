//! Pure: the ledger of what clients were told.

use std::collections::BTreeSet;

/// What was acknowledged to clients. The keepers' own writes have numbers too, and nobody waits for them.
#[derive(Debug, Default)]
pub struct Ledger {
    next: u64,
    own: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
}

impl Ledger {
    /// A transaction that nobody wrote before.
    pub fn new_write(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One that no client waits for.
    pub fn own_write(&mut self) -> u64 {
        let id = self.new_write();
        self.own.insert(id);
        id
    }

    /// Whether a client was waiting for it.
    pub fn acknowledge(&mut self, id: u64) -> bool {
        !self.own.contains(&id) && self.acknowledged.insert(id)
    }

    pub fn acknowledged(&self) -> &BTreeSet<u64> {
        &self.acknowledged
    }

    /// Has one numbered after `id` been acknowledged?
    pub fn since(&self, id: u64) -> bool {
        self.acknowledged.last().is_some_and(|last| *last > id)
    }

    pub fn last(&self) -> u64 {
        self.next
    }
}
