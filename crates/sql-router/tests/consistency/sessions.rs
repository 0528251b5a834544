//! The sessions: each writes its own register and reads any, in several ways.

use std::time::Instant;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use crate::SESSIONS;
use crate::bed::Bed;
use crate::history::{Event, Kind, Time};
use crate::seeded::Seeded;

pub(crate) const SCHEMA: [&str; 5] = [
    "CREATE TABLE app.registers (k INT PRIMARY KEY, v BIGINT NOT NULL)",
    "CREATE TABLE app.heartbeat (at BIGINT NOT NULL)",
    "INSERT INTO app.heartbeat VALUES (0)",
    "CREATE PROCEDURE app.put(register INT, value BIGINT) UPDATE registers SET v = value WHERE k = register",
    "CREATE FUNCTION app.put_and_tell(register INT, value BIGINT) RETURNS BIGINT \
     BEGIN UPDATE registers SET v = value WHERE k = register; RETURN value; END",
];

pub(crate) fn since(begun: Instant) -> Time {
    Time::try_from(begun.elapsed().as_micros()).unwrap()
}

/// What all of them did.
pub(crate) async fn all(bed: &Bed, begun: Instant, mut seeded: Seeded, steps: usize) -> Vec<Event> {
    let mut tasks = tokio::task::JoinSet::new();
    for session in 0..SESSIONS {
        let seeded = Seeded::new(seeded.below(usize::MAX) as u64);
        let client = bed.client().await;
        let one = Session {
            session,
            client,
            begun,
            seeded,
            value: 0,
        };
        tasks.spawn(one.run(steps));
    }
    tasks.join_all().await.concat()
}

struct Session {
    session: usize,
    client: Conn,
    begun: Instant,
    seeded: Seeded,
    value: u64,
}

impl Session {
    async fn run(mut self, steps: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..steps {
            let begun = since(self.begun);
            let (kind, register, value) = match self.seeded.below(100) {
                0..40 if !self.only_reads() => {
                    self.value += 1;
                    self.write().await;
                    (Kind::Write, self.session, self.value)
                }
                40..42 => {
                    self.client.reset().await.unwrap();
                    continue;
                }
                _ => {
                    let register = self.register();
                    (Kind::Read, register, self.read(register).await)
                }
            };
            events.push(Event {
                session: self.session,
                begun,
                ended: since(self.begun),
                register,
                value,
                kind,
            });
        }
        self.client.disconnect().await.unwrap();
        events
    }

    /// The last one writes nothing and uses no transaction: what it sees is all from replicas, if it may be.
    fn only_reads(&self) -> bool {
        self.session + 1 == SESSIONS
    }

    /// Mostly its own: that is what a session notices first.
    fn register(&mut self) -> usize {
        match self.seeded.percent(50) {
            true => self.session,
            false => self.seeded.below(SESSIONS),
        }
    }

    async fn write(&mut self) {
        let (k, v) = (self.session, self.value);
        let update = format!("UPDATE registers SET v = {v} WHERE k = {k}");
        match self.seeded.below(6) {
            0 => {
                let update = "UPDATE registers SET v = ? WHERE k = ?";
                self.client.exec_drop(update, (v, k)).await.unwrap();
            }
            1 => {
                for sql in ["BEGIN", &update, "COMMIT"] {
                    self.client.query_drop(sql).await.unwrap();
                }
            }
            2 => {
                let call = format!("CALL put({k}, {v})");
                self.client.query_drop(call).await.unwrap();
            }
            3 => {
                let select = format!("SELECT put_and_tell({k}, {v})");
                self.client.query_drop(select).await.unwrap();
            }
            4 => {
                let both = format!("{update}; SELECT 1");
                self.client.query_drop(both).await.unwrap();
            }
            _ => self.client.query_drop(update).await.unwrap(),
        }
    }

    async fn read(&mut self, k: usize) -> u64 {
        let select = format!("SELECT v FROM registers WHERE k = {k}");
        let value: Option<u64> = match self.seeded.below(5) {
            0 => {
                let select = "SELECT v FROM registers WHERE k = ?";
                self.client.exec_first(select, (k,)).await.unwrap()
            }
            1 if !self.only_reads() => {
                let begin = "START TRANSACTION READ ONLY";
                self.client.query_drop(begin).await.unwrap();
                let value = self.client.query_first(select).await.unwrap();
                self.client.query_drop("COMMIT").await.unwrap();
                value
            }
            2 => {
                let select = format!("SELECT MAX(v), @@server_id FROM registers WHERE k = {k}");
                let row: Option<(u64, u32)> = self.client.query_first(select).await.unwrap();
                row.map(|(value, _)| value)
            }
            _ => self.client.query_first(select).await.unwrap(),
        };
        value.unwrap()
    }
}
