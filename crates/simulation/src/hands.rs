//! What a keeper's actions do to its server, as `database::act` does it, with the same limits.

use std::time::Duration;

use database::failover::decision::{Action, Put};
use database::failover::lease;
use database::failover::memory::Outcome;
use database::failover::view::{InFlight, Long};
use database::record::StateRecord;

use crate::clock::{MS, S, Us};
use crate::event::Event;
use crate::keeper::{Acting, Phase, number};
use crate::sabotage::Rule;
use crate::store::Op;
use crate::world::World;

/// `act::SOON`, `admin::LOOK`, `admin::CHANGE`
const SOON: Us = 1500 * MS;
const LOOK: Us = 2 * S;
const CHANGE: Us = 30 * S;

/// How an action went.
enum Did {
    Done,
    Failed,
    /// Ask again in a moment, up to this long.
    Waits(Us),
    /// The store is asked.
    Puts(Put, Box<StateRecord>),
}

impl World {
    /// The next action of a round.
    pub(crate) fn act(&mut self, server: usize, mut acting: Box<Acting>) -> Result<(), String> {
        let Some(action) = acting.decision.actions.get(acting.next).cloned() else {
            self.round_ends(server, *acting, true);
            return Ok(());
        };
        let since = acting.waits.map_or(self.now, |(since, _)| since);
        match self.perform(server, &action, &mut acting)? {
            Did::Failed => {
                self.note(server, || format!("{action:?} failed"));
                self.round_ends(server, *acting, false);
            }
            Did::Waits(limit) if self.now - since >= limit => {
                self.note(server, || format!("{action:?} took too long"));
                self.round_ends(server, *acting, false);
            }
            Did::Waits(_) => {
                let place = acting.waits.map_or(0, |(_, place)| place);
                acting.waits = Some((since, place));
                self.keep(server).phase = Phase::Acting(acting);
                self.wait(server, 10 * MS);
            }
            Did::Puts(why, next) => {
                let sent = self.clock(server);
                let keeper = self.keep(server);
                keeper.put_sent = sent;
                keeper.phase = Phase::Putting(acting);
                self.note(server, || format!("writes {why:?}"));
                self.ask(server, Op::PutState(next));
            }
            Did::Done => {
                let now = self.clock(server);
                let keeper = self.keep(server);
                keeper.memory.did(&action, acting.view.status());
                match &action {
                    Action::PrepareAccounts(generation) => {
                        keeper.accounts_for = Some(*generation);
                    }
                    Action::Beat(_) => keeper.last_beat = Some(now),
                    _ => {}
                }
                acting.next += 1;
                acting.waits = None;
                keeper.phase = Phase::Acting(acting);
                if Self::is_decisive(&action) {
                    self.strike(server);
                }
                let took = self.chance.between(MS / 10, 5 * MS);
                self.wait(server, took);
            }
        }
        Ok(())
    }

    /// `written`: `None` when nobody knows.
    pub(crate) fn put_ended(
        &mut self,
        server: usize,
        mut acting: Box<Acting>,
        written: Option<bool>,
    ) -> Result<(), String> {
        let Some(Action::PutState(why, next)) = acting.decision.actions.get(acting.next).cloned()
        else {
            return Err("a write of the state ended that was not begun".to_owned());
        };
        let outcome = match (written, self.off) {
            (Some(true), _) => Outcome::Written,
            (Some(false), _) | (None, Some(Rule::SettleWrites)) => Outcome::Refused,
            (None, _) => Outcome::Unknown,
        };
        let now = self.clock(server);
        // As if nothing had been under way, and with no margin.
        let sent = match self.off {
            Some(Rule::CountFromBeforeSending) => now.after(lease::FENCE_MARGIN),
            _ => self.keeper(server).put_sent,
        };
        let memory = &mut self.keep(server).memory;
        memory.put(why, &next, sent, outcome);
        if outcome == Outcome::Written {
            let deadline = memory.held.as_ref().map(lease::fence_by);
            self.set_deadline(server, deadline);
        }
        if outcome != Outcome::Written {
            self.note(server, || format!("{why:?}: {outcome:?}"));
            self.round_ends(server, *acting, false);
            return Ok(());
        }
        acting.next += 1;
        acting.waits = None;
        self.act(server, acting)
    }

    fn perform(
        &mut self,
        server: usize,
        action: &Action,
        acting: &mut Acting,
    ) -> Result<Did, String> {
        let clock = self.clock(server);
        match action {
            Action::Start => {
                let keeper = self.keep(server);
                keeper.in_flight = Some(InFlight {
                    what: Long::Start,
                    since: clock,
                });
                let takes = self.chance.between(100 * MS, 600 * MS);
                self.later(takes, server, Event::Started);
                return Ok(Did::Done);
            }
            Action::Rebuild { source, .. } => {
                self.kill_engine(server);
                self.outcome.rebuilds += 1;
                let keeper = self.keep(server);
                keeper.rebuilds.push(clock);
                keeper.in_flight = Some(InFlight {
                    what: Long::Rebuild,
                    since: clock,
                });
                let takes = self.chance.between(S, 6 * S);
                let source = number(&source.name);
                self.later(takes, server, Event::Rebuilt(source));
                return Ok(Did::Done);
            }
            Action::Fence => {
                self.kill_engine(server);
                return Ok(Did::Done);
            }
            Action::Obey(obeyed) => {
                let at = self.at_server(server);
                if let Some(before) = &at.obeyed
                    && before.generation > obeyed.generation
                {
                    return Err(format!("db-{} obeys an older generation", server + 1));
                }
                at.obeyed = Some(obeyed.clone());
                return Ok(Did::Done);
            }
            Action::PutState(why, next) => return Ok(Did::Puts(*why, next.clone())),
            _ => {}
        }
        let engine = &self.server(server).engine;
        if !engine.running {
            return Ok(Did::Failed);
        }
        let limit = match action {
            Action::SetReadOnly | Action::Promote(_) | Action::Follow { .. } => CHANGE,
            Action::StartReplication(_) | Action::PrepareAccounts(_) => CHANGE,
            Action::Beat(_) => LOOK,
            _ => SOON,
        };
        if !engine.answers(self.now) {
            return Ok(Did::Waits(limit));
        }
        self.statement(server, action, acting, limit)
    }

    /// On a server that answers.
    fn statement(
        &mut self,
        server: usize,
        action: &Action,
        acting: &mut Acting,
        limit: Us,
    ) -> Result<Did, String> {
        let now = self.now;
        let clock = self.clock(server);
        let off = self.off;
        match action {
            // It waits for commits that wait.
            Action::SetReadOnly | Action::HoldWrites(_) => {
                let engine = self.engine(server);
                if !engine.waiting.is_empty() {
                    return Ok(Did::Waits(limit));
                }
                engine.read_only = true;
            }
            Action::PrepareAccounts(_) => {
                if self.engine(server).log.is_empty() {
                    let id = self.ledger.own_write();
                    self.engine(server).log_own(server, id);
                }
            }
            Action::SetWritable(_) => {
                let allowed = self.keeper(server).deadline.is_some_and(|d| clock < d);
                if !allowed && off != Some(Rule::FenceInTime) {
                    return Ok(Did::Failed);
                }
                self.note(server, || "takes writes".to_owned());
                self.engine(server).read_only = false;
            }
            Action::SemiSync(_, on) => {
                let engine = self.engine(server);
                engine.semi_sync = *on;
                if !on {
                    let all = engine.log.len();
                    for id in engine.acknowledged(all) {
                        self.acknowledge(server, id);
                    }
                }
            }
            Action::LockOut(_, member) => {
                let member = number(member);
                let engine = self.engine(server);
                engine.locked.insert(member);
                engine.dumps.remove(&member);
            }
            Action::LetIn(_, member) => {
                self.engine(server).locked.remove(&number(member));
            }
            Action::StopReceiving(_) if off == Some(Rule::StopBeforeBeingHeard) => {}
            Action::StopReceiving(_) => self.engine(server).stop_receiving(),
            Action::ApplyReceived(_) => {
                let keeper = self.keep(server);
                keeper.starts = keeper.starts.tried(clock);
                self.engine(server).apply_received();
                self.apply_soon(server);
            }
            Action::Promote(_) => self.engine(server).promote(),
            Action::Beat(_) => {
                let place = match acting.waits {
                    Some((_, place)) if place > 0 => place,
                    _ => {
                        let id = self.ledger.own_write();
                        let Some(place) = self.engine(server).write(server, id, now) else {
                            return Ok(Did::Failed);
                        };
                        self.send_log(server);
                        acting.waits = Some((now, place));
                        place
                    }
                };
                let engine = self.engine(server);
                if engine.waiting.iter().any(|(at, ..)| *at == place) {
                    return Ok(Did::Waits(limit));
                }
            }
            Action::Follow {
                source,
                was_primary,
                ..
            } => {
                let source = number(&source.name);
                self.engine(server).follow(source, *was_primary);
                self.watch_link(server);
            }
            Action::StartReplication(_) => {
                let keeper = self.keep(server);
                keeper.starts = keeper.starts.tried(clock);
                self.engine(server).start_replication();
                self.resumes(server);
                self.watch_link(server);
                self.apply_soon(server);
            }
            other => return Err(format!("{other:?} is no statement")),
        }
        Ok(Did::Done)
    }

    fn set_deadline(&mut self, server: usize, deadline: Option<database::failover::view::Time>) {
        self.keep(server).deadline = deadline;
        if let Some(deadline) = deadline {
            let at = self.server(server).clock.when(deadline);
            self.at(at, server, Event::Fence(deadline));
        }
    }

    /// The fence's own thread.
    pub(crate) fn fence(&mut self, server: usize, deadline: database::failover::view::Time) {
        if self.keeper(server).deadline != Some(deadline) {
            return;
        }
        self.keep(server).deadline = None;
        if self.server(server).engine.running && self.off != Some(Rule::FenceInTime) {
            self.outcome.fenced += 1;
            self.note(server, || "the lease is over: killed".to_owned());
            self.kill_engine(server);
        }
    }

    /// Its keeper sees it end.
    pub(crate) fn kill_engine(&mut self, server: usize) {
        if !self.server(server).engine.running {
            return;
        }
        self.engine(server).kill();
        self.at_server(server).applying = false;
        let now = self.clock(server);
        self.keep(server).engine_ended(now, true);
        self.later(MS, server, Event::StateChanged);
    }

    pub(crate) fn started(&mut self, server: usize) {
        let now = self.clock(server);
        let broken = self.now < self.server(server).engine.cannot_start_until;
        let keeper = self.keep(server);
        keeper.in_flight = None;
        if broken {
            keeper.engine_ended(now, false);
        } else {
            keeper.memory.engine_started();
            keeper.answered_at = now;
            keeper.silent_since = None;
            self.engine(server).start();
            self.note(server, || "started".to_owned());
        }
        self.poke(server);
    }

    pub(crate) fn rebuilt(&mut self, server: usize, source: usize) {
        let now = self.clock(server);
        let reached =
            self.is_linked(server, source) && self.server(source).engine.answers(self.now);
        let keeper = self.keep(server);
        keeper.in_flight = None;
        keeper.start_at = now;
        if reached {
            let copy = self.server(source).engine.clone();
            self.engine(server).copy_of(&copy);
            self.note(server, || format!("is a copy of db-{}", source + 1));
        }
        self.poke(server);
    }
}

/// Of the sabotaged engine that falls back by itself.
pub(crate) const FALLS_BACK: Duration = Duration::from_millis(500);
