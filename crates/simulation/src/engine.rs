//! Pure: a database server as far as replication goes, as MariaDB 10.11 was measured to behave:
//! AFTER_SYNC; a commit waits for one acknowledgement, whosever; what a replica received and did not apply
//! is gone when it restarts; a server that starts is read-only and receives nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mysql::gtid::mariadb::{Gtid, Position};

use crate::clock::Us;

/// A transaction. Its sequence number is its place in the log, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Txn {
    pub server: usize,
    pub id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    Stopped,
    Connecting,
    Running,
}

/// A replica's side.
#[derive(Debug, Clone)]
pub struct Replication {
    pub source: usize,
    pub io: Io,
    pub applies: bool,
    /// The source does not have what this replica has.
    pub diverged: bool,
    pub by_gtid: bool,
    /// What it receives does not fit its data.
    pub broken: bool,
    pub connection: u64,
    pub relay: VecDeque<Txn>,
}

/// A primary's side of one connection.
#[derive(Debug, Clone)]
pub struct Dump {
    pub connection: u64,
    /// Transactions sent so far.
    pub sent: usize,
}

#[derive(Debug, Clone)]
pub struct Engine {
    pub running: bool,
    /// Counts starts: what was meant for an earlier life is not for this one.
    pub life: u64,
    /// Stopped by a signal, or with its machine: it neither answers nor works.
    pub frozen_until: Us,
    pub log: Vec<Txn>,
    pub slave_pos: Position,
    /// Transactions before this one came with copied data.
    pub copied: usize,
    pub start_from: bool,
    pub read_only: bool,
    pub semi_sync: bool,
    pub locked: BTreeSet<usize>,
    pub replication: Option<Replication>,
    pub dumps: BTreeMap<usize, Dump>,
    /// Commits that wait for an acknowledgement: place in the log, transaction, since when.
    pub waiting: Vec<(usize, u64, Us)>,
    pub cannot_start_until: Us,
    pub slow_until: Us,
}

pub fn server_id(server: usize) -> u32 {
    u32::try_from(server).unwrap_or(0) + 101
}

impl Engine {
    pub fn new() -> Self {
        Self {
            running: false,
            life: 0,
            frozen_until: 0,
            log: Vec::new(),
            slave_pos: Position::default(),
            copied: 0,
            start_from: false,
            read_only: true,
            semi_sync: false,
            locked: BTreeSet::new(),
            replication: None,
            dumps: BTreeMap::new(),
            waiting: Vec::new(),
            cannot_start_until: 0,
            slow_until: 0,
        }
    }

    pub fn answers(&self, now: Us) -> bool {
        self.running && now >= self.frozen_until
    }

    /// SIGKILL, or the machine's end. The log is on disk, a commit that waited in it too.
    pub fn kill(&mut self) {
        self.running = false;
        self.life += 1;
        self.read_only = true;
        self.semi_sync = false;
        self.frozen_until = 0;
        self.waiting.clear();
        self.dumps.clear();
        if let Some(replication) = &mut self.replication {
            replication.relay.clear();
            replication.io = Io::Stopped;
            replication.connection = 0;
            replication.applies = false;
        }
    }

    pub fn start(&mut self) {
        self.running = true;
    }

    pub fn gtid(&self, place: usize) -> Option<Gtid> {
        let txn = self.log.get(place.checked_sub(1)?)?;
        Some(gtid(txn, place))
    }

    /// Where it goes on receiving: after what its relay log has, or after what it applied.
    pub fn place(&self) -> usize {
        let relay = self.replication.as_ref().map_or(0, |r| r.relay.len());
        match relay {
            0 => self
                .slave_pos
                .gtids()
                .first()
                .map_or(0, |gtid| gtid.sequence as usize),
            _ => self.received(),
        }
    }

    /// The position it asks its source to begin after.
    pub fn asks_from(&self, received: &Position) -> Position {
        let relay = self
            .replication
            .as_ref()
            .is_some_and(|r| !r.relay.is_empty());
        match relay {
            true => received.clone(),
            false => self.slave_pos.clone(),
        }
    }

    pub fn position_at(&self, place: usize) -> Position {
        position(self.gtid(place))
    }

    /// Written by its keeper, before anybody follows.
    pub fn log_own(&mut self, me: usize, id: u64) {
        self.log.push(Txn { server: me, id });
    }

    pub fn binlog_pos(&self) -> Position {
        position(self.gtid(self.log.len()))
    }

    /// What was received: applied or in the relay log.
    pub fn received(&self) -> usize {
        let relay = self.replication.as_ref().map_or(0, |r| r.relay.len());
        self.log.len() + relay
    }

    pub fn received_pos(&self) -> Position {
        let last = self.replication.as_ref().and_then(|r| r.relay.back());
        match last {
            Some(txn) => position(Some(gtid(txn, self.received()))),
            None => self.binlog_pos(),
        }
    }

    /// The last transaction committed here and not received.
    pub fn own(&self, me: usize) -> Option<Gtid> {
        let place = self.log.iter().rposition(|txn| txn.server == me)?;
        (place >= self.copied).then(|| self.gtid(place + 1))?
    }

    /// A client's write; its place in the log. `None`: refused.
    pub fn write(&mut self, me: usize, id: u64, now: Us) -> Option<usize> {
        if self.read_only || !self.answers(now) {
            return None;
        }
        self.log.push(Txn { server: me, id });
        if self.semi_sync {
            self.waiting.push((self.log.len(), id, now));
        }
        Some(self.log.len())
    }

    /// An acknowledgement of everything up to `place`: the writes that are acknowledged by it.
    pub fn acknowledged(&mut self, place: usize) -> Vec<u64> {
        let (done, waiting) = self.waiting.iter().partition(|(at, ..)| *at <= place);
        self.waiting = waiting;
        let done: Vec<(usize, u64, Us)> = done;
        done.into_iter().map(|(_, id, _)| id).collect()
    }

    pub fn apply(&mut self, most: usize) {
        let Some(replication) = self.replication.as_mut().filter(|r| r.applies) else {
            return;
        };
        for _ in 0..most {
            let Some(txn) = replication.relay.pop_front() else {
                break;
            };
            self.log.push(txn);
            self.slave_pos.advance(gtid(&txn, self.log.len()));
        }
    }

    pub fn stop_receiving(&mut self) {
        if let Some(replication) = &mut self.replication {
            replication.io = Io::Stopped;
            replication.connection = 0;
        }
    }

    /// The relay log is kept.
    pub fn apply_received(&mut self) {
        if let Some(replication) = &mut self.replication {
            replication.applies = !replication.broken;
            if replication.io == Io::Stopped {
                replication.by_gtid = false;
            }
        }
    }

    pub fn promote(&mut self) {
        self.replication = None;
    }

    /// CHANGE MASTER: relay logs are thrown away.
    pub fn follow(&mut self, source: usize, was_primary: bool) {
        if was_primary {
            self.slave_pos = self.binlog_pos();
        }
        self.start_from = false;
        self.replication = Some(Replication {
            source,
            io: Io::Connecting,
            applies: true,
            diverged: false,
            by_gtid: true,
            broken: false,
            connection: 0,
            relay: VecDeque::new(),
        });
    }

    /// START SLAVE with both threads stopped fetches everything anew.
    pub fn start_replication(&mut self) {
        if let Some(replication) = &mut self.replication {
            if replication.io == Io::Stopped && !replication.applies {
                replication.relay.clear();
            }
            replication.applies = !replication.broken;
            if replication.io == Io::Stopped {
                replication.io = Io::Connecting;
            }
        }
    }

    /// Its data is a copy of `source`'s.
    pub fn copy_of(&mut self, source: &Self) {
        self.log.clone_from(&source.log);
        self.copied = self.log.len();
        self.slave_pos = source.binlog_pos();
        self.replication = None;
        self.start_from = true;
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

fn gtid(txn: &Txn, place: usize) -> Gtid {
    Gtid {
        domain: 0,
        server: server_id(txn.server),
        sequence: place as u64,
    }
}

fn position(gtid: Option<Gtid>) -> Position {
    let mut position = Position::default();
    if let Some(gtid) = gtid {
        position.advance(gtid);
    }
    position
}
