//! Pure: weighted turns without a list of all of them, for backends whose rotation would be long
//! (different weights, many endpoints, slow start).
//!
//! With a sum of weights W, the turns 0 to W-1 are taken in steps of about W/φ modulo W. The step has no
//! divisor in common with W, so that W turns meet every place once and shares are exact; steps of the
//! golden section spread what follows each other as evenly as can be (the three-distance theorem). Each
//! endpoint has as many places as its weight, side by side. One multiplication and a binary search.

/// Position in a list ↔ turn.
#[derive(Debug, Clone)]
pub(super) struct Stride {
    /// Sums of the weights up to and with each position.
    sums: Box<[u64]>,
    total: u64,
    step: u64,
}

impl Stride {
    pub(super) fn new(weights: impl Iterator<Item = u32> + Clone) -> Self {
        let divisor = weights.clone().fold(0, |a, b| gcd(a, u64::from(b))).max(1);
        let mut total = 0;
        let sums: Box<[u64]> = weights
            .map(|weight| {
                total += u64::from(weight) / divisor;
                total
            })
            .collect();
        // 1/φ in 2^32ths.
        let near = (u128::from(total) * 0x9E37_79B9 + (1 << 31)) >> 32;
        let near = u64::try_from(near).unwrap_or(1);
        let candidates = near.saturating_sub(TRIED)..=near.saturating_add(TRIED);
        let step = candidates
            .filter_map(|step| Some((unevenness(step, total)?, near.abs_diff(step), step)))
            .min()
            .map_or(1, |(.., step)| step);
        Self { sums, total, step }
    }

    /// None: there are no weights.
    pub(super) fn position(&self, turn: u64) -> Option<usize> {
        let place = u128::from(turn.checked_rem(self.total)?) * u128::from(self.step);
        let place = u64::try_from(place % u128::from(self.total)).ok()?;
        Some(self.sums.partition_point(|sum| *sum <= place))
    }

    /// Turns after which everyone has had his exact share.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

/// Steps looked at on either side of the golden section.
const TRIED: u64 = 64;

/// The largest partial quotient of step / total: what decides how evenly multiples of a step lie
/// (Kuipers, Niederreiter: "Uniform Distribution of Sequences", theorem 2.3.4). None: a divisor in common.
fn unevenness(step: u64, total: u64) -> Option<u64> {
    let (mut a, mut b, mut largest) = (total, step, 0);
    while b != 0 {
        largest = largest.max(a / b);
        (a, b) = (b, a % b);
    }
    (a == 1).then_some(largest)
}

pub(super) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_weights_are_as_short_as_can_be() {
        let stride = Stride::new([256_u32; 1000].into_iter());
        assert_eq!(stride.total(), 1000);
        assert_eq!(Stride::new([].into_iter()).position(3), None);
    }

    #[test]
    fn a_heavy_endpoint_is_spread_out() {
        let stride = Stride::new([500, 250, 250].into_iter());
        let turns: Vec<usize> = (0..8).filter_map(|turn| stride.position(turn)).collect();
        let heavy = turns.iter().filter(|position| **position == 0).count();
        assert_eq!(heavy, 4, "{turns:?}");
    }

    proptest! {
        #[test]
        fn shares_are_exactly_the_weights(weights in proptest::collection::vec(0_u32..=300, 1..40)) {
            let stride = Stride::new(weights.iter().copied());
            let mut counts = vec![0_u64; weights.len()];
            for turn in 7..7 + stride.total() {
                counts[stride.position(turn).unwrap()] += 1;
            }
            let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert_eq!(count * sum, u64::from(*weight) * stride.total());
            }
        }

        /// Nobody is ahead of or behind its share by more than a few turns.
        #[test]
        fn turns_are_even(weights in proptest::collection::vec(1_u32..=256, 2..10), from in any::<u32>()) {
            let stride = Stride::new(weights.iter().copied());
            let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            let mut counts = vec![0_f64; weights.len()];
            for n in 0..200 {
                counts[stride.position(u64::from(from) + n).unwrap()] += 1.0;
                for (count, weight) in counts.iter().zip(&weights) {
                    let due = (n + 1) as f64 * f64::from(*weight) / sum;
                    prop_assert!((count - due).abs() < 6.0, "{count} {due}");
                }
            }
        }
    }
}
