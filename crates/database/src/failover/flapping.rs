//! Pure: how long the next failover waits when there were many.
//!
//! A cause that comes back (a disk that is nearly full, a query that kills the server) would chase the
//! primary round the members. The first two failovers are at once; then each waits twice as long. It is
//! a wait and no refusal, so a site is never without a primary for good.

use std::time::Duration;

use crate::record::Change;

/// Changes within this time are counted.
const WINDOW_MS: u64 = 600_000;
const FREE: usize = 2;
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Before the next automatic change of primary. A time to come (a clock that was set back) counts too.
pub fn wait(history: &[Change], wall_ms: u64) -> Duration {
    let recent = history
        .iter()
        .skip(1)
        .filter(|change| wall_ms.saturating_sub(change.at_ms) < WINDOW_MS)
        .count();
    let Some(over) = recent.checked_sub(FREE) else {
        return Duration::ZERO;
    };
    let doubled = 2u32.saturating_pow(u32::try_from(over).unwrap_or(u32::MAX).min(16));
    (FIRST_WAIT * doubled).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Generation;
    use site::name::MemberName;

    #[test]
    fn the_third_waits_and_an_old_one_is_forgotten() {
        let change = |at_ms| Change {
            generation: Generation(1),
            primary: MemberName::new("db-1"),
            began: String::new(),
            at_ms,
            why: String::new(),
        };
        let mut history = vec![change(0)];
        let mut waits = Vec::new();
        for n in 0..9 {
            history.push(change(1_000_000 + n));
            waits.push(wait(&history, 1_000_100).as_secs());
        }
        assert_eq!(waits, [0, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait(&history, 2_000_000), Duration::ZERO);
    }
}
