//! Replication between servers: connections, transactions on their way, acknowledgements, applying.

use crate::clock::{MS, S, Us};
use crate::engine::{Dump, Io};
use crate::event::{Delivery, Event};
use crate::hands::FALLS_BACK;
use crate::network::Node;
use crate::sabotage::Rule;
use crate::world::World;

/// `slave_net_timeout`
const SILENCE: Us = 3 * S;

impl World {
    /// Both ways.
    pub(crate) fn is_linked(&self, a: usize, b: usize) -> bool {
        let (a, b) = (Node::Server(a), Node::Server(b));
        !self.network.is_cut(a, b, self.now) && !self.network.is_cut(b, a, self.now)
    }

    pub(crate) fn watch_link(&mut self, server: usize) {
        self.at_server(server).watches += 1;
        let watch = self.server(server).watches;
        let wait = self.chance.between(MS, 50 * MS);
        self.later(wait, server, Event::Link(watch));
    }

    /// The receiving thread looks after its connection.
    pub(crate) fn link(&mut self, server: usize, watch: u64) -> Result<(), String> {
        let now = self.now;
        let engine = &self.server(server).engine;
        if self.server(server).watches != watch || !engine.running {
            return Ok(());
        }
        let Some(replication) = engine.replication.clone() else {
            return Ok(());
        };
        let source = replication.source;
        let there = self.server(source);
        let answers = there.up && now >= there.frozen_until && there.engine.answers(now);
        match replication.io {
            Io::Stopped => return Ok(()),
            Io::Running => self.hear(server, source, answers),
            Io::Connecting if answers && self.is_linked(server, source) => {
                self.connect(server, source)?;
            }
            Io::Connecting => {}
        }
        let wait = self.chance.between(200 * MS, S);
        self.later(wait, server, Event::Link(watch));
        Ok(())
    }

    fn hear(&mut self, server: usize, source: usize, answers: bool) {
        let now = self.now;
        let (from, to) = (Node::Server(source), Node::Server(server));
        let cut = self.network.is_cut(from, to, now);
        if answers && !cut {
            self.at_server(server).heard_source = now;
        }
        // The end of a process is told by its machine, that of a machine by silence.
        let there = self.server(source);
        let ended = there.up && !there.engine.running && !cut;
        let connection = |world: &Self| {
            let replication = world.server(server).engine.replication.as_ref();
            replication.map_or(0, |r| r.connection)
        };
        let known = |world: &Self| {
            let dumps = &world.server(source).engine.dumps;
            dumps
                .get(&server)
                .is_some_and(|d| d.connection == connection(world))
        };
        let ended = ended || (answers && !cut && !known(self));
        if (ended || now - self.server(server).heard_source > SILENCE)
            && let Some(replication) = &mut self.engine(server).replication
        {
            replication.io = Io::Connecting;
            replication.connection = 0;
        }
    }

    fn connect(&mut self, server: usize, source: usize) -> Result<(), String> {
        let by_gtid = |r: &crate::engine::Replication| r.by_gtid;
        if !self
            .server(server)
            .engine
            .replication
            .as_ref()
            .is_some_and(by_gtid)
        {
            return Err(format!("db-{} follows by file and place", server + 1));
        }
        let locks = self.off != Some(Rule::LockAccounts);
        if locks && self.server(source).engine.locked.contains(&server) {
            return Ok(());
        }
        self.connections += 1;
        let connection = self.connections;
        let engine = &self.server(server).engine;
        let has = engine.received_pos();
        let place = engine.place();
        // Strict mode: what a replica has, its source must have, and it has nothing beside.
        let theirs = &self.server(source).engine;
        let agrees = place <= theirs.log.len()
            && theirs.position_at(place) == engine.asks_from(&has)
            && engine.log.len() <= place;
        self.at_server(server).heard_source = self.now;
        let Some(replication) = &mut self.engine(server).replication else {
            return Ok(());
        };
        if !agrees {
            replication.diverged = true;
            replication.io = Io::Stopped;
            self.note(server, || "does not fit its source".to_owned());
            self.poke(server);
            return Ok(());
        }
        replication.io = Io::Running;
        replication.connection = connection;
        let now = self.now;
        self.at_server(server).last_arrival[source] = now;
        self.at_server(source).last_arrival[server] = now;
        let dump = Dump {
            connection,
            sent: place,
        };
        self.engine(source).dumps.insert(server, dump);
        self.send_log(source);
        Ok(())
    }

    /// New transactions to whoever receives from here.
    pub(crate) fn send_log(&mut self, from: usize) {
        let engine = &self.server(from).engine;
        let life = engine.life;
        let all = engine.log.len();
        let due: Vec<(usize, u64, usize)> = engine
            .dumps
            .iter()
            .filter(|(_, dump)| dump.sent < all)
            .map(|(to, dump)| (*to, dump.connection, dump.sent))
            .collect();
        for (to, connection, sent) in due {
            let txns = self.server(from).engine.log[sent..].to_vec();
            if let Some(dump) = self.engine(from).dumps.get_mut(&to) {
                dump.sent = all;
            }
            let at = self.arrival(from, to);
            let delivery = Delivery {
                from,
                connection,
                life,
                after: sent,
                txns,
            };
            self.push(at, to, 0, Event::Deliver(Box::new(delivery)));
        }
    }

    /// In order; what meets a cut comes when it is mended.
    fn arrival(&mut self, from: usize, to: usize) -> Us {
        let (a, b) = (Node::Server(from), Node::Server(to));
        let delay = self.network.delay(self.now, &mut self.chance);
        let free = self.network.free_at(a, b, self.now);
        let last = self.server(to).last_arrival[from];
        let at = (free + delay).max(last + 1);
        self.at_server(to).last_arrival[from] = at;
        at
    }

    pub(crate) fn delivered(&mut self, server: usize, delivery: Delivery) {
        let Delivery {
            from,
            connection,
            life,
            after,
            txns,
        } = delivery;
        if !self.server(server).up {
            return;
        }
        // One that overtook another while the machine stood still.
        if self.server(server).engine.received() < after {
            let delivery = Delivery {
                from,
                connection,
                life,
                after,
                txns,
            };
            let is_current = |r: &crate::engine::Replication| r.connection == connection;
            let replication = self.server(server).engine.replication.as_ref();
            if replication.is_some_and(is_current) {
                self.later(MS, server, Event::Deliver(Box::new(delivery)));
            }
            return;
        }
        let place = {
            let engine = self.engine(server);
            let Some(replication) = &mut engine.replication else {
                return;
            };
            if replication.connection != connection || replication.io != Io::Running {
                return;
            }
            replication.relay.extend(txns);
            engine.received()
        };
        self.apply_soon(server);
        let at = self.arrival(server, from);
        let event = Event::Acknowledge {
            from: server,
            connection,
            place,
            life,
        };
        self.push(at, from, 0, event);
    }

    pub(crate) fn acknowledged(
        &mut self,
        server: usize,
        life: u64,
        (from, connection): (usize, u64),
        place: usize,
    ) {
        let engine = &self.server(server).engine;
        let knows = engine
            .dumps
            .get(&from)
            .is_some_and(|d| d.connection == connection);
        if engine.life != life || !engine.running || !knows {
            return;
        }
        for id in self.engine(server).acknowledged(place) {
            self.acknowledge(server, id);
        }
    }

    pub(crate) fn apply_soon(&mut self, server: usize) {
        let now = self.now;
        let at = self.server(server);
        let replication = at.engine.replication.as_ref();
        let wanted = replication.is_some_and(|r| r.applies && !r.relay.is_empty());
        if at.applying || !wanted {
            return;
        }
        let life = at.engine.life;
        let slow = now < at.engine.slow_until;
        self.at_server(server).applying = true;
        let wait = match slow {
            true => self.chance.between(200 * MS, S),
            false => self.chance.between(MS / 5, 4 * MS),
        };
        self.later(wait, server, Event::Apply(life));
    }

    pub(crate) fn apply(&mut self, server: usize, life: u64) {
        if self.server(server).engine.life != life {
            return;
        }
        self.at_server(server).applying = false;
        let most = match self.now < self.server(server).engine.slow_until {
            true => 1,
            false => 50,
        };
        self.engine(server).apply(most);
        self.apply_soon(server);
    }

    /// A sabotaged engine does not wait for ever.
    pub(crate) fn fall_back(&mut self) {
        if self.off != Some(Rule::NeverFallBack) {
            return;
        }
        let limit = u64::try_from(FALLS_BACK.as_micros()).unwrap_or(0);
        for server in 0..self.servers.len() {
            let now = self.now;
            let engine = self.engine(server);
            if !engine.answers(now) {
                continue;
            }
            let oldest = engine.waiting.first().map(|(.., since)| *since);
            if oldest.is_some_and(|since| now - since > limit) {
                let all = engine.log.len();
                for id in engine.acknowledged(all) {
                    self.acknowledge(server, id);
                }
            }
        }
    }
}
