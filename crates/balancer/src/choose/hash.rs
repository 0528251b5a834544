//! Pure: the same endpoint for the same key, on every balancer, with as little change as can be when
//! endpoints come and go.
//!
//! A ring (Karger et al. 1997; ketama): each endpoint has points on it, as many as its weight says, at
//! places that follow from its name alone; a key belongs to the next point. So an endpoint that goes
//! takes only its own keys with it, and gets them back. With `hash_balance`, an endpoint that has its
//! share of the open requests and more is passed over for the next on the ring (Mirrokni, Thorup,
//! Zadimoghaddam: "Consistent Hashing with Bounded Loads", 2016; HAProxy's `hash-balance-factor`).
//!
//! Slow start is left out: an endpoint has its keys or it has not. A table over the upper bits leads to
//! the point in one step, so that a thousand endpoints cost what two do.

use std::net::IpAddr;

use http::head::Fields;
use site::target::balancer::{BackendTarget, HashKey};

use super::{Ask, Choice, Fit, Look, Seat};
use crate::hash::{mix, of_client, stable};
use http::head::cookie;

/// Points of the heaviest endpoint are between this and twice as many: with some 160 (ketama's number)
/// shares differ by some 8 %.
const POINTS: u32 = 128;
/// Points looked at for an endpoint that is not over its share. With a balance of 125 % the paper
/// expects some twenty steps; then it is the least loaded of those seen.
const WALK: usize = 256;

/// The number that a request's endpoint follows from.
pub fn key(by: &HashKey, client: IpAddr, path: &[u8], fields: Fields<'_, '_>) -> u64 {
    let text = match by {
        HashKey::Source => None,
        HashKey::Path => Some(path),
        HashKey::Header(name) => fields.get(name),
        HashKey::Cookie(name) => cookie::values(fields, name).next(),
    };
    text.filter(|text| !text.is_empty())
        .map_or_else(|| of_client(client), stable)
}

#[derive(Debug)]
pub(super) struct Ring {
    /// Place and position in the roster, by place.
    points: Box<[(u64, u32)]>,
    /// By the upper bits of a place: the first point there or behind.
    starts: Box<[u32]>,
    /// 64 minus the number of these bits.
    shift: u32,
    /// In percent of the average; 0: no bound.
    balance: u16,
    /// By position in the roster.
    weights: Box<[u16]>,
    total_weight: u64,
}

impl Ring {
    /// Of the endpoints with these indexes.
    pub(super) fn new(backend: &BackendTarget, indexes: &[usize]) -> Self {
        // Of all endpoints, whether they are up or not: how many points one has must not change when
        // another goes.
        let heaviest = backend
            .endpoints
            .iter()
            .map(|endpoint| endpoint.weight)
            .max();
        let heaviest = u32::from(heaviest.unwrap_or(1).max(1));
        let count = |weight: u16| {
            let mut scaled = (u32::from(weight), heaviest);
            while scaled.1 < POINTS {
                scaled = (scaled.0 * 2, scaled.1 * 2);
            }
            while scaled.1 >= 2 * POINTS {
                scaled = (scaled.0.div_ceil(2), scaled.1 / 2);
            }
            scaled.0
        };
        let mut points = Vec::new();
        let mut weights = Vec::new();
        for (position, index) in (0..).zip(indexes) {
            let Some(endpoint) = backend.endpoints.get(*index) else {
                continue;
            };
            weights.push(endpoint.weight);
            let name = stable(endpoint.name.as_bytes());
            let places = (1..=count(endpoint.weight)).map(|n| mix(name, u64::from(n)));
            points.extend(places.map(|place| (place, position)));
        }
        points.sort_unstable();
        let bits = points.len().next_power_of_two().trailing_zeros().max(1);
        let shift = 64 - bits;
        let starts = (0..1_u64 << bits)
            .map(|upper| {
                let at = points.partition_point(|(place, _)| *place >> shift < upper);
                u32::try_from(at).unwrap_or(u32::MAX)
            })
            .collect();
        Self {
            points: points.into(),
            starts,
            shift,
            balance: backend.hash_balance,
            total_weight: weights.iter().map(|weight| u64::from(*weight)).sum(),
            weights: weights.into(),
        }
    }

    pub(super) fn choose(&self, seats: &[Seat], ask: &Ask<'_>, look: &Look<'_>) -> Choice {
        let start = self.next(ask.key);
        let (before, from) = self.points.split_at_checked(start).unwrap_or_default();
        let mut best: Option<(u64, u64, usize)> = None;
        for (_, position) in from.iter().chain(before).take(WALK) {
            let position = usize::try_from(*position).unwrap_or(usize::MAX);
            let (Some(seat), Some(weight)) = (seats.get(position), self.weights.get(position))
            else {
                continue;
            };
            let weight = u64::from(*weight);
            if look.fit(seat.index) != Fit::Yes {
                continue;
            }
            let open = u64::from(look.open(seat.index));
            if self.balance == 0 || open < self.most(ask.open, weight) {
                return Choice::Endpoint(seat.index);
            }
            if best.is_none_or(|(least, of, _)| open * of < least * weight) {
                best = Some((open, weight, seat.index));
            }
        }
        match best {
            Some((_, _, index)) => Choice::Endpoint(index),
            None => {
                let position = self.points.get(start).or(self.points.first());
                let position = position.and_then(|(_, at)| usize::try_from(*at).ok());
                look.first_from(seats, position.unwrap_or(0))
            }
        }
    }

    /// The first point at or behind a place, or the length: then it is the first of all.
    fn next(&self, place: u64) -> usize {
        let upper = usize::try_from(place >> self.shift).unwrap_or(usize::MAX);
        let start = self
            .starts
            .get(upper)
            .map_or(0, |at| usize::try_from(*at).unwrap_or(0));
        let behind = self.points.get(start..).unwrap_or_default();
        start + behind.iter().take_while(|(at, _)| *at < place).count()
    }

    /// Requests that an endpoint may work on: `balance` percent of its share of those open, this one
    /// included, rounded up.
    fn most(&self, open: u32, weight: u64) -> u64 {
        let balance = u64::from(self.balance.max(100));
        ((u64::from(open) + 1) * weight * balance).div_ceil(self.total_weight.max(1) * 100)
    }
}
