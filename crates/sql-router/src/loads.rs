//! What each replica has to do for this thread, and how quick it has been: which one is asked next.

use std::cell::RefCell;
use std::time::Duration;

use site::name::MemberName;

/// Quicker than this is all the same: a statement that does nothing takes about as long.
const QUICK: f64 = 100.0;
/// A newer time weighs one in so many.
const WEIGHT: f64 = 16.0;

/// A handful: looking through them is quicker than hashing.
#[derive(Debug, Default)]
pub(crate) struct Loads(RefCell<Vec<(MemberName, Load)>>);

#[derive(Debug, Default, Clone, Copy)]
struct Load {
    at_work: u32,
    /// Of the last statements, in microseconds, newer ones weighing more.
    recent: f64,
}

impl Loads {
    /// A statement goes there.
    pub(crate) fn begin(&self, member: &MemberName) {
        let mut loads = self.0.borrow_mut();
        match loads.iter_mut().find(|(name, _)| name == member) {
            Some((_, load)) => load.at_work += 1,
            None => {
                let load = Load {
                    at_work: 1,
                    recent: 0.0,
                };
                loads.push((member.clone(), load));
            }
        }
    }

    /// And is answered, or will never be.
    pub(crate) fn end(&self, member: &MemberName, took: Duration) {
        let mut loads = self.0.borrow_mut();
        if let Some((_, load)) = loads.iter_mut().find(|(name, _)| name == member) {
            let us = took.as_secs_f64() * 1e6;
            load.at_work = load.at_work.saturating_sub(1);
            load.recent += (us - load.recent) / WEIGHT;
        }
    }

    /// How long one more would take there, roughly: those at work, times what one takes, and more for each
    /// second that it is behind.
    pub(crate) fn cost(&self, member: &MemberName, lag: Duration) -> f64 {
        let loads = self.0.borrow();
        let found = loads.iter().find(|(name, _)| name == member);
        let load = found.map(|(_, load)| *load).unwrap_or_default();
        let queue = f64::from(load.at_work) + 1.0;
        queue * load.recent.max(QUICK) * (1.0 + lag.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn work_time_and_lag_make_a_replica_dear() {
        let (loads, one, two) = (
            Loads::default(),
            MemberName::new("one"),
            MemberName::new("two"),
        );
        assert!(loads.cost(&one, NOW) <= loads.cost(&two, NOW));
        assert!(loads.cost(&one, NOW) < loads.cost(&two, Duration::from_secs(1)));
        loads.begin(&one);
        assert!(loads.cost(&one, NOW) > loads.cost(&two, NOW));
        loads.end(&one, Duration::from_millis(50));
        assert!(loads.cost(&one, NOW) > 10.0 * loads.cost(&two, NOW));
        // Forgotten when it is quick again.
        for _ in 0..200 {
            loads.begin(&one);
            loads.end(&one, Duration::from_micros(50));
        }
        assert!((loads.cost(&one, NOW) - loads.cost(&two, NOW)).abs() < 1.0);
    }
}
