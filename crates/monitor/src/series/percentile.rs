//! Pure: a percentile out of histogram buckets.
//!
//! As Prometheus' `histogram_quantile`: straight between the bounds of the bucket it falls into, from
//! zero in the first, and the last bound for everything above it.

/// `counts`: requests that took at most the bound of the same index, in `bounds`' unit; one more entry
/// than bounds counts those above the last. `share`: 0.99 for the 99th percentile. None without any.
pub(super) fn estimate(bounds: &[f64], counts: &[u64], share: f64) -> Option<f64> {
    let total = *counts.last()?;
    if total == 0 {
        return None;
    }
    let rank = share * total as f64;
    let (mut lower_bound, mut below) = (0.0, 0);
    for (&bound, &count) in bounds.iter().zip(counts) {
        if count as f64 >= rank && count > below {
            let inside = (rank - below as f64) / (count - below) as f64;
            return Some(lower_bound + (bound - lower_bound) * inside.clamp(0.0, 1.0));
        }
        (lower_bound, below) = (bound, count);
    }
    bounds.last().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::estimate;

    const BOUNDS: [f64; 3] = [10.0, 100.0, 1000.0];

    #[test]
    fn percentiles_lie_in_their_bucket() {
        let half = |counts: &[u64]| estimate(&BOUNDS, counts, 0.5);
        assert_eq!(half(&[]), None);
        assert_eq!(half(&[0, 0, 0]), None);
        assert_eq!(half(&[10, 10, 10]), Some(5.0));
        assert_eq!(half(&[0, 10, 10]), Some(55.0));
        // Four are in the first bucket; the fifth is the first of five in the second.
        assert_eq!(half(&[4, 9, 10]), Some(28.0));
        // More than half took longer than the last bound.
        assert_eq!(half(&[0, 0, 1, 10]), Some(1000.0));
    }

    proptest! {
        #[test]
        fn a_higher_share_is_never_quicker(
            added in prop::collection::vec(0_u64..1000, 4),
            shares in prop::collection::vec(0.0_f64..=1.0, 2),
        ) {
            let counts: Vec<u64> = added.iter().scan(0, |sum, n| { *sum += n; Some(*sum) }).collect();
            let (low, high) = (shares[0].min(shares[1]), shares[0].max(shares[1]));
            let (low, high) = (estimate(&BOUNDS, &counts, low), estimate(&BOUNDS, &counts, high));
            prop_assert_eq!(low.is_some(), added.iter().sum::<u64>() > 0);
            if let (Some(low), Some(high)) = (low, high) {
                prop_assert!(low <= high && (0.0..=1000.0).contains(&low) && high <= 1000.0);
            }
        }
    }
}
