//! One run: servers, keepers and clients as events in the order of true time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use database::failover::view::Time;
use database::record::Obeyed;

use crate::adversary::{Adversary, Ambush, Caught};
use crate::chance::Chance;
use crate::client::Ledger;
use crate::clock::{Clock, MS, S, Us};
use crate::engine::Engine;
use crate::event::{Event, Scheduled};
use crate::faults::{self, Planned};
use crate::invariants::Watch;
use crate::keeper::{Keeper, Site};
use crate::liveness::Stage;
use crate::network::{Fate, Network, Node};
use crate::outcome::{Failure, Options, Outcome};
use crate::sabotage::Rule;
use crate::store::{Op, Reply, Store};
use crate::trace::Trace;

/// One server of the site.
#[derive(Debug)]
pub(crate) struct Server {
    pub clock: Clock,
    pub up: bool,
    /// The machine stands still until then, and this waits for it.
    pub frozen_until: Us,
    pub held: Vec<(u64, Event)>,
    pub engine: Engine,
    pub keeper: Keeper,
    pub paused_until: Us,
    /// What it writes of itself does not arrive.
    pub mute_until: Us,
    /// On its disk.
    pub obeyed: Option<Obeyed>,
    /// The last message of each connection arrives then: they keep their order.
    pub last_arrival: Vec<Us>,
    pub applying: bool,
    /// Numbers the rounds of looking after its connection.
    pub watches: u64,
    pub heard_source: Us,
}

#[derive(Debug)]
pub struct World {
    pub(crate) now: Us,
    pub(crate) off: Option<Rule>,
    pub(crate) chance: Chance,
    pub(crate) site: Site,
    pub(crate) servers: Vec<Server>,
    pub(crate) network: Network,
    pub(crate) store: Store,
    pub(crate) store_down_until: Us,
    pub(crate) ledger: Ledger,
    pub(crate) plan: Vec<Planned>,
    pub(crate) adversary: Adversary,
    /// Whole machines may stand still: two servers may take writes for a moment then, and only the
    /// acknowledgements keep them apart.
    pub(crate) freezes: bool,
    pub(crate) watch: Watch,
    pub(crate) stage: Stage,
    pub(crate) trace: Trace,
    /// What came to nothing, came to nothing by waiting.
    pub(crate) stalls: bool,
    pub(crate) connections: u64,
    pub(crate) outcome: Outcome,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
}

/// Longer than any good run.
const END: Us = 600 * S;

/// Runs one seed.
pub fn run(seed: u64, options: Options) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(seed, options);
    let ended = world.go();
    world.outcome.acknowledged = world.ledger.acknowledged().len();
    let at = world.now;
    ended.map(|()| world.outcome).map_err(|what| {
        Box::new(Failure {
            seed,
            is_unsafe: !world.stalls,
            at,
            what,
            trace: world.trace.text(),
        })
    })
}

/// What happened in one, well or not, in words.
pub fn story(seed: u64, options: Options) -> String {
    let mut world = World::new(
        seed,
        Options {
            keep: true,
            ..options
        },
    );
    let ended = match world.go() {
        Ok(()) => format!("{:?}", world.outcome),
        Err(what) => format!("{} ms: {what}", world.now / MS),
    };
    format!("{}{ended}\n", world.trace.text())
}

impl World {
    fn new(seed: u64, options: Options) -> Self {
        let mut chance = Chance::new(seed);
        let only = options.ambush;
        let count = match chance.between(0, 10) {
            0..3 if only.is_none() => 2,
            0..8 => 3,
            8 => 4,
            _ => 5,
        };
        let acknowledged = !chance.percent(10) || only.is_some();
        let freezes = chance.percent(30);
        let freezes = only.map_or(freezes, Ambush::freezes);
        let servers = (0..count)
            .map(|_| Server {
                clock: Clock::new(&mut chance),
                up: true,
                frozen_until: 0,
                held: Vec::new(),
                engine: Engine::new(),
                keeper: Keeper::new(0),
                paused_until: 0,
                mute_until: 0,
                obeyed: None,
                last_arrival: vec![0; count],
                applying: false,
                watches: 0,
                heard_source: 0,
            })
            .collect();
        let mut plan = faults::plan(&mut chance, count, freezes);
        let adversary = Adversary::new(&mut chance, freezes, count);
        let adversary = only.map_or(adversary, Adversary::only);
        // Too many troubles at once leave none of them its way.
        if adversary.lies_in_wait() && (chance.percent(70) || only.is_some()) {
            plan.clear();
        }
        let mut world = Self {
            now: 0,
            off: options.off,
            site: Site::new(count, acknowledged),
            servers,
            network: Network::default(),
            store: Store::default(),
            store_down_until: 0,
            ledger: Ledger::default(),
            freezes,
            watch: Watch::default(),
            stage: Stage::Troubles,
            trace: Trace::new(options.keep),
            stalls: false,
            connections: 0,
            outcome: Outcome::default(),
            queue: BinaryHeap::new(),
            order: 0,
            plan,
            adversary,
            chance,
        };
        for server in 0..count {
            let at = world.chance.between(0, 200 * MS);
            world.later(at, server, Event::Wake(0));
        }
        for (n, planned) in world.plan.clone().iter().enumerate() {
            world.at(planned.at, 0, Event::Trouble(n));
            world.at(planned.at + planned.lasts, 0, Event::Relief(n));
        }
        world.lie_in_wait();
        world.at(faults::LAST, 0, Event::Look);
        world.later(0, 0, Event::Clients);
        world
    }

    fn go(&mut self) -> Result<(), String> {
        while self.stage != Stage::Over {
            let Some(Reverse(next)) = self.queue.pop() else {
                return Err("nothing happens any more".to_owned());
            };
            if next.at > END {
                return Err("it does not end".to_owned());
            }
            self.now = next.at;
            self.outcome.events += 1;
            self.happen(next)?;
            self.look_at_writers()?;
        }
        Ok(())
    }

    fn happen(&mut self, next: Scheduled) -> Result<(), String> {
        let Scheduled {
            server,
            life,
            event,
            ..
        } = next;
        if self.now < self.server(server).frozen_until && event.needs_the_machine() {
            self.at_server(server).held.push((life, event));
            return Ok(());
        }
        let thaws = self.thaws(server, &event);
        if self.now < thaws {
            let late = self.lateness(&event);
            self.push(thaws + late, server, life, event);
            return Ok(());
        }
        if event.is_keepers() && (life != self.keeper(server).life || !self.server(server).up) {
            return Ok(());
        }
        match event {
            Event::Wake(token) => self.wake(server, token),
            Event::Waited(token) => self.waited(server, token),
            Event::AtStore(asked, op) => self.at_store(server, life, asked, op),
            Event::FromStore(asked, reply) => self.store_says(server, asked, reply),
            Event::StoreSilent(asked) => self.store_silent(server, asked),
            Event::StateChanged => {
                self.poke(server);
                Ok(())
            }
            Event::Fence(deadline) => {
                self.fence(server, deadline);
                Ok(())
            }
            Event::Started => {
                self.started(server);
                Ok(())
            }
            Event::Rebuilt(source) => {
                self.rebuilt(server, source);
                Ok(())
            }
            Event::MachineBack => {
                self.machine_back(server);
                Ok(())
            }
            Event::Thaw => {
                self.thaw(server);
                Ok(())
            }
            Event::Alone(with) => {
                self.is_alone(with);
                Ok(())
            }
            Event::WakeUp => {
                self.wakes_up(server);
                Ok(())
            }
            Event::Link(life) => self.link(server, life),
            Event::Apply(life) => {
                self.apply(server, life);
                Ok(())
            }
            Event::Deliver(delivery) => {
                self.delivered(server, *delivery);
                Ok(())
            }
            Event::Acknowledge {
                from,
                connection,
                place,
                life,
            } => {
                self.acknowledged(server, life, (from, connection), place);
                Ok(())
            }
            Event::Clients => {
                self.clients();
                let pause = self.chance.between(20 * MS, 200 * MS);
                self.later(pause, 0, Event::Clients);
                Ok(())
            }
            Event::Client => {
                self.clients();
                Ok(())
            }
            Event::Trouble(n) => {
                self.trouble(n);
                Ok(())
            }
            Event::Relief(n) => {
                self.relief(n);
                Ok(())
            }
            Event::Look => self.liveness(),
        }
    }

    /// Until when whoever this event is for stands still.
    fn thaws(&self, server: usize, event: &Event) -> Us {
        let at = self.server(server);
        match event {
            Event::Link(_) | Event::Apply(_) | Event::Deliver(_) | Event::Acknowledge { .. } => {
                at.engine.frozen_until
            }
            Event::Wake(_)
            | Event::Waited(_)
            | Event::FromStore(..)
            | Event::StoreSilent(_)
            | Event::StateChanged => at.paused_until,
            // Threads and processes of their own, and what is no part of a server.
            _ => 0,
        }
    }

    /// Who goes on first is not told; what came in order stays so. Killing takes its time.
    fn lateness(&mut self, event: &Event) -> Us {
        match event {
            Event::Deliver(_) | Event::Acknowledge { .. } => 0,
            Event::Fence(_) => self.chance.between(0, 60 * MS),
            _ => self.chance.between(0, 5 * MS),
        }
    }

    /// A machine stands still.
    pub(crate) fn freeze(&mut self, server: usize, until: Us) {
        let at = self.at_server(server);
        at.frozen_until = at.frozen_until.max(until);
        self.at(until, server, Event::Thaw);
    }

    /// And goes on, unless another reason keeps it.
    pub(crate) fn thaw(&mut self, server: usize) {
        if self.now < self.server(server).frozen_until {
            return;
        }
        for (life, event) in std::mem::take(&mut self.at_server(server).held) {
            let late = self.lateness(&event);
            self.push(self.now + late, server, life, event);
        }
    }

    pub(crate) fn server(&self, server: usize) -> &Server {
        &self.servers[server]
    }

    pub(crate) fn at_server(&mut self, server: usize) -> &mut Server {
        &mut self.servers[server]
    }

    pub(crate) fn keeper(&self, server: usize) -> &Keeper {
        &self.server(server).keeper
    }

    pub(crate) fn keep(&mut self, server: usize) -> &mut Keeper {
        &mut self.at_server(server).keeper
    }

    pub(crate) fn engine(&mut self, server: usize) -> &mut Engine {
        &mut self.at_server(server).engine
    }

    /// What its own clock shows.
    pub(crate) fn clock(&self, server: usize) -> Time {
        self.server(server).clock.read(self.now)
    }

    pub(crate) fn later(&mut self, wait: Us, server: usize, event: Event) {
        self.at(self.now + wait, server, event);
    }

    pub(crate) fn at(&mut self, at: Us, server: usize, event: Event) {
        let life = self.keeper(server).life;
        self.push(at, server, life, event);
    }

    pub(crate) fn push(&mut self, at: Us, server: usize, life: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled {
            at: at.max(self.now),
            order: self.order,
            server,
            life,
            event,
        }));
    }

    /// Sends a question to the store; its answer, or the end of patience, comes as an event.
    pub(crate) fn ask(&mut self, server: usize, op: Op) {
        let keeper = self.keep(server);
        keeper.asked += 1;
        let asked = keeper.asked;
        let patience = self.clock(server).after(std::time::Duration::from_secs(1));
        let until = self.server(server).clock.when(patience);
        self.at(until, server, Event::StoreSilent(asked));
        let (from, to) = (Node::Server(server), Node::Store);
        let life = self.keeper(server).life;
        let fate = match self.caught(server, &op) {
            Caught::No => self.network.fate(from, to, self.now, &mut self.chance),
            Caught::Late(late) => Fate::Arrives(self.now + late),
            Caught::Lost => Fate::Lost,
        };
        if let Fate::Arrives(at) = fate {
            self.push(at, server, life, Event::AtStore(asked, op));
        }
    }

    fn at_store(&mut self, server: usize, life: u64, asked: u64, op: Op) -> Result<(), String> {
        if self.now < self.store_down_until {
            // Lost, or done when it is back.
            if self.chance.percent(50) {
                let late = self.chance.between(0, 300 * MS);
                let back = self.store_down_until + late;
                self.push(back, server, life, Event::AtStore(asked, op));
            }
            return Ok(());
        }
        let put = match &op {
            Op::PutState(next) => Some(next.clone()),
            _ => None,
        };
        let before = self.store.state.clone();
        let mut late = 0;
        let reply = self.store.apply(server, op);
        if let (Some(next), Reply::Written) = (put, &reply) {
            self.state_written(server, before.as_ref(), &next)?;
            self.tell_all();
            self.strike(server);
            late = self.answers_late(server, &next);
        }
        let (from, to) = (Node::Store, Node::Server(server));
        if let Fate::Arrives(at) = self.network.fate(from, to, self.now, &mut self.chance) {
            self.push(at + late, server, life, Event::FromStore(asked, reply));
        }
        Ok(())
    }

    /// Whoever watches the store hears of a change.
    pub(crate) fn tell_all(&mut self) {
        for server in 0..self.servers.len() {
            let (from, to) = (Node::Store, Node::Server(server));
            if let Fate::Arrives(at) = self.network.fate(from, to, self.now, &mut self.chance) {
                self.at(at, server, Event::StateChanged);
            }
        }
    }

    /// Every server that takes writes gets one: clients do not know who is primary.
    fn clients(&mut self) {
        let now = self.now;
        for server in 0..self.servers.len() {
            let at = self.server(server);
            if !at.up || now < at.frozen_until || at.engine.waiting.len() > 12 {
                continue;
            }
            let id = self.ledger.new_write();
            let engine = self.engine(server);
            if engine.write(server, id, now).is_none() {
                continue;
            }
            let waits = engine.semi_sync;
            if !waits {
                self.acknowledge(server, id);
            }
            self.send_log(server);
        }
    }

    pub(crate) fn acknowledge(&mut self, server: usize, id: u64) {
        if self.ledger.acknowledge(id) {
            self.trace.note(self.now, || {
                format!("db-{}: write {id} is acknowledged", server + 1)
            });
        }
    }

    pub(crate) fn note(&mut self, server: usize, text: impl FnOnce() -> String) {
        self.trace
            .note(self.now, || format!("db-{}: {}", server + 1, text()));
    }
}
