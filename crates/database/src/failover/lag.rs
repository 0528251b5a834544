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

/// Both in microseconds since 1970. The newest heartbeat of a replica that has everything is up to one
/// interval old: that is taken off, so that only what is certainly missing counts. The lag shown is the
/// real one or up to an interval less, never more.
pub fn lag(now_us: i64, newest_beat_us: i64) -> Duration {
    let age = u64::try_from(now_us.saturating_sub(newest_beat_us)).unwrap_or(0);
    Duration::from_micros(age).saturating_sub(BEAT_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_age_less_an_interval_and_never_negative() {
        let ms = |n: i64| lag(n * 1000, 0).as_millis();
        assert_eq!([ms(0), ms(900), ms(1100), ms(5500)], [0, 0, 100, 4500]);
        assert_eq!(lag(0, 10_000_000), Duration::ZERO, "a clock ahead of ours");
        assert_eq!(lag(i64::MAX, i64::MIN), lag(i64::MAX, 0));
    }
}
