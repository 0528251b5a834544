//! Pure: clients that write wherever a server takes it, and the ledger of what they were told.

use std::collections::BTreeSet;

/// What was acknowledged to clients.
#[derive(Debug, Default)]
pub struct Ledger {
    next: u64,
    acknowledged: BTreeSet<u64>,
    pub refused: u64,
}

impl Ledger {
    /// A transaction that nobody wrote before.
    pub fn new_write(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn acknowledge(&mut self, id: u64) {
        self.acknowledged.insert(id);
    }

    pub fn acknowledged(&self) -> &BTreeSet<u64> {
        &self.acknowledged
    }
}
