//! Pure: who can reach whom, and how long it takes. Directions are separate: a partition may be one-way.

use std::collections::BTreeMap;

use crate::chance::Chance;
use crate::clock::{MS, S, Us};

/// A server by its number, or the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    Server(usize),
    Store,
}

#[derive(Debug, Default)]
pub struct Network {
    /// Until when nothing goes from the first to the second.
    cut: BTreeMap<(Node, Node), Us>,
    /// Until when messages are lost and late.
    bad_until: Us,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Arrives(Us),
    Lost,
}

impl Network {
    pub fn cut(&mut self, from: Node, to: Node, until: Us) {
        let now = self.cut.entry((from, to)).or_insert(0);
        *now = (*now).max(until);
    }

    pub fn is_bad_until(&mut self, until: Us) {
        self.bad_until = self.bad_until.max(until);
    }

    /// Both ways, before its time.
    pub fn mend(&mut self, a: Node, b: Node) {
        self.cut.remove(&(a, b));
        self.cut.remove(&(b, a));
    }

    pub fn heal(&mut self) {
        self.cut.clear();
        self.bad_until = 0;
    }

    pub fn is_cut(&self, from: Node, to: Node, now: Us) -> bool {
        self.cut.get(&(from, to)).is_some_and(|until| now < *until)
    }

    pub fn delay(&self, now: Us, chance: &mut Chance) -> Us {
        match now < self.bad_until {
            true if chance.percent(15) => chance.between(100 * MS, 3 * S),
            true => chance.between(MS, 100 * MS),
            false => chance.between(100, 2 * MS),
        }
    }

    /// A single message, to or from the store. What meets a cut link is lost, or comes when it is
    /// mended: nobody can tell which.
    pub fn fate(&self, from: Node, to: Node, now: Us, chance: &mut Chance) -> Fate {
        let delay = self.delay(now, chance);
        if let Some(until) = self.cut.get(&(from, to)).filter(|until| now < **until) {
            return match chance.percent(50) {
                true => Fate::Lost,
                false => Fate::Arrives(*until + delay),
            };
        }
        match now < self.bad_until && chance.percent(5) {
            true => Fate::Lost,
            false => Fate::Arrives(now + delay),
        }
    }

    /// When a stream gets through.
    pub fn free_at(&self, from: Node, to: Node, now: Us) -> Us {
        self.cut
            .get(&(from, to))
            .map_or(now, |until| now.max(*until))
    }
}
