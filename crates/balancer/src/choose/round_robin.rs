//! Pure: smooth weighted round robin (nginx's algorithm) as a rotation computed once per change of
//! health or weights: with weights 5, 1, 1 it is a a b a c a a and not a a a a a b c. Serving a request
//! is then one step of a counter shared by all threads, so the shares are exact.

use super::stride::{Stride, gcd};

/// The order in which endpoints are used, by index; each up endpoint stands in it as often as its
/// weight says, divided by the weights' greatest common divisor.
pub fn rotation(weights: &[u16], up: &[bool]) -> Vec<usize> {
    let of_up = |(weight, up): (&u16, &bool)| if *up { u32::from(*weight) } else { 0 };
    smooth(weights.iter().zip(up).map(of_up))
}

/// Turns of the longest rotation: with more, `Stride` takes its place, whose order is nearly as even
/// and which needs neither memory nor the square of this to be made.
const LONGEST: u64 = 1024;

/// Whose turn it is, for any weights.
#[derive(Debug)]
pub(super) enum Turns {
    Rotation(Box<[usize]>),
    Stride(Stride),
}

impl Turns {
    pub(super) fn new(weights: impl Iterator<Item = u32> + Clone) -> Self {
        let stride = Stride::new(weights.clone());
        if stride.total() <= LONGEST {
            Self::Rotation(smooth(weights).into())
        } else {
            Self::Stride(stride)
        }
    }

    /// A position in the list of weights.
    pub(super) fn position(&self, turn: u64) -> usize {
        match self {
            Self::Rotation(order) => turn
                .checked_rem(order.len() as u64)
                .and_then(|at| order.get(usize::try_from(at).ok()?).copied()),
            Self::Stride(stride) => stride.position(turn),
        }
        .unwrap_or(0)
    }
}

/// As often as the weight of each says; 0: never.
fn smooth(weights: impl Iterator<Item = u32>) -> Vec<usize> {
    let mut running: Vec<(usize, i64, i64)> = weights
        .enumerate()
        .filter(|(_, weight)| *weight > 0)
        .map(|(index, weight)| (index, i64::from(weight), 0))
        .collect();
    let divisor = running.iter().fold(0, |divisor, (_, weight, _)| {
        gcd(divisor, weight.unsigned_abs())
    });
    let divisor = i64::try_from(divisor).unwrap_or(1).max(1);
    for (_, weight, _) in &mut running {
        *weight /= divisor;
    }
    let total: i64 = running.iter().map(|(_, weight, _)| weight).sum();
    let mut order = Vec::new();
    for _ in 0..total {
        for (_, weight, current) in &mut running {
            *current += *weight;
        }
        // The first of the largest: ties go by position.
        let mut best: Option<&mut (usize, i64, i64)> = None;
        for candidate in &mut running {
            if best.as_ref().is_none_or(|best| candidate.2 > best.2) {
                best = Some(candidate);
            }
        }
        if let Some((index, _, current)) = best {
            *current -= total;
            order.push(*index);
        }
    }
    order
}

/// The endpoint at `turn`, or the next in the rotation that has not been tried.
pub fn choose(rotation: &[usize], turn: u64, tried: &[usize]) -> Option<usize> {
    let length = rotation.len();
    let start = usize::try_from(turn % (length.max(1) as u64)).unwrap_or(0);
    (0..length)
        .filter_map(|step| rotation.get((start + step) % length).copied())
        .find(|index| !tried.contains(index))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_weights_alternate() {
        assert_eq!(rotation(&[1, 1], &[true, true]), [0, 1]);
        assert_eq!(rotation(&[100, 100], &[true, true]), [0, 1]);
        assert_eq!(rotation(&[1, 1, 1], &[true, false, true]), [0, 2]);
        assert_eq!(rotation(&[1, 1], &[false, false]), [0_usize; 0]);
    }

    #[test]
    fn weights_are_spread_out() {
        assert_eq!(rotation(&[5, 1, 1], &[true; 3]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn what_was_tried_is_passed_over() {
        assert_eq!(choose(&[0, 1], 2, &[]), Some(0));
        assert_eq!(choose(&[0, 1], 2, &[0]), Some(1));
        assert_eq!(choose(&[0, 1], 2, &[0, 1]), None);
        assert_eq!(choose(&[], 2, &[]), None);
    }

    proptest! {
        #[test]
        fn shares_are_exactly_the_weights(weights in proptest::collection::vec(1_u16..=256, 1..8)) {
            let order = rotation(&weights, &vec![true; weights.len()]);
            let total: usize = weights.iter().map(|w| usize::from(*w)).sum();
            for (index, weight) in weights.iter().enumerate() {
                let share = order.iter().filter(|i| **i == index).count();
                prop_assert_eq!(share * total, usize::from(*weight) * order.len());
            }
        }

        #[test]
        fn an_untried_endpoint_is_found_whenever_there_is_one(
            weights in proptest::collection::vec(1_u16..=9, 1..6),
            turn in any::<u64>(),
            tried in proptest::collection::vec(0_usize..6, 0..6),
        ) {
            let order = rotation(&weights, &vec![true; weights.len()]);
            let left = (0..weights.len()).any(|index| !tried.contains(&index));
            let chosen = choose(&order, turn, &tried);
            prop_assert_eq!(chosen.is_some(), left);
            prop_assert!(chosen.is_none_or(|index| !tried.contains(&index)));
        }
    }
}
