//! Pure: the endpoint that works on the fewest requests for its weight. Among equals the one whose turn
//! it is, so that a backend with little to do is balanced by weight too.

use super::{Choice, Fit, Look, Seat};

/// Endpoints that are compared: all, in all backends but the largest. Beyond that, so many from the
/// place of this turn on: the cost of a request stays the same, and the least of 64 is one of the
/// least 2 % of all, with near certainty one of the least 7 %.
const COMPARED: usize = 64;

/// `start`: the position whose turn it is.
pub(super) fn choose(seats: &[Seat], start: usize, look: &Look<'_>) -> Choice {
    let (before, from) = seats.split_at_checked(start).unwrap_or((seats, &[]));
    let mut best: Option<(u64, &Seat)> = None;
    for seat in from.iter().chain(before).take(COMPARED) {
        let open = u64::from(look.open(seat.index));
        let less = best
            .is_none_or(|(least, of)| open * u64::from(of.weight) < least * u64::from(seat.weight));
        if less && look.fit(seat.index) == Fit::Yes {
            best = Some((open, seat));
        }
    }
    match best {
        Some((_, seat)) => Choice::Endpoint(seat.index),
        // Those compared are full or tried.
        None => look.first_from(seats, start),
    }
}
