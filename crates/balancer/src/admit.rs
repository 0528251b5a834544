//! Pure: whether a request is let in: the route's networks, then how often its client asks, then how
//! many of its requests are open. In this order, so that who is kept out uses nothing up.
//!
//! Threads share the counts, so the limits are those of the process; nothing is locked. Tables have a
//! fixed size whatever the number of clients: see `rate` and `concurrency` for what happens when one
//! is full.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::head::Fields;
use site::target::balancer::{Concurrency, RateLimit, RouteTarget};

use crate::hash::Seed;
use crate::networks::Networks;
use crate::reason::Reason;

pub mod concurrency;
pub mod key;
pub mod rate;

/// What a route asks of those it lets in.
#[derive(Debug)]
pub struct Gate {
    allow: Networks,
    /// Not the same as an empty `allow`, which lets nobody in.
    for_all: bool,
    deny: Networks,
    rate: Option<(RateLimit, Arc<rate::Table>)>,
    concurrency: Option<(Concurrency, Arc<concurrency::Table>)>,
    seed: Seed,
}

#[derive(Debug, PartialEq, Eq)]
#[must_use = "a seat has to be left"]
pub enum Admission {
    /// With a seat to be left (`Gate::leave`) when the request has ended.
    Admit(Option<concurrency::Seat>),
    Refuse {
        reason: Reason,
        /// When it is worth asking again.
        retry_after: Option<Duration>,
    },
}

impl Gate {
    /// `former`: the gate of the route with the same name before; where a limit stays the same, what
    /// was counted stays. `connections`: the most requests that can be open.
    pub fn new(route: &RouteTarget, former: Option<&Self>, seed: Seed, connections: u32) -> Self {
        // The hashes in a table are of the seed they were made with.
        let seed = former.map_or(seed, |former| former.seed);
        let rate = route.rate_limit.as_ref().map(|limit| {
            let kept = former.and_then(|former| former.rate.as_ref());
            let kept = kept.filter(|(before, _)| before == limit);
            let table =
                kept.map_or_else(|| Arc::new(rate::Table::new(limit)), |(_, t)| Arc::clone(t));
            (limit.clone(), table)
        });
        let concurrency = route.concurrency.as_ref().map(|limit| {
            // Also when the number changes: seats that are taken are left in this table.
            let kept = former.and_then(|former| former.concurrency.as_ref());
            let kept = kept.filter(|(before, _)| before.key == limit.key);
            let table = kept.map_or_else(
                || Arc::new(concurrency::Table::new(connections)),
                |(_, table)| Arc::clone(table),
            );
            (limit.clone(), table)
        });
        Self {
            allow: Networks::new(&route.allow),
            for_all: route.allow.is_empty(),
            deny: Networks::new(&route.deny),
            rate,
            concurrency,
            seed,
        }
    }

    /// As far as its networks go.
    pub fn lets_in(&self, client: IpAddr) -> bool {
        !self.deny.contains(client) && (self.for_all || self.allow.contains(client))
    }

    /// `now`: since any moment before the first call, by a clock that does not go back.
    pub fn admit(&self, client: IpAddr, fields: Fields<'_, '_>, now: Duration) -> Admission {
        if !self.lets_in(client) {
            return Admission::Refuse {
                reason: Reason::Denied,
                retry_after: None,
            };
        }
        if let Some((limit, table)) = &self.rate {
            let key = key::of(&limit.key, client, fields, self.seed);
            if let Err(retry_after) = table.admit(key, now) {
                return Admission::Refuse {
                    reason: Reason::RateLimited,
                    retry_after: Some(retry_after),
                };
            }
        }
        let Some((limit, table)) = &self.concurrency else {
            return Admission::Admit(None);
        };
        let key = key::of(&limit.key, client, fields, self.seed);
        match table.enter(key, limit.requests) {
            Ok(seat) => Admission::Admit(Some(seat)),
            Err(concurrency::Taken) => Admission::Refuse {
                reason: Reason::TooManyAtOnce,
                retry_after: None,
            },
        }
    }

    /// Holds the seat that this gate gave until it is dropped.
    pub fn hold(&self, seat: concurrency::Seat) -> Held<'_> {
        Held { gate: self, seat }
    }

    /// Of the gate that gave the seat.
    pub fn leave(&self, seat: concurrency::Seat) {
        if let Some((_, table)) = &self.concurrency {
            table.leave(seat);
        }
    }
}

/// A seat that is left when this is dropped: also when a client goes in the middle of its request.
#[derive(Debug)]
pub struct Held<'a> {
    gate: &'a Gate,
    seat: concurrency::Seat,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.gate.leave(self.seat);
    }
}

#[cfg(test)]
mod tests {
    use http::head::{Storage, request};
    use site::target::balancer::{ClientKey, Match, Network};

    use super::*;
    use crate::route::tests::route;

    fn network(address: [u8; 4], bits: u8) -> Network {
        Network {
            address: address.into(),
            bits,
        }
    }

    fn admit(gate: &Gate, client: [u8; 4]) -> Admission {
        let mut storage = Storage::new();
        let head = request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut storage).unwrap();
        gate.admit(client.into(), head.fields, Duration::from_secs(1))
    }

    fn refused(admission: &Admission) -> Option<Reason> {
        match admission {
            Admission::Admit(_) => None,
            Admission::Refuse { reason, .. } => Some(*reason),
        }
    }

    #[test]
    fn deny_goes_before_allow_and_both_before_counting() {
        let mut target = route("a", Match::default());
        target.allow = vec![network([10, 0, 0, 0], 8)];
        target.deny = vec![network([10, 1, 0, 0], 16)];
        target.rate_limit = Some(RateLimit {
            requests: 1,
            per: Duration::from_secs(1),
            burst: 1,
            key: ClientKey::Everybody,
        });
        let gate = Gate::new(&target, None, Seed(1, 2), 10);
        assert_eq!(refused(&admit(&gate, [192, 0, 2, 1])), Some(Reason::Denied));
        assert_eq!(refused(&admit(&gate, [10, 1, 2, 3])), Some(Reason::Denied));
        assert_eq!(refused(&admit(&gate, [10, 2, 2, 3])), None);
        assert_eq!(
            refused(&admit(&gate, [10, 3, 2, 3])),
            Some(Reason::RateLimited)
        );
        // A new snapshot does not forget.
        let gate = Gate::new(&target, Some(&gate), Seed(3, 4), 10);
        assert_eq!(
            refused(&admit(&gate, [10, 3, 2, 3])),
            Some(Reason::RateLimited)
        );
    }

    #[test]
    fn seats_are_left_also_after_a_new_snapshot() {
        let mut target = route("a", Match::default());
        target.concurrency = Some(Concurrency {
            requests: 1,
            key: ClientKey::Address {
                v4_bits: 32,
                v6_bits: 64,
            },
        });
        let gate = Gate::new(&target, None, Seed(1, 2), 10);
        let Admission::Admit(Some(seat)) = admit(&gate, [10, 0, 0, 1]) else {
            panic!()
        };
        assert_eq!(
            refused(&admit(&gate, [10, 0, 0, 1])),
            Some(Reason::TooManyAtOnce)
        );
        assert_eq!(refused(&admit(&gate, [10, 0, 0, 2])), None);
        target.concurrency.as_mut().unwrap().requests = 2;
        let later = Gate::new(&target, Some(&gate), Seed(1, 2), 10);
        assert_eq!(refused(&admit(&later, [10, 0, 0, 1])), None);
        assert_eq!(
            refused(&admit(&later, [10, 0, 0, 1])),
            Some(Reason::TooManyAtOnce)
        );
        gate.leave(seat);
        assert_eq!(refused(&admit(&later, [10, 0, 0, 1])), None);
    }
}
