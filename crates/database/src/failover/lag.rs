//! Pure: how far a replica is behind, from the newest heartbeat it has applied.
//!
//! `Seconds_Behind_Master` is not used: it has whole seconds and jumped to 11 and 99 for idle
//! backlogs (measured, MariaDB 10.11). The primary's keeper writes the time into a table; what the
//! replica has of it is how old its data may be.
//!
//! Both times are wall clocks. On one machine it is the same clock; between machines their
//! difference is in the lag (clocks kept by NTP differ by a few milliseconds; a clock that is wrong
//! by more than `max_lag` takes its replica out of use or hides its lag).

use std::time::Duration;

/// Between two heartbeats. One is a transaction: two fsyncs on each server and about 340 bytes of
/// binary log, so 30 MB a day at one per second (measured); twice as often would double that for a
/// resolution nobody decides by (`max_lag` is seconds).
pub const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Both in microseconds since 1970. A heartbeat that was just applied is on average half an interval
/// old although nothing is missing: that half is taken off.
pub fn lag(now_us: i64, newest_beat_us: i64) -> Duration {
    let age = u64::try_from(now_us.saturating_sub(newest_beat_us)).unwrap_or(0);
    Duration::from_micros(age).saturating_sub(BEAT_INTERVAL / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_age_less_half_an_interval_and_never_negative() {
        let ms = |n: i64| lag(n * 1000, 0).as_millis();
        assert_eq!([ms(0), ms(400), ms(600), ms(5500)], [0, 0, 100, 5000]);
        assert_eq!(lag(0, 10_000_000), Duration::ZERO, "a clock ahead of ours");
        assert_eq!(lag(i64::MAX, i64::MIN), lag(i64::MAX, 0));
    }
}
