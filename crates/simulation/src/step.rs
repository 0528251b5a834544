//! A keeper's round, as `database::keeper::actor` makes it: read, look, announce, decide, act.

use database::failover::decide::decide;
use database::failover::decision::Action;
use database::failover::diagnosis::Diagnosis;
use database::failover::pace;

use crate::clock::{MS, S};
use crate::event::Event;
use crate::keeper::{self, Acting, Phase, name};
use crate::sabotage::{self, Rule};
use crate::store::{Op, Reply};
use crate::world::World;

/// `engine::admin::LOOK`
const LOOK: u64 = 2 * S;

impl World {
    /// The keeper's next round begins then; an earlier plan is off.
    fn next_round(&mut self, server: usize, at: u64) {
        let keeper = self.keep(server);
        keeper.phase = Phase::Idle;
        keeper.asked += 1;
        let token = keeper.asked;
        let soon = self.now + MS / 2;
        let at = match std::mem::take(&mut self.keep(server).poked) {
            true => soon,
            false => at.max(soon),
        };
        self.at(at, server, Event::Wake(token));
    }

    /// Something it waits for has happened.
    pub(crate) fn poke(&mut self, server: usize) {
        match self.keeper(server).phase {
            Phase::Idle => {
                let now = self.now;
                self.next_round(server, now);
            }
            _ => self.keep(server).poked = true,
        }
    }

    pub(crate) fn wake(&mut self, server: usize, token: u64) -> Result<(), String> {
        let keeper = self.keep(server);
        if keeper.asked == token && matches!(keeper.phase, Phase::Idle) {
            keeper.phase = Phase::ReadingState;
            self.ask(server, Op::ReadState);
        }
        Ok(())
    }

    pub(crate) fn store_says(
        &mut self,
        server: usize,
        asked: u64,
        reply: Reply,
    ) -> Result<(), String> {
        if self.keeper(server).asked != asked {
            return Ok(());
        }
        let now = self.clock(server);
        let keeper = self.keep(server);
        match (std::mem::replace(&mut keeper.phase, Phase::Idle), reply) {
            (Phase::ReadingState, Reply::State(state)) => {
                keeper.state = Some(*state);
                keeper.looked_at = now;
                keeper.phase = Phase::ReadingRecords;
                self.ask(server, Op::ReadRecords);
                Ok(())
            }
            (Phase::ReadingRecords, Reply::Records(read)) => {
                (keeper.records, keeper.request) = *read;
                let keeps_promises = self.off != Some(Rule::RecallPromises);
                self.keep(server).recall(server, keeps_promises);
                self.ask_engine(server)
            }
            (Phase::Announcing { view, record }, Reply::Written) => {
                keeper.version += 1;
                keeper.written = Some(*record);
                keeper.written_at = Some(now);
                self.decide(server, *view)
            }
            (Phase::Announcing { view, .. }, _) => {
                keeper.written_at = None;
                keeper.recalled = false;
                self.decide(server, *view)
            }
            (Phase::Putting(acting), reply) => {
                self.put_ended(server, acting, Some(matches!(reply, Reply::Written)))
            }
            (phase, reply) => Err(format!("{phase:?} does not expect {reply:?}")),
        }
    }

    /// Its patience is over.
    pub(crate) fn store_silent(&mut self, server: usize, asked: u64) -> Result<(), String> {
        if self.keeper(server).asked != asked {
            return Ok(());
        }
        let now = self.clock(server);
        let keeper = self.keep(server);
        match std::mem::replace(&mut keeper.phase, Phase::Idle) {
            Phase::ReadingState => {
                keeper.state = None;
                keeper.looked_at = now;
                self.ask_engine(server)
            }
            Phase::ReadingRecords => {
                keeper.records.clear();
                self.ask_engine(server)
            }
            Phase::Announcing { view, .. } => {
                keeper.written_at = None;
                self.decide(server, *view)
            }
            Phase::Putting(acting) => self.put_ended(server, acting, None),
            phase => {
                keeper.phase = phase;
                Ok(())
            }
        }
    }

    /// One that stands still keeps the keeper waiting.
    fn ask_engine(&mut self, server: usize) -> Result<(), String> {
        let engine = &self.server(server).engine;
        let wait = match engine.running && self.now < engine.frozen_until {
            true => (engine.frozen_until - self.now).min(LOOK),
            false => self.chance.between(MS / 10, MS),
        };
        self.keep(server).phase = Phase::Asking;
        self.wait(server, wait);
        Ok(())
    }

    pub(crate) fn wait(&mut self, server: usize, wait: u64) {
        let keeper = self.keep(server);
        keeper.asked += 1;
        let token = keeper.asked;
        self.later(wait, server, Event::Waited(token));
    }

    pub(crate) fn waited(&mut self, server: usize, token: u64) -> Result<(), String> {
        let keeper = self.keep(server);
        if keeper.asked != token {
            return Ok(());
        }
        match std::mem::replace(&mut keeper.phase, Phase::Idle) {
            Phase::Asking => self.look(server),
            Phase::Acting(acting) => self.act(server, acting),
            phase => {
                keeper.phase = phase;
                Ok(())
            }
        }
    }

    fn look(&mut self, server: usize) -> Result<(), String> {
        let now = self.now;
        let site = self.site.clone();
        let at = self.at_server(server);
        let mut view = keeper::look(
            &mut at.keeper,
            &site,
            server,
            at.obeyed.as_ref(),
            &at.engine,
            now,
        );
        if self.off == Some(Rule::StopBeforeBeingHeard) {
            sabotage::say_stopped(&mut view);
        }
        let record = keeper::standing(&view, server);
        let keeper = &mut self.at_server(server).keeper;
        if keeper.state.is_none() || !keeper.recalled || !keeper.is_news(&record) {
            return self.decide(server, view);
        }
        let op = Op::PutRecord {
            expected: keeper.version,
            record: Box::new(record.clone()),
        };
        keeper.phase = Phase::Announcing {
            view: Box::new(view),
            record: Box::new(record),
        };
        self.ask(server, op);
        Ok(())
    }

    fn decide(&mut self, server: usize, mut view: keeper::View) -> Result<(), String> {
        let me = name(server);
        let now = self.clock(server);
        let standing = keeper::standing(&view, server);
        let keeper = self.keep(server);
        view.announced =
            keeper.state.is_some() && keeper.recalled && keeper.says(standing.stopped_for);
        sabotage::view(self.off, &mut view, &me, now);
        let mut decision = decide(&view, &me, now);
        sabotage::decision(self.off, &mut decision, &view);
        if matches!(
            decision.diagnosis,
            Diagnosis::Following(_) | Diagnosis::Lagging { .. } | Diagnosis::LagUnknown(_)
        ) {
            let keeper = self.keep(server);
            keeper.starts = keeper.starts.works(now);
        }
        if self.trace.keep {
            let says = format!("{} {:?}", decision.sentence(), short(&decision.actions));
            if says != self.keeper(server).said {
                self.note(server, || says.clone());
                self.keep(server).said = says;
            }
        }
        let acting = Acting {
            view,
            decision,
            next: 0,
            waits: None,
        };
        self.act(server, Box::new(acting))
    }

    /// The actions are done, or one of them failed.
    pub(crate) fn round_ends(&mut self, server: usize, acting: Acting, all_done: bool) {
        let now = self.clock(server);
        let decision = acting.decision;
        let acted = all_done && !decision.actions.is_empty();
        let keeper = self.keep(server);
        let repeated = decision.actions == keeper.last_actions;
        keeper.last_actions.clone_from(&decision.actions);
        let at = match !acted || repeated {
            true => {
                let time = pace::next_look(&decision, now);
                self.server(server).clock.when(time)
            }
            false => self.now,
        };
        self.next_round(server, at);
    }
}

/// For the trace.
fn short(actions: &[Action]) -> Vec<String> {
    let one = |action: &Action| match action {
        Action::PutState(why, next) => format!(
            "put {why:?} r{} g{} primary {} writer {} set {}",
            next.revision, next.generation, next.primary, next.writer, next.sync_set
        ),
        action => format!("{action:?}"),
    };
    actions.iter().map(one).collect()
}
