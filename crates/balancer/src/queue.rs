//! Pure: requests that wait because every endpoint has as many as it may: who is next, who has waited
//! too long, who finds no room.
//!
//! Requests without a body go before those with one (most pages wait for them, and they are over
//! sooner), but one with a body counts as having come only a quarter of the queue's timeout later than
//! it did: after that it is served in its turn, so nobody starves. Within a class, first come, first
//! served. Not a priority queue: with two classes, each in order of time, only two heads are compared.

use std::collections::VecDeque;
use std::time::Duration;

use crate::reason::Reason;

/// A request with a body counts as having come later by this part of the timeout.
const HANDICAP: u32 = 4;

/// One queue of one backend. `now`, everywhere: since any moment, by a clock that does not go back.
#[derive(Debug)]
pub struct Waiting {
    size: usize,
    timeout: Duration,
    light: VecDeque<Entry>,
    heavy: VecDeque<Entry>,
    next: u64,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

#[derive(Debug, Clone, Copy)]
struct Entry {
    ticket: Ticket,
    since: Duration,
}

impl Waiting {
    /// `size`: of `Queue::size`; 0: nobody waits.
    pub fn new(size: usize, timeout: Duration) -> Self {
        Self {
            size,
            timeout,
            light: VecDeque::new(),
            heavy: VecDeque::new(),
            next: 0,
        }
    }

    /// A snapshot has other bounds. Who waits stays.
    pub fn resize(&mut self, size: usize, timeout: Duration) {
        (self.size, self.timeout) = (size, timeout);
    }

    pub fn len(&self) -> usize {
        self.light.len() + self.heavy.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new request may take a free endpoint only when nobody waits: those who wait come first.
    pub fn must_wait(&self) -> bool {
        !self.is_empty()
    }

    pub fn join(&mut self, has_body: bool, now: Duration) -> Result<Ticket, Reason> {
        if self.len() >= self.size {
            return Err(Reason::QueueFull);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        let class = if has_body {
            &mut self.heavy
        } else {
            &mut self.light
        };
        class.push_back(Entry { ticket, since: now });
        Ok(ticket)
    }

    /// Whose turn it is now that an endpoint is free; he is out of the queue.
    pub fn call(&mut self, now: Duration) -> Option<Ticket> {
        self.call_before(self.next_ticket(), now)
    }

    /// The one who comes next.
    pub fn next_ticket(&self) -> Ticket {
        Ticket(self.next)
    }

    /// The same among those who came before `limit`.
    pub fn call_before(&mut self, limit: Ticket, now: Duration) -> Option<Ticket> {
        let (timeout, handicap) = (self.timeout, self.timeout / HANDICAP);
        // Who is over his time is told so by `expire`, and does not take what another can use.
        let first = |class: &VecDeque<Entry>| {
            let fits =
                |entry: &Entry| entry.ticket < limit && now.saturating_sub(entry.since) < timeout;
            let at = class.iter().position(fits)?;
            Some((at, class.get(at)?.since))
        };
        let (light, heavy) = (first(&self.light), first(&self.heavy));
        let entry = match (light, heavy) {
            (Some((_, light)), Some((at, heavy))) if heavy + handicap < light => {
                self.heavy.remove(at)
            }
            (Some((at, _)), _) => self.light.remove(at),
            (None, Some((at, _))) => self.heavy.remove(at),
            (None, None) => None,
        };
        entry.map(|entry| entry.ticket)
    }

    /// One who has waited as long as he may; he is out of the queue and gets
    /// `Reason::QueueTimeout`. To be called until there is none.
    pub fn expire(&mut self, now: Duration) -> Option<Ticket> {
        let timeout = self.timeout;
        let over = |entry: &Entry| now.saturating_sub(entry.since) >= timeout;
        [&mut self.light, &mut self.heavy]
            .into_iter()
            .find_map(|class| class.pop_front_if(|entry| over(entry)))
            .map(|entry| entry.ticket)
    }

    /// When `expire` has somebody, if nobody is called before.
    pub fn next_expiry(&self) -> Option<Duration> {
        let heads = self.light.front().into_iter().chain(self.heavy.front());
        heads.map(|entry| entry.since + self.timeout).min()
    }

    /// His client has gone. False: he was not in the queue any more.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        [&mut self.light, &mut self.heavy].into_iter().any(|class| {
            // Tickets grow within a class.
            let at = class.binary_search_by_key(&ticket, |entry| entry.ticket);
            at.is_ok_and(|at| class.remove(at).is_some())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn without_a_body_first_and_nobody_starves() {
        let mut queue = Waiting::new(10, ms(1000));
        let upload = queue.join(true, ms(0)).unwrap();
        let page = queue.join(false, ms(100)).unwrap();
        let other = queue.join(false, ms(240)).unwrap();
        let late = queue.join(false, ms(260)).unwrap();
        assert_eq!(queue.call(ms(300)), Some(page));
        assert_eq!(queue.call(ms(300)), Some(other));
        assert_eq!(queue.call(ms(300)), Some(upload));
        assert_eq!(queue.call(ms(300)), Some(late));
        assert_eq!(queue.call(ms(300)), None);
    }

    #[test]
    fn full_is_full_and_late_is_late() {
        let mut queue = Waiting::new(2, ms(1000));
        let first = queue.join(true, ms(0)).unwrap();
        let second = queue.join(false, ms(500)).unwrap();
        assert_eq!(queue.join(false, ms(500)), Err(Reason::QueueFull));
        assert_eq!(queue.next_expiry(), Some(ms(1000)));
        assert_eq!(queue.expire(ms(999)), None);
        assert_eq!(queue.call(ms(1000)), Some(second));
        assert_eq!(queue.expire(ms(1000)), Some(first));
        assert_eq!(queue.expire(ms(1000)), None);
        assert!(queue.is_empty());
        assert_eq!(
            Waiting::new(0, ms(1)).join(false, ms(0)),
            Err(Reason::QueueFull)
        );
    }

    #[test]
    fn who_leaves_is_not_called() {
        let mut queue = Waiting::new(9, ms(1000));
        let tickets: Vec<Ticket> = (0..4).map(|n| queue.join(n == 1, ms(0)).unwrap()).collect();
        assert!(queue.leave(tickets[1]) && queue.leave(tickets[2]));
        assert!(!queue.leave(tickets[2]));
        assert_eq!(queue.call(ms(1)), Some(tickets[0]));
        assert_eq!(queue.call(ms(1)), Some(tickets[3]));
        assert_eq!(queue.call(ms(1)), None);
    }

    proptest! {
        #[test]
        fn everyone_is_called_or_expires_once_and_in_order_of_his_class(
            steps in proptest::collection::vec((0_u8..5, 0_u64..300, any::<bool>()), 0..200)
        ) {
            let mut queue = Waiting::new(20, ms(1000));
            let mut now = 0;
            let mut inside: Vec<(Ticket, bool, u64)> = Vec::new();
            for (what, pause, has_body) in steps {
                now += pause;
                let gone = match what {
                    0..=2 => {
                        let joined = queue.join(has_body, ms(now));
                        prop_assert_eq!(joined.is_ok(), inside.len() < 20);
                        inside.extend(joined.ok().map(|ticket| (ticket, has_body, now)));
                        None
                    }
                    3 => {
                        let called = queue.call(ms(now));
                        let anybody = inside.iter().any(|(.., since)| now - since < 1000);
                        prop_assert_eq!(called.is_some(), anybody);
                        called
                    }
                    _ => queue.expire(ms(now)),
                };
                if let Some(ticket) = gone {
                    let at = inside.iter().position(|(of, ..)| *of == ticket);
                    let (_, has_body, since) = inside.remove(at.unwrap());
                    prop_assert_eq!(now - since >= 1000, what == 4);
                    // Nobody of the same class who came before and is in time is passed over.
                    let passed = |(of, heavy, at): &&(Ticket, bool, u64)| {
                        *heavy == has_body && *of < ticket && (what == 4 || now - at < 1000)
                    };
                    prop_assert!(inside.iter().find(passed).is_none());
                }
                prop_assert_eq!(queue.len(), inside.len());
            }
        }
    }
}
