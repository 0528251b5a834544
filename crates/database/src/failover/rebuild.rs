//! Pure: how often a replica may be rebuilt.
//!
//! A rebuild reads all of the primary's data and throws a replica's away. When it does not help (a
//! cause that comes back), doing it over and over loads the primary and helps nobody; a person has
//! to look.

use std::time::Duration;

use super::view::Time;

/// After a rebuild, before the next one.
const PAUSE: Duration = Duration::from_secs(60);
/// The window in which rebuilds are counted, and how many it may have.
const WINDOW: Duration = Duration::from_secs(3600);
const IN_WINDOW: usize = 3;

/// May one begin at `now`?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuild {
    Allowed,
    NotBefore(Time),
}

/// `begun`: when rebuilds were begun, oldest first.
pub fn may_begin(begun: &[Time], now: Time) -> Rebuild {
    let Some(last) = begun.last() else {
        return Rebuild::Allowed;
    };
    let mut not_before = last.after(PAUSE);
    if let Some(oldest) = begun.iter().rev().nth(IN_WINDOW - 1) {
        not_before = not_before.max(oldest.after(WINDOW));
    }
    if now >= not_before {
        Rebuild::Allowed
    } else {
        Rebuild::NotBefore(not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_at_once_the_second_a_minute_later_the_fourth_after_an_hour() {
        let at = |s| Time(Duration::from_secs(s));
        assert_eq!(may_begin(&[], at(0)), Rebuild::Allowed);
        assert_eq!(may_begin(&[at(0)], at(59)), Rebuild::NotBefore(at(60)));
        assert_eq!(may_begin(&[at(0)], at(60)), Rebuild::Allowed);
        let three = [at(0), at(60), at(120)];
        assert_eq!(may_begin(&three, at(500)), Rebuild::NotBefore(at(3600)));
        assert_eq!(may_begin(&three, at(3600)), Rebuild::Allowed);
    }
}
