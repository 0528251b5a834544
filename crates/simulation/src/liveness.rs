//! What must come about: when the troubles are over, a primary that takes writes, and others that have
//! them; and then, when that primary is lost for good, another.

use database::record::SyncSet;

use crate::clock::{MS, S, Us};
use crate::event::Event;
use crate::faults::LAST;
use crate::keeper::number;
use crate::world::World;

/// Pauses between many failovers are a minute at most; between two rebuilds too.
const PATIENCE: Us = 200 * S;

/// Looks in a row, a quarter of a second each.
const STEADY: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Troubles,
    /// Writes after this one count; `redundant`: looks in a row.
    Healed {
        since: Us,
        after: u64,
        redundant: u32,
    },
    /// The primary of then is gone for good.
    Lost {
        since: Us,
        after: u64,
        who: usize,
    },
    Over,
}

impl World {
    pub(crate) fn liveness(&mut self) -> Result<(), String> {
        match self.stage {
            Stage::Troubles => self.heal(),
            Stage::Healed {
                since,
                after,
                redundant,
            } => self.settle(since, after, redundant)?,
            Stage::Lost { since, after, who } => self.succeed(since, after, who)?,
            Stage::Over => {}
        }
        self.later(250 * MS, 0, Event::Look);
        Ok(())
    }

    fn heal(&mut self) {
        debug_assert!(self.now >= LAST);
        self.network.heal();
        self.store_down_until = 0;
        self.store.request.paused = false;
        for server in 0..self.servers.len() {
            let at = self.at_server(server);
            at.frozen_until = 0;
            at.paused_until = 0;
            at.engine.frozen_until = 0;
            at.engine.cannot_start_until = 0;
            at.engine.slow_until = 0;
            self.thaw(server);
            self.later(0, server, Event::MachineBack);
        }
        self.tell_all();
        let after = self.ledger.last();
        self.trace.note(self.now, || "*** all is mended".to_owned());
        self.stage = Stage::Healed {
            since: self.now,
            after,
            redundant: 0,
        };
    }

    /// Who takes writes, when a client was told so.
    fn serves(&self, after: u64) -> Option<usize> {
        let state = self.store.state.as_ref()?;
        let primary = number(&state.primary);
        let at = self.server(primary);
        let takes = at.up && at.engine.answers(self.now) && !at.engine.read_only;
        (state.is_open() && takes && self.ledger.since(after)).then_some(primary)
    }

    fn settle(&mut self, since: Us, after: u64, redundant: u32) -> Result<(), String> {
        let late = self.now - since > PATIENCE;
        let Some(primary) = self.serves(after) else {
            return self.stall(late, "nobody takes writes");
        };
        // For a while: nothing is under way any more that would change it.
        if !late && redundant < STEADY {
            let redundant = match self.is_redundant(primary) {
                true => redundant + 1,
                false => 0,
            };
            self.stage = Stage::Healed {
                since,
                after,
                redundant,
            };
            return Ok(());
        }
        self.keeps(primary)?;
        // With nobody else that has everything, nobody may take over.
        if !self.is_redundant(primary) {
            self.stage = Stage::Over;
            return Ok(());
        }
        self.trace
            .note(self.now, || format!("*** db-{} is lost", primary + 1));
        self.power_off(primary);
        self.stage = Stage::Lost {
            since: self.now,
            after: self.ledger.last(),
            who: primary,
        };
        Ok(())
    }

    fn succeed(&mut self, since: Us, after: u64, who: usize) -> Result<(), String> {
        let Some(primary) = self.serves(after).filter(|primary| *primary != who) else {
            return self.stall(self.now - since > PATIENCE, "nobody succeeds");
        };
        self.keeps(primary)?;
        self.stage = Stage::Over;
        Ok(())
    }

    fn keeps(&self, primary: usize) -> Result<(), String> {
        match self.site.acknowledged {
            true => self.has_everything(primary),
            false => Ok(()),
        }
    }

    /// Others have what the primary has, and the state says who.
    fn is_redundant(&self, primary: usize) -> bool {
        let Some(state) = &self.store.state else {
            return false;
        };
        let log = self.server(primary).engine.log.len();
        let near = |server: usize| {
            let at = self.server(server);
            if !at.up || !at.engine.answers(self.now) {
                return false;
            }
            let replication = self.server(server).engine.replication.as_ref();
            replication.is_some_and(|r| r.source == primary && !r.broken)
                && self.server(server).engine.received() + 5 >= log
                && self.keeper(server).memory.whole
        };
        match &state.sync_set {
            SyncSet::Members(set) => !set.is_empty() && set.iter().all(|name| near(number(name))),
            SyncSet::Async => (0..self.servers.len()).any(near),
        }
    }

    fn stall(&mut self, late: bool, what: &str) -> Result<(), String> {
        self.stalls = late;
        match late {
            true => Err(format!("{what}: {:?}", self.store.state)),
            false => Ok(()),
        }
    }
}
