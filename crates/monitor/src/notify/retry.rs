//! Pure: whether and when a post that failed is tried again.

use std::time::Duration;

use crate::limits::Webhook;

/// How an attempt ended that did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For people; never has the address in it, which is a secret.
    pub(crate) why: String,
    /// Another attempt may do better.
    pub(crate) passing: bool,
}

/// Answers that another attempt may better: timeout, too early, too many, and every fault of the
/// receiver (RFC 9110 section 15, RFC 6585). Any other answer will be the same again.
pub(crate) fn passing_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// The wait before the next attempt, after `attempts` of them; `None`: give up.
pub(crate) fn after(attempts: u32, failure: &Failure, limits: &Webhook) -> Option<Duration> {
    if !failure.passing || attempts >= limits.attempts {
        return None;
    }
    // 16: no shift past the longest wait anybody would set.
    let factor = 2_u32.pow(attempts.saturating_sub(1).min(16));
    Some(
        limits
            .first_wait
            .saturating_mul(factor)
            .min(limits.longest_wait),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(passing: bool) -> Vec<u64> {
        let limits = Webhook::default();
        let failure = Failure {
            why: String::new(),
            passing,
        };
        (1..)
            .map_while(|attempts| after(attempts, &failure, &limits))
            .map(|wait| wait.as_secs())
            .collect()
    }

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_there_is_an_end() {
        assert_eq!(waits(true), [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        assert_eq!(waits(false), [] as [u64; 0]);
        assert!(passing_status(503) && passing_status(429));
        assert!(!passing_status(404) && !passing_status(302));
    }
}
