//! Pure: what an endpoint gets, from all that is known of it: what a person wants of it, what its
//! health checks say, whether its requests have put it out.

use std::fmt;

use crate::health::judge::State;

/// What a person wants of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admin {
    #[default]
    Ready,
    /// No new visitors; those bound to it stay until they leave.
    Drain,
    /// Nobody.
    Maintenance,
}

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests of anybody.
    pub takes_new: bool,
    /// Requests of visitors whose cookie names it.
    pub takes_bound: bool,
    /// Counts when so few endpoints are up that all get requests. What a person has taken out does not.
    pub takes_in_panic: bool,
    pub why: Why,
    /// Milliseconds since 1970.
    pub since_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Up,
    NotAskedYet,
    Down,
    Ejected,
    Draining,
    Maintenance,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::NotAskedYet => "not asked yet",
            Self::Down => "health checks fail",
            Self::Ejected => "its requests failed",
            Self::Draining => "draining: only visitors bound to it",
            Self::Maintenance => "in maintenance",
        })
    }
}

/// Each with the time since which it is so; `ejected`: since when, if it is.
pub fn standing(
    (admin, admin_ms): (Admin, u64),
    (health, health_ms): (State, u64),
    ejected: Option<u64>,
) -> Standing {
    let of = |why, takes_new, takes_bound, since_ms| Standing {
        takes_new,
        takes_bound,
        takes_in_panic: admin == Admin::Ready,
        why,
        since_ms,
    };
    // The strongest first: what a person says, then what is certain, then what is likely.
    match (admin, health, ejected) {
        (Admin::Maintenance, _, _) => of(Why::Maintenance, false, false, admin_ms),
        (_, State::Down, _) => of(Why::Down, false, false, health_ms),
        (_, _, Some(since_ms)) => of(Why::Ejected, false, false, since_ms),
        (Admin::Drain, _, None) => of(Why::Draining, false, true, admin_ms.max(health_ms)),
        (Admin::Ready, State::Unknown, None) => {
            of(Why::NotAskedYet, true, true, admin_ms.max(health_ms))
        }
        (Admin::Ready, State::Up, None) => of(Why::Up, true, true, admin_ms.max(health_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_endpoint_gets() {
        for (admin, health, ejected, new, bound, panic, why) in [
            (Admin::Ready, State::Up, None, true, true, true, Why::Up),
            (
                Admin::Ready,
                State::Unknown,
                None,
                true,
                true,
                true,
                Why::NotAskedYet,
            ),
            (
                Admin::Ready,
                State::Down,
                None,
                false,
                false,
                true,
                Why::Down,
            ),
            (
                Admin::Ready,
                State::Down,
                Some(5),
                false,
                false,
                true,
                Why::Down,
            ),
            (
                Admin::Ready,
                State::Up,
                Some(5),
                false,
                false,
                true,
                Why::Ejected,
            ),
            (
                Admin::Drain,
                State::Up,
                None,
                false,
                true,
                false,
                Why::Draining,
            ),
            (
                Admin::Drain,
                State::Down,
                None,
                false,
                false,
                false,
                Why::Down,
            ),
            (
                Admin::Drain,
                State::Up,
                Some(5),
                false,
                false,
                false,
                Why::Ejected,
            ),
            (
                Admin::Maintenance,
                State::Up,
                None,
                false,
                false,
                false,
                Why::Maintenance,
            ),
        ] {
            let is = standing((admin, 1), (health, 3), ejected);
            let says = (is.takes_new, is.takes_bound, is.takes_in_panic, is.why);
            assert_eq!(
                says,
                (new, bound, panic, why),
                "{admin:?} {health:?} {ejected:?}"
            );
        }
        assert_eq!(
            standing((Admin::Ready, 9), (State::Up, 3), None).since_ms,
            9
        );
        assert_eq!(
            standing((Admin::Ready, 9), (State::Up, 3), Some(5)).since_ms,
            5
        );
    }
}
