//! Faults come and go.

use database::record::Wanted;

use crate::clock::{MS, Us};
use crate::event::Event;
use crate::faults::Fault;
use crate::keeper::{Keeper, name};
use crate::network::Node;
use crate::world::World;

impl World {
    pub(crate) fn trouble(&mut self, n: usize) {
        let planned = self.plan[n].clone();
        let until = self.now + planned.lasts;
        self.trace.note(self.now, || {
            format!("*** {:?} until {}", planned.fault, until / MS)
        });
        match planned.fault {
            Fault::Crash { server } => self.power_off(server),
            Fault::KillEngine { server } => self.kill_engine(server),
            Fault::BreakEngine { server } => {
                self.engine(server).cannot_start_until = until;
                self.kill_engine(server);
            }
            Fault::FreezeEngine { server } => {
                let engine = self.engine(server);
                if engine.running {
                    longer(&mut engine.frozen_until, until);
                }
            }
            Fault::PauseKeeper { server } => {
                longer(&mut self.at_server(server).paused_until, until)
            }
            Fault::FreezeMachine { server } => self.freeze(server, until),
            Fault::CutFromStore {
                server,
                there,
                back,
            } => {
                self.cut(Node::Server(server), Node::Store, until, there, back);
            }
            Fault::CutPair { a, b, there, back } => {
                self.cut(Node::Server(a), Node::Server(b), until, there, back);
            }
            Fault::Isolate { server } => {
                self.cut(Node::Server(server), Node::Store, until, true, true);
                for other in (0..self.servers.len()).filter(|other| *other != server) {
                    self.cut(Node::Server(server), Node::Server(other), until, true, true);
                }
            }
            Fault::BadNetwork => self.network.is_bad_until(until),
            Fault::StoreDown => longer(&mut self.store_down_until, until),
            Fault::SlowApply { server } => self.engine(server).slow_until = until,
            Fault::StopApplying { server } => {
                if let Some(replication) = &mut self.engine(server).replication {
                    replication.applies = false;
                }
            }
            Fault::BreakReplica { server } => {
                if let Some(replication) = &mut self.engine(server).replication {
                    replication.broken = true;
                    replication.applies = false;
                }
            }
            Fault::Switchover { to } => {
                if let Some(state) = &self.store.state {
                    self.store.request.switchover = Some(Wanted {
                        generation: state.generation,
                        to: to.map(name),
                    });
                    self.tell_all();
                }
            }
            Fault::Maintenance => {
                self.store.request.paused = true;
                self.tell_all();
            }
        }
    }

    fn cut(&mut self, a: Node, b: Node, until: u64, there: bool, back: bool) {
        if there {
            self.network.cut(a, b, until);
        }
        if back {
            self.network.cut(b, a, until);
        }
    }

    pub(crate) fn relief(&mut self, n: usize) {
        match self.plan[n].fault {
            Fault::Crash { server } => self.later(0, server, Event::MachineBack),
            Fault::Maintenance => {
                self.store.request.paused = false;
                self.tell_all();
            }
            _ => {}
        }
    }

    /// Keeper and server are gone; what they had sent is on its way.
    pub(crate) fn power_off(&mut self, server: usize) {
        let at = self.at_server(server);
        at.up = false;
        at.engine.kill();
        at.applying = false;
        at.frozen_until = 0;
        at.held.clear();
        at.paused_until = 0;
    }

    pub(crate) fn machine_back(&mut self, server: usize) {
        let at = self.at_server(server);
        if at.up {
            return;
        }
        at.up = true;
        at.keeper = Keeper::new(at.keeper.life + 1);
        self.note(server, || "the machine is back".to_owned());
        let wait = self.chance.between(MS, 300 * MS);
        self.later(wait, server, Event::Wake(0));
    }
}

/// A second trouble does not end the first.
fn longer(until: &mut Us, other: Us) {
    *until = (*until).max(other);
}
