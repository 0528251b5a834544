//! Pure: a server's own clock: it began at another moment and runs at another rate, within the bound that
//! the lease's margins allow for.

use std::time::Duration;

use database::failover::lease::DRIFT_PER_MILLE;
use database::failover::view::Time;

use crate::chance::Chance;

/// True time, microseconds since the run began. Nobody in the run can read it.
pub type Us = u64;

pub const MS: Us = 1_000;
pub const S: Us = 1_000_000;

/// How one server sees time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Parts per thousand faster or slower.
    drift: i64,
    offset: Us,
}

impl Clock {
    pub fn new(chance: &mut Chance) -> Self {
        let bound = u64::from(DRIFT_PER_MILLE);
        // The extremes are where the margins are used up.
        let drift = match chance.between(0, 4) {
            0 => 0,
            1 => bound as i64,
            2 => -(bound as i64),
            _ => chance.between(0, 2 * bound + 1) as i64 - bound as i64,
        };
        Self {
            drift,
            offset: chance.between(0, 1000 * S),
        }
    }

    pub fn read(&self, now: Us) -> Time {
        let own = now as i64 + now as i64 * self.drift / 1000;
        Time(Duration::from_micros(self.offset + own as u64))
    }

    /// The true moment when this clock shows `time`.
    pub fn when(&self, time: Time) -> Us {
        let own = time.0.as_micros() as i64 - self.offset as i64;
        (own.max(0) * 1000 / (1000 + self.drift)) as Us
    }
}
