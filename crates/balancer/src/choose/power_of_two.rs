//! Pure: of two endpoints drawn by chance, the one where one more request costs less: speed times open
//! requests, for its weight. Two draws are nearly as good as a look at all (Mitzenmacher: "The power of
//! two choices in randomized load balancing", 2001) and do not send everybody to the one that looked
//! best a moment ago. Cost as in Finagle and Linkerd: see `load`.

use super::{Choice, Fit, Look, Seat};
use crate::hash::share;

pub(super) fn choose(seats: &[Seat], random: u64, now_ms: u64, look: &Look<'_>) -> Choice {
    let first = share(random, seats.len());
    // The lower half of the same number: one of the others.
    let others = seats.len().saturating_sub(1);
    let second = first + 1 + share(random << 32, others);
    let second = if second >= seats.len() {
        second - seats.len()
    } else {
        second
    };
    let drawn = |at: usize| {
        seats
            .get(at)
            .filter(|seat| look.fit(seat.index) == Fit::Yes)
    };
    match (drawn(first), drawn(second)) {
        (Some(one), Some(other)) => {
            let cost = |seat: &Seat| {
                let load = look.loads.get(seat.index);
                u128::from(load.map_or(0, |load| load.cost(now_ms)))
            };
            // a / wa <= b / wb without a division.
            let (a, b) = (
                cost(one) * u128::from(other.weight),
                cost(other) * u128::from(one.weight),
            );
            // Both unknown and idle: by chance, which the first is.
            Choice::Endpoint(if a <= b { one.index } else { other.index })
        }
        (Some(one), None) | (None, Some(one)) => Choice::Endpoint(one.index),
        (None, None) => look.first_from(seats, first),
    }
}
