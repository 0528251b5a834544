//! Pure: what a keeper remembers from one look to the next, and what it makes of it. All of it goes into
//! the View with every look; nothing else is remembered anywhere.

use std::collections::BTreeMap;

use mysql::gtid::mariadb::Position;
use site::name::MemberName;

use super::decision::{Action, Put};
use super::view::{Engine, Held, Io, Peer, Status, Store, Time};
use crate::record::{Generation, Lease, Obeyed, RequestRecord, StateRecord, SyncSet, Wanted};

/// Of one life of a keeper.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    seen: Option<(u64, Time)>,
    pub held: Option<Held>,
    pub promised: Option<u64>,
    pub whole: bool,
    /// The state when the server was looked at first after its start.
    started_at: Option<(Generation, u64)>,
    pub unfit_since: Option<Time>,
    pub away: BTreeMap<MemberName, Time>,
    pub barrier: Option<Position>,
    switching: Option<(Wanted, Time)>,
    /// Its relay logs hold all up to here, and the server does not say so any more.
    to_apply: Option<Position>,
}

/// How a write of the state ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Written,
    /// Certainly not written.
    Refused,
    /// It may have been written, or may be later.
    Unknown,
}

/// What a look saw.
#[derive(Debug)]
pub struct Look<'a> {
    pub me: &'a MemberName,
    pub others: &'a [MemberName],
    pub store: &'a Store,
    pub obeyed: Option<&'a Obeyed>,
    pub engine: &'a Engine,
    pub peers: &'a BTreeMap<MemberName, Peer>,
    pub request: &'a RequestRecord,
}

impl Memory {
    /// When the revision in the store was first seen.
    pub fn seen_at(&self) -> Time {
        self.seen.map_or(Time::default(), |(_, at)| at)
    }

    pub fn switching_since(&self) -> Option<Time> {
        self.switching.as_ref().map(|(_, since)| *since)
    }

    /// A promise that stands in the store, of whatever life.
    pub fn recall(&mut self, promised: Option<u64>) {
        self.promised = self.promised.max(promised);
    }

    /// After a look, before everything else: what the server does not know of itself.
    pub fn complete(&self, engine: &mut Engine) {
        if let Some(position) = &self.to_apply
            && let Engine::Answers(status) = engine
            && let Some(replication) = &mut status.replication
        {
            replication.received.join(position);
        }
    }

    /// After a look, before the decision. The store was read before the server was asked.
    pub fn looked(&mut self, look: &Look<'_>, now: Time) {
        let state = match look.store {
            Store::Names(state) => Some(state.as_ref()),
            Store::Empty | Store::Unusable(_) => None,
        };
        if let Some(state) = state
            && self
                .seen
                .is_none_or(|(revision, _)| revision != state.revision)
        {
            self.seen = Some((state.revision, now));
        }
        let Engine::Answers(status) = look.engine else {
            self.unfit_since.get_or_insert(now);
            return;
        };
        self.unfit_since = None;
        if let Some(state) = state {
            self.judge_whole(look, state, status);
        }
        self.watch_others(look, state, status, now);
        self.watch_switchover(look, status, now);
    }

    /// A server that was restarted has lost the relay logs that it had not applied, acknowledged ones
    /// too. It has them again when it has received what the primary looked up for its second write after,
    /// or a later one: that was looked up after the restart.
    fn judge_whole(&mut self, look: &Look<'_>, state: &StateRecord, status: &Status) {
        let Some((_, revision)) = self.started_at else {
            let obeyed = look
                .obeyed
                .map_or(Generation(0), |obeyed| obeyed.generation);
            self.started_at = Some((state.generation.max(obeyed), state.revision));
            return;
        };
        let position: Position = state.position.parse().unwrap_or_default();
        if state.is_open()
            && state.primary != *look.me
            && state.position_of >= revision + 2
            && status.received().contains(&position)
        {
            self.whole = true;
        }
    }

    /// A connection may be there for a quarter of an hour after its other end is gone (tcp(7)), so the
    /// other end is asked too.
    fn watch_others(
        &mut self,
        look: &Look<'_>,
        state: Option<&StateRecord>,
        status: &Status,
        now: Time,
    ) {
        let revision = state.map_or(0, |state| state.revision);
        for name in look.others {
            let hears = look
                .peers
                .get(name)
                .is_some_and(|peer| peer.linked && peer.is_current(revision));
            if status.connected.contains(name) && hears {
                self.away.remove(name);
            } else {
                self.away.entry(name.clone()).or_insert(now);
            }
        }
        self.barrier
            .get_or_insert_with(|| status.binlog_pos.clone());
    }

    fn watch_switchover(&mut self, look: &Look<'_>, status: &Status, now: Time) {
        let wanted = look.request.switchover.as_ref();
        if self.switching.as_ref().map(|(wanted, _)| wanted) != wanted {
            self.switching = None;
        }
        if let Some(wanted) = wanted
            && self.switching.is_none()
            && status.read_only
            && self.held.is_some()
        {
            self.switching = Some((wanted.clone(), now));
        }
    }

    /// A server has been started: what it had acknowledged and not applied is gone.
    pub fn engine_started(&mut self) {
        self.whole = false;
        self.started_at = None;
        self.barrier = None;
        self.to_apply = None;
        self.away.clear();
    }

    /// `sent`: before the write was sent.
    pub fn put(&mut self, why: Put, next: &StateRecord, sent: Time, outcome: Outcome) {
        match outcome {
            Outcome::Written if next.lease == Lease::Released || why == Put::HandOver => {
                self.held = None;
            }
            Outcome::Written => {
                self.held = Some(Held {
                    revision: next.revision,
                    sent,
                    settled: true,
                });
            }
            Outcome::Refused => {}
            Outcome::Unknown => {
                if let Some(held) = &mut self.held {
                    held.settled = false;
                }
            }
        }
        // Others may have written their acknowledgements off by the set before.
        if why == Put::Open || matches!(next.sync_set, SyncSet::Async) {
            self.barrier = None;
        }
    }

    /// `status`: what the server said before.
    pub fn did(&mut self, action: &Action, status: Option<&Status>) {
        match action {
            Action::StopReceiving(revision) => self.promised = Some(*revision),
            Action::LockOut(..) | Action::SemiSync(..) => self.barrier = None,
            Action::LetIn(_, member) => {
                self.barrier = None;
                self.away.remove(member);
            }
            Action::ApplyReceived(_) => self.to_apply = status.map(Status::received),
            Action::Follow { generation, .. } => {
                self.to_apply = None;
                self.follows(*generation);
            }
            // Both threads stopped: the server throws its relay logs away and fetches them anew.
            Action::StartReplication(_) => {
                let replication = status.and_then(|status| status.replication.as_ref());
                if replication.is_some_and(|r| !r.sql_running && r.io == Io::Stopped) {
                    self.whole = false;
                    self.started_at = None;
                }
            }
            _ => {}
        }
    }

    /// What it acknowledges in a new generation, it acknowledges in this life of its server, and the
    /// primary has all there was before. In the same generation its relay logs are thrown away.
    fn follows(&mut self, generation: Generation) {
        match &mut self.started_at {
            Some((started, _)) if generation > *started => {
                *started = generation;
                self.whole = true;
            }
            started => {
                *started = None;
                self.whole = false;
            }
        }
    }
}
