//! Pure: how often something was tried again, and when the next try is due.

use std::time::Duration;

use super::view::Time;

/// The wait after the first try; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// A disk that is full for an hour should be noticed within a minute after it is not.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// This long without a new fault, and the count starts anew.
const GOOD_RUN: Duration = Duration::from_secs(30);

/// Tries in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    pub count: u32,
    last: Option<Time>,
}

impl Attempts {
    /// One more try, at `now`.
    pub fn tried(self, now: Time) -> Self {
        Self {
            count: self.count.saturating_add(1),
            last: Some(now),
        }
    }

    /// It works at `now`: forgets the tries once that has lasted.
    pub fn works(self, now: Time) -> Self {
        match self.last {
            Some(last) if now.since(last) < GOOD_RUN => self,
            _ => Self::default(),
        }
    }

    /// When the next try is due: at once the first time.
    pub fn next_at(self) -> Time {
        match self.last {
            None => Time::default(),
            Some(last) => {
                let doubled = 2u32.saturating_pow(self.count.saturating_sub(1).min(16));
                last.after((FIRST_WAIT * doubled).min(LONGEST_WAIT))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_get_rarer_and_a_good_run_forgets_them() {
        let at = |s| Time(Duration::from_secs(s));
        let mut attempts = Attempts::default();
        assert_eq!(attempts.next_at(), at(0));
        let mut waits = Vec::new();
        for _ in 0..8 {
            attempts = attempts.tried(at(100));
            waits.push(attempts.next_at().since(at(100)).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(attempts.works(at(120)), attempts);
        assert_eq!(attempts.works(at(130)), Attempts::default());
    }
}
