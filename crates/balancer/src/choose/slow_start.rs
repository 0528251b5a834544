//! Pure: an endpoint that has come up gets its share little by little, so that empty caches and a cold
//! process do not meet full traffic. A straight line from a tenth (Envoy's `min_weight_percent`; less
//! would leave a weight of 1 with next to nothing) to all, over `slow_start`.

use std::time::Duration;

/// The whole share; less is so many 256ths of it.
pub const FULL: u16 = 256;
/// A tenth.
const LEAST: u64 = 26;
/// Steps in which the share grows: each is a new rotation.
const STEPS: u32 = 20;

/// The share of an endpoint that has been up for so long.
pub fn share(up: Duration, slow_start: Duration) -> u16 {
    if up >= slow_start {
        return FULL;
    }
    let full = u128::from(FULL);
    let part = up.as_nanos() * full / slow_start.as_nanos().max(1);
    let part = u64::try_from(part).unwrap_or(0).max(LEAST);
    u16::try_from(part).unwrap_or(FULL).min(FULL)
}

/// After how long the shares have to be computed anew; none: this endpoint has its whole share.
pub fn next(up: Duration, slow_start: Duration) -> Option<Duration> {
    let left = slow_start.checked_sub(up).filter(|left| !left.is_zero())?;
    Some(left.min(slow_start / STEPS).max(Duration::from_millis(100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_in_a_straight_line() {
        let slow = Duration::from_secs(100);
        let after = |seconds| share(Duration::from_secs(seconds), slow);
        assert_eq!((after(0), after(5)), (26, 26));
        assert_eq!((after(25), after(50), after(75)), (64, 128, 192));
        assert_eq!((after(100), after(1000)), (FULL, FULL));
        assert_eq!(share(Duration::ZERO, Duration::ZERO), FULL);
    }

    #[test]
    fn it_is_computed_anew_until_it_is_full() {
        let slow = Duration::from_secs(20);
        assert_eq!(next(Duration::ZERO, slow), Some(Duration::from_secs(1)));
        assert_eq!(
            next(Duration::from_millis(19_500), slow),
            Some(Duration::from_millis(500))
        );
        assert_eq!(next(slow, slow), None);
        assert_eq!(next(Duration::ZERO, Duration::ZERO), None);
    }
}
