//! Troubles that wait for their moment: what chance alone would bring about once in a million years.
//!
//! A *strike* follows at once on a step that matters. An *ambush* is a course of things by which a rule that
//! looks superfluous turns out not to be.

use database::failover::decision::Action;
use database::record::{StateRecord, SyncSet};

use crate::chance::Chance;
use crate::clock::{MS, S, Us};
use crate::event::Event;
use crate::faults::{FIRST, Fault, LAST, Planned};
use crate::keeper::number;
use crate::network::Node;
use crate::store::Op;
use crate::world::World;

#[derive(Debug, Default)]
pub(crate) struct Adversary {
    strikes: u32,
    ambush: Option<Ambush>,
}

/// What it waits for, and what follows. The primary is server 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambush {
    /// The primary's machine stands still until somebody campaigns; then it wakes up, and an elector was away
    /// for a moment.
    Campaign,
    /// It stands still until somebody promises, who is away for a moment; the promise arrives late.
    Promise,
    /// The answer to a renewal is late, and it is the last that gets through.
    Renewal,
    /// The primary's lease has run out and it is back; who had promised receives again, alone, and is cut off
    /// from the store; then the primary is lost.
    Resume,
    /// One is taken out of the sync set and is back before the store has written it; then all others lose the
    /// primary, and the primary is lost.
    Removal,
    /// One applies slowly; another, that applied more, loses the primary; then the primary is lost.
    Lag,
}

impl Ambush {
    /// Machines have to stand still for it.
    pub(crate) fn freezes(self) -> bool {
        matches!(self, Self::Campaign | Self::Promise)
    }
}

/// What becomes of a message to the store in an ambush.
pub(crate) enum Caught {
    No,
    Late(Us),
    Lost,
}

impl Adversary {
    pub(crate) fn new(chance: &mut Chance, freezes: bool, servers: usize) -> Self {
        let strikes = match chance.percent(40) {
            true => u32::try_from(chance.between(1, 6)).unwrap_or(1),
            false => 0,
        };
        let ambush = match (freezes, chance.between(0, 7)) {
            (true, 0) => Some(Ambush::Campaign),
            (true, 1) => Some(Ambush::Promise),
            (_, 2) if !freezes => Some(Ambush::Renewal),
            (_, 3) if servers > 2 => Some(Ambush::Resume),
            (_, 4) if servers > 2 => Some(Ambush::Removal),
            (_, 5) if servers > 2 => Some(Ambush::Lag),
            _ => None,
        };
        Self { strikes, ambush }
    }

    /// With that and nothing else.
    pub(crate) fn only(ambush: Ambush) -> Self {
        Self {
            strikes: 0,
            ambush: Some(ambush),
        }
    }

    pub(crate) fn lies_in_wait(&self) -> bool {
        self.ambush.is_some()
    }
}

impl World {
    /// A step that matters was done by `server`.
    pub(crate) fn strike(&mut self, server: usize) {
        let in_time = self.now >= FIRST && self.now < LAST - 5 * S;
        if self.adversary.strikes == 0 || !in_time || !self.chance.percent(10) {
            return;
        }
        self.adversary.strikes -= 1;
        let primary = self
            .store
            .state
            .as_ref()
            .map(|state| number(&state.primary));
        let victim = match self.chance.between(0, 3) {
            0 => primary.unwrap_or(server),
            1 => self.chance.index(self.servers.len()),
            _ => server,
        };
        let fault = match self.chance.between(0, 8) {
            0 | 1 => Fault::Crash { server: victim },
            2 => Fault::KillEngine { server: victim },
            3 | 4 => Fault::CutFromStore {
                server: victim,
                there: true,
                back: self.chance.percent(30),
            },
            5 => Fault::Isolate { server: victim },
            6 if self.freezes => Fault::FreezeMachine { server: victim },
            _ => Fault::PauseKeeper { server: victim },
        };
        let lasts = match self.chance.percent(50) {
            true => self.chance.between(20 * MS, S),
            false => self.chance.between(S, 9 * S),
        };
        let wait = self.chance.between(0, 20 * MS);
        self.planned(wait, lasts, fault);
    }

    fn planned(&mut self, wait: Us, lasts: Us, fault: Fault) {
        let at = self.now + wait;
        self.plan.push(Planned { at, lasts, fault });
        let n = self.plan.len() - 1;
        self.at(at, 0, Event::Trouble(n));
        self.at((at + lasts).min(LAST), 0, Event::Relief(n));
    }

    pub(crate) fn is_decisive(action: &Action) -> bool {
        matches!(
            action,
            Action::StopReceiving(_)
                | Action::StartReplication(_)
                | Action::Follow { .. }
                | Action::SemiSync(..)
                | Action::LockOut(..)
                | Action::LetIn(..)
                | Action::Promote(_)
                | Action::SetWritable(_)
        )
    }

    /// What has to be the case first.
    pub(crate) fn lie_in_wait(&mut self) {
        let at = self.chance.between(FIRST, 2 * FIRST);
        match self.adversary.ambush {
            None | Some(Ambush::Renewal) => {}
            Some(Ambush::Campaign | Ambush::Promise) => {
                self.planned(at, LAST - at, Fault::FreezeMachine { server: 0 });
            }
            Some(Ambush::Resume) => {
                let lasts = self.chance.between(5200 * MS, 7 * S);
                let cut = Fault::CutFromStore {
                    server: 0,
                    there: true,
                    back: true,
                };
                self.planned(at, lasts, cut);
            }
            Some(Ambush::Lag) => {
                self.planned(at, 10 * S, Fault::SlowApply { server: 1 });
                let cut = Fault::CutPair {
                    a: 0,
                    b: 2,
                    there: true,
                    back: false,
                };
                let later = at + self.chance.between(300 * MS, 3 * S);
                self.planned(later, 10 * S, cut);
                let crash = later + self.chance.between(100 * MS, 2500 * MS);
                self.planned(crash, LAST, Fault::Crash { server: 0 });
            }
            Some(Ambush::Removal) => {
                let cut = Fault::CutPair {
                    a: 0,
                    b: 1,
                    there: true,
                    back: true,
                };
                self.planned(at, 10 * S, cut);
            }
        }
    }

    /// A message of `server` on its way to the store.
    pub(crate) fn caught(&mut self, server: usize, op: &Op) -> Caught {
        if matches!(op, Op::PutRecord { .. }) && self.now < self.server(server).mute_until {
            return Caught::Lost;
        }
        if self.now >= LAST - 5 * S {
            return Caught::No;
        }
        let stands_still = self.now < self.server(0).frozen_until;
        match (self.adversary.ambush, op) {
            (Some(Ambush::Campaign), Op::PutState(next))
                if stands_still && number(&next.primary) == server && !next.is_open() =>
            {
                self.adversary.ambush = None;
                let other = (1..self.servers.len()).find(|other| *other != server);
                if let Some(other) = other.filter(|_| self.chance.percent(60)) {
                    self.comes_back(other);
                }
                self.wake_up(200 * MS, 950 * MS);
                Caught::Late(self.chance.between(600 * MS, 990 * MS))
            }
            (Some(Ambush::Promise), Op::PutRecord { record, .. })
                if stands_still && record.stopped_for.is_some() =>
            {
                self.adversary.ambush = None;
                self.comes_back(server);
                let late = self.chance.between(2 * S, 5 * S);
                self.at_server(server).mute_until = self.now + late + 500 * MS;
                self.wake_up(late - 500 * MS, late + 200 * MS);
                Caught::Late(late)
            }
            (Some(Ambush::Removal), Op::PutState(next)) if self.takes_out(next) => {
                self.adversary.ambush = None;
                let late = self.chance.between(1050 * MS, 2 * S);
                self.network.mend(Node::Server(0), Node::Server(1));
                let after = late + self.chance.between(0, 300 * MS);
                self.at(self.now + late, 0, Event::Alone(1));
                self.planned(after, LAST, Fault::Crash { server: 0 });
                Caught::Late(late)
            }
            _ => Caught::No,
        }
    }

    /// Somebody, and somebody stays.
    fn takes_out(&self, next: &StateRecord) -> bool {
        let before = self.store.state.as_ref().map(|state| &state.sync_set);
        match (before, &next.sync_set) {
            (Some(SyncSet::Members(before)), SyncSet::Members(after)) => {
                !after.is_empty() && after.len() < before.len() && number(&next.primary) == 0
            }
            _ => false,
        }
    }

    /// How late the answer to a renewal is.
    pub(crate) fn answers_late(&mut self, server: usize, next: &StateRecord) -> Us {
        let due = self.now >= FIRST && self.now < LAST - 10 * S;
        let is_it = self.adversary.ambush == Some(Ambush::Renewal) && next.is_open();
        if !due || !is_it || !self.chance.percent(20) {
            return 0;
        }
        self.adversary.ambush = None;
        let cut = Fault::CutFromStore {
            server,
            there: true,
            back: false,
        };
        self.planned(0, 9 * S, cut);
        self.chance.between(600 * MS, 980 * MS)
    }

    /// A replica receives again.
    pub(crate) fn resumes(&mut self, server: usize) {
        let had_promised = self.keeper(server).memory.promised.is_some();
        let in_time = self.now < LAST - 5 * S;
        let is_it = self.adversary.ambush == Some(Ambush::Resume) && had_promised && server != 0;
        if !is_it || !in_time {
            return;
        }
        self.adversary.ambush = None;
        let cut = Fault::CutFromStore {
            server,
            there: true,
            back: true,
        };
        self.planned(0, 20 * S, cut);
        self.at(self.now, 0, Event::Alone(server));
        let wait = self.chance.between(300 * MS, 2500 * MS);
        self.planned(wait, LAST, Fault::Crash { server: 0 });
    }

    /// Nobody but `with` hears the primary.
    pub(crate) fn is_alone(&mut self, with: usize) {
        let until = self.now + 3 * S;
        for other in (1..self.servers.len()).filter(|other| *other != with) {
            self.network
                .cut(Node::Server(0), Node::Server(other), until);
        }
        self.network.cut(Node::Store, Node::Server(0), until);
    }

    /// Off and on again.
    fn comes_back(&mut self, server: usize) {
        self.trace.note(self.now, || {
            format!("*** db-{} is off and on again", server + 1)
        });
        self.power_off(server);
        self.later(20 * MS, server, Event::MachineBack);
    }

    fn wake_up(&mut self, from: Us, to: Us) {
        let at = self.now + self.chance.between(from, to.max(from + 1));
        self.at(at, 0, Event::WakeUp);
    }

    pub(crate) fn wakes_up(&mut self, server: usize) {
        self.trace
            .note(self.now, || format!("*** db-{} wakes up", server + 1));
        self.at_server(server).frozen_until = 0;
        self.thaw(server);
        // The worst moment: all who look for it find it, and clients are there.
        for other in (0..self.servers.len()).filter(|other| *other != server) {
            self.watch_link(other);
        }
        for _ in 0..4 {
            let at = self.now + self.chance.between(0, 60 * MS);
            self.at(at, 0, Event::Client);
        }
    }
}
