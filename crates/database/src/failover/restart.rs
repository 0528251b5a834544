//! Pure: is this member's server to be ended in order and started again, as a person asked?
//!
//! A restart throws away what a replica received and has not applied, and a primary takes no writes
//! meanwhile. So never in the middle of an election, and a primary only when there is nobody to take
//! its place: else it is switched over first.

use site::name::MemberName;

use super::lease;
use super::view::{Time, View};

/// Whether the life `pid` of `me`'s server is over now.
pub fn is_due(view: &View, me: &MemberName, pid: Option<u32>, now: Time) -> bool {
    let Some(wanted) = &view.request.restart else {
        return false;
    };
    let meant = wanted.member == *me && Some(wanted.pid) == pid;
    if !meant || view.request.paused || view.status().is_none() {
        return false;
    }
    let Some(state) = view.state() else {
        return false;
    };
    if state.primary == *me {
        return state.is_open() && view.members.len() == 1;
    }
    state.is_open() && now < lease::free_since(view, state)
}
