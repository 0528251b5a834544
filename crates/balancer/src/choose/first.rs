//! Pure: the first of the list that is up and has room (HAProxy's `first`): the others stay idle and may
//! be switched off.

use super::{Choice, Look, Seat};

pub(super) fn choose(seats: &[Seat], look: &Look<'_>) -> Choice {
    look.first_from(seats, 0)
}
