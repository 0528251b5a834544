//! Pure: the cluster state's store: one copy, compare-and-put. What makes it one copy (etcd's quorum) is
//! not simulated, nor is its lease: nobody relies on it.

use std::collections::BTreeMap;

use database::failover::view::Peer;
use database::record::{RequestRecord, StateRecord};

#[derive(Debug, Default)]
pub struct Store {
    pub state: Option<StateRecord>,
    pub request: RequestRecord,
    /// By server, with its version.
    pub records: Records,
}

pub type Records = BTreeMap<usize, (u64, Peer)>;

#[derive(Debug, Clone)]
pub enum Op {
    ReadState,
    ReadRecords,
    /// Expects the revision before; the first one expects nothing.
    PutState(Box<StateRecord>),
    PutRecord {
        expected: u64,
        record: Box<Peer>,
    },
}

#[derive(Debug, Clone)]
pub enum Reply {
    State(Box<Option<StateRecord>>),
    Records(Box<(Records, RequestRecord)>),
    Written,
    /// Not written: another version is there.
    Conflict(u64),
}

impl Store {
    pub fn apply(&mut self, server: usize, op: Op) -> Reply {
        match op {
            Op::ReadState => Reply::State(Box::new(self.state.clone())),
            Op::ReadRecords => {
                Reply::Records(Box::new((self.records.clone(), self.request.clone())))
            }
            Op::PutState(next) => {
                let revision = self.state.as_ref().map_or(0, |state| state.revision);
                if next.revision != revision + 1 {
                    return Reply::Conflict(revision);
                }
                self.state = Some(*next);
                Reply::Written
            }
            Op::PutRecord { expected, record } => {
                let version = self.records.get(&server).map_or(0, |(version, _)| *version);
                if version != expected {
                    return Reply::Conflict(version);
                }
                self.records.insert(server, (version + 1, *record));
                Reply::Written
            }
        }
    }
}
