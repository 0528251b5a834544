//! Pure: which endpoint a request goes to.
//!
//! A `Pool` is made anew whenever health, weights or a slow start change; what a request costs is then
//! one look at a few endpoints, however many there are. It has tiers: an endpoint of the second is asked
//! when none of the first can be, or all of them were tried for this request (nginx's `backup`).
//!
//! - A backup gets requests only while none of the others can.
//! - Fewer up than `panic_percent` of the weight: health is doubted, and the load of all is not put on
//!   the few. A request's first try goes to all by weight, dead or not (Envoy's panic); the tries after
//!   it go to those that are up first, so that a visitor notices as little as can be.
//! - What a person has taken out gets nothing even then, and does not count as missing.
//! - Weight 0: only visitors bound to it.

use std::sync::Arc;

use site::target::balancer::{Algorithm, BackendTarget};

pub mod first;
pub mod hash;
pub mod least_requests;
pub mod load;
pub mod power_of_two;
pub mod round_robin;
pub mod slow_start;
mod stride;

pub use load::Load;

use crate::standing::Standing;
use round_robin::Turns;

/// One endpoint of the list a pool is made from, in the order of `BackendTarget::endpoints`.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    pub standing: Standing,
    /// Of `slow_start::share`.
    pub share: u16,
}

/// Everything that is asked about one request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Of a counter that all threads share.
    pub turn: u64,
    /// Chance, for `PowerOfTwo`.
    pub random: u64,
    /// For `Hash`: see `choose::hash::key`.
    pub key: u64,
    pub now_ms: u64,
    /// Open requests of the whole backend, for bounded loads.
    pub open: u32,
    /// Endpoints asked before for this request.
    pub tried: &'a [usize],
    /// The endpoint that the visitor's cookie names.
    pub bound: Option<usize>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Endpoint(usize),
    /// There are some, each with as many requests as it may have: wait.
    Full,
    Nobody,
}

/// Which endpoints are in use; what `status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Primaries,
    Backups,
    /// So few are up that all get requests.
    Panic,
    Nobody,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Primaries => "endpoints that are up",
            Self::Backups => "backups, because none of the others is up",
            Self::Panic => "all endpoints, because too few are up",
            Self::Nobody => "none",
        })
    }
}

/// A backend's endpoints, ready to be chosen from.
#[derive(Debug)]
pub struct Pool {
    mode: Mode,
    tiers: Vec<Roster>,
    /// In a panic: those that are up, for second tries.
    up: Option<Roster>,
    /// By index: takes visitors bound to it.
    bound: Box<[bool]>,
    max_requests: u32,
}

impl Pool {
    pub fn new(backend: &BackendTarget, now: &[Condition]) -> Self {
        let all = || backend.endpoints.iter().zip(now).enumerate();
        // Indexes of those of weight that are wanted; and their weight.
        let those = |backup: bool, wanted: fn(&Standing) -> bool| -> (Vec<usize>, u64) {
            let chosen = all().filter(|(_, (endpoint, condition))| {
                endpoint.backup == backup && endpoint.weight > 0 && wanted(&condition.standing)
            });
            let mut weight = 0;
            let indexes = chosen.map(|(index, (endpoint, _))| {
                weight += u64::from(endpoint.weight);
                index
            });
            (indexes.collect(), weight)
        };
        let roster = |indexes: &[usize]| Roster::new(backend, now, indexes);
        let (up, up_weight) = those(false, |standing| standing.takes_new);
        let (counted, whole) = those(false, |standing| standing.takes_in_panic);
        let (backups, _) = those(true, |standing| standing.takes_new);
        let few = up_weight * 100 < whole * u64::from(backend.panic_percent);
        let (mode, tiers) = match (up.is_empty(), backups.is_empty()) {
            (true, false) => (Mode::Backups, vec![roster(&backups)]),
            (_, no_backups) if few => {
                let mut tiers = vec![roster(&counted)];
                tiers.extend((!no_backups).then(|| roster(&backups)));
                (Mode::Panic, tiers)
            }
            (true, true) => (Mode::Nobody, vec![]),
            (false, true) => (Mode::Primaries, vec![roster(&up)]),
            (false, false) => (Mode::Primaries, vec![roster(&up), roster(&backups)]),
        };
        let also_up = mode == Mode::Panic && !up.is_empty();
        Self {
            mode,
            tiers,
            up: also_up.then(|| roster(&up)),
            bound: now
                .iter()
                .map(|condition| condition.standing.takes_bound)
                .collect(),
            max_requests: backend.max_requests,
        }
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// `loads`: one for each endpoint. Who takes the answer enters `Load::open` with `max_requests`, and
    /// asks again if another thread was quicker.
    pub fn choose(&self, ask: &Ask<'_>, loads: &[Arc<Load>]) -> Choice {
        let look = Look {
            loads,
            tried: ask.tried,
            most: self.max_requests,
        };
        if let Some(index) = ask
            .bound
            .filter(|index| self.bound.get(*index) == Some(&true))
        {
            // A visitor waits for his endpoint, but not for one that has failed him.
            match look.fit(index) {
                Fit::Yes => return Choice::Endpoint(index),
                Fit::Full => return Choice::Full,
                Fit::Tried => {}
            }
        }
        let again = self.up.as_ref().filter(|_| !ask.tried.is_empty());
        for roster in again.into_iter().chain(&self.tiers) {
            let choice = roster.choose(ask, &look);
            if choice != Choice::Nobody {
                return choice;
            }
        }
        Choice::Nobody
    }
}

/// Endpoints among which an algorithm chooses.
#[derive(Debug)]
struct Roster {
    seats: Box<[Seat]>,
    way: Way,
}

#[derive(Debug, Clone, Copy)]
struct Seat {
    index: usize,
    /// Weight times share, never 0.
    weight: u32,
}

#[derive(Debug)]
enum Way {
    RoundRobin(Turns),
    LeastRequests(Turns),
    PowerOfTwo,
    Hash(hash::Ring),
    First,
}

impl Roster {
    fn new(backend: &BackendTarget, now: &[Condition], indexes: &[usize]) -> Self {
        let seats: Box<[Seat]> = indexes
            .iter()
            .filter_map(|index| {
                let weight = backend.endpoints.get(*index)?.weight;
                let share = now.get(*index)?.share;
                Some(Seat {
                    index: *index,
                    weight: u32::from(weight) * u32::from(share.max(1)),
                })
            })
            .collect();
        let weights = seats.iter().map(|seat| seat.weight);
        let way = match backend.algorithm {
            Algorithm::RoundRobin => Way::RoundRobin(Turns::new(weights)),
            Algorithm::LeastRequests => Way::LeastRequests(Turns::new(weights)),
            Algorithm::PowerOfTwo => Way::PowerOfTwo,
            Algorithm::Hash => Way::Hash(hash::Ring::new(backend, indexes)),
            Algorithm::First => Way::First,
        };
        Self { seats, way }
    }

    fn choose(&self, ask: &Ask<'_>, look: &Look<'_>) -> Choice {
        let seats = &self.seats;
        match &self.way {
            Way::RoundRobin(turns) => look.first_from(seats, turns.position(ask.turn)),
            Way::LeastRequests(turns) => {
                least_requests::choose(seats, turns.position(ask.turn), look)
            }
            Way::PowerOfTwo => power_of_two::choose(seats, ask.random, ask.now_ms, look),
            Way::Hash(ring) => ring.choose(seats, ask, look),
            Way::First => first::choose(seats, look),
        }
    }
}

/// What one request may use.
#[derive(Debug, Clone, Copy)]
struct Look<'a> {
    loads: &'a [Arc<Load>],
    tried: &'a [usize],
    /// 0: no bound.
    most: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Yes,
    Full,
    Tried,
}

impl Look<'_> {
    fn fit(&self, index: usize) -> Fit {
        if self.tried.contains(&index) {
            Fit::Tried
        } else if self.most > 0 && self.open(index) >= self.most {
            Fit::Full
        } else {
            Fit::Yes
        }
    }

    fn open(&self, index: usize) -> u32 {
        self.loads.get(index).map_or(0, |load| load.open.count())
    }

    /// The first that fits, from `start` on, all around.
    fn first_from(&self, seats: &[Seat], start: usize) -> Choice {
        let (before, from) = seats.split_at_checked(start).unwrap_or((seats, &[]));
        let mut full = false;
        for seat in from.iter().chain(before) {
            match self.fit(seat.index) {
                Fit::Yes => return Choice::Endpoint(seat.index),
                Fit::Full => full = true,
                Fit::Tried => {}
            }
        }
        if full { Choice::Full } else { Choice::Nobody }
    }
}

#[cfg(test)]
mod tests;
