//! Troubles that wait for their moment: what chance alone would bring about once in a million years.
//!
//! A *strike* follows at once on a step that matters. An *ambush* needs a machine that stands still while it
//! is primary, and wakes it up in the middle of the election of its successor, when one of the electors was
//! away for a moment.

use database::failover::decision::Action;

use crate::chance::Chance;
use crate::clock::{MS, S, Us};
use crate::faults::{FIRST, Fault, LAST, Planned};
use crate::keeper::number;
use crate::store::Op;
use crate::world::{Event, World};

#[derive(Debug, Default)]
pub(crate) struct Adversary {
    strikes: u32,
    ambush: Option<Ambush>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ambush {
    /// Until somebody campaigns.
    Campaign,
    /// Until somebody promises.
    Promise,
}

/// What becomes of a message to the store in an ambush.
pub(crate) enum Caught {
    No,
    Late(Us),
    Lost,
}

impl Adversary {
    pub(crate) fn new(chance: &mut Chance, freezes: bool) -> Self {
        let strikes = match chance.percent(40) {
            true => u32::try_from(chance.between(1, 6)).unwrap_or(1),
            false => 0,
        };
        let ambush = match (freezes, chance.between(0, 5)) {
            (true, 0) => Some(Ambush::Campaign),
            (true, 1) => Some(Ambush::Promise),
            _ => None,
        };
        Self { strikes, ambush }
    }

    /// The primary it wakes up stands still from then on.
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
        let at = self.now + self.chance.between(0, 20 * MS);
        let planned = Planned { at, lasts, fault };
        self.plan.push(planned);
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

    /// The first primary stands still until the ambush.
    pub(crate) fn lie_in_wait(&mut self) {
        let at = self.chance.between(FIRST, 2 * FIRST);
        let planned = Planned {
            at,
            lasts: LAST - at,
            fault: Fault::FreezeMachine { server: 0 },
        };
        self.plan.push(planned);
        let n = self.plan.len() - 1;
        self.at(at, 0, Event::Trouble(n));
    }

    /// A message of `server` on its way to the store.
    pub(crate) fn caught(&mut self, server: usize, op: &Op) -> Caught {
        if self.now >= LAST - 5 * S || self.server(0).frozen_until <= self.now {
            return Caught::No;
        }
        match (self.adversary.ambush, op) {
            (Some(Ambush::Campaign), Op::PutState(next))
                if number(&next.primary) == server && !next.is_open() =>
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
                if record.stopped_for.is_some() && server != 0 =>
            {
                self.adversary.ambush = None;
                self.comes_back(server);
                let late = self.chance.between(S, 2500 * MS);
                let until = self.now + late + 500 * MS;
                self.at_server(server).mute_until = until;
                self.wake_up(300 * MS, late);
                Caught::Late(late)
            }
            (_, Op::PutRecord { .. }) if self.now < self.server(server).mute_until => Caught::Lost,
            _ => Caught::No,
        }
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
