//! Pure: when an endpoint is up or down.
//!
//! HAProxy's `rise` and `fall`: so many results in a row change the state. The first result of an
//! endpoint that was never asked decides at once: neither is a site down at its start until everything
//! was asked twice, nor does a dead endpoint get requests because nobody looked.
//!
//! While results contradict the state, the next question comes sooner (`interval_in_doubt`; HAProxy's
//! `fastinter`), so that a dead endpoint is out soon without everybody being asked all the time.

use std::time::Duration;

use site::target::balancer::HealthCheck;

/// What is remembered of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    pub state: State,
    /// Results in a row that contradict the state.
    against: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Not asked yet: gets requests, since most endpoints are up and a retry covers the others.
    #[default]
    Unknown,
    Up,
    Down,
}

impl State {
    pub fn takes_requests(self) -> bool {
        self != Self::Down
    }
}

impl History {
    /// The last results say otherwise than the state.
    pub fn in_doubt(self) -> bool {
        self.against > 0
    }
}

/// When to ask next. `random` makes it up to a tenth sooner or later, so that endpoints, and balancers,
/// do not all ask at the same moment.
pub fn next(history: History, check: &HealthCheck, random: u64) -> Duration {
    let interval = if history.in_doubt() {
        check.interval_in_doubt
    } else {
        check.interval
    };
    let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    let fifth = u128::from(nanos / 5) * u128::from(random);
    let jitter = u64::try_from(fifth >> 64).unwrap_or(0);
    Duration::from_nanos((nanos - nanos / 10).saturating_add(jitter))
}

/// The history after a result, and whether the state changed.
pub fn judge(history: History, success: bool, rise: u32, fall: u32) -> (History, bool) {
    let agrees = match history.state {
        State::Unknown => {
            let state = if success { State::Up } else { State::Down };
            return (History { state, against: 0 }, true);
        }
        State::Up => success,
        State::Down => !success,
    };
    if agrees {
        return (
            History {
                against: 0,
                ..history
            },
            false,
        );
    }
    let against = history.against + 1;
    let (needed, other) = match history.state {
        State::Up | State::Unknown => (fall, State::Down),
        State::Down => (rise, State::Up),
    };
    if against >= needed.max(1) {
        (
            History {
                state: other,
                against: 0,
            },
            true,
        )
    } else {
        (History { against, ..history }, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(results: &[bool]) -> Vec<State> {
        let mut history = History::default();
        results
            .iter()
            .map(|success| {
                history = judge(history, *success, 2, 3).0;
                history.state
            })
            .collect()
    }

    #[test]
    fn the_first_result_decides() {
        assert_eq!(run(&[true]), [State::Up]);
        assert_eq!(run(&[false]), [State::Down]);
    }

    #[test]
    fn in_doubt_it_is_asked_sooner() {
        let check = HealthCheck {
            ask: site::target::balancer::Ask::Tcp,
            tls: false,
            port: None,
            interval: Duration::from_secs(10),
            interval_in_doubt: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
        };
        let seconds = |history, random| next(history, &check, random).as_secs_f64();
        let (up, _) = judge(History::default(), true, 2, 3);
        assert!((8.99..9.01).contains(&seconds(up, 0)));
        assert!((9.99..10.01).contains(&seconds(up, u64::MAX / 2)));
        assert!((10.99..11.01).contains(&seconds(up, u64::MAX)));
        let (doubt, _) = judge(up, false, 2, 3);
        assert!((0.89..0.91).contains(&seconds(doubt, 0)));
        let (again, _) = judge(doubt, true, 2, 3);
        assert!((8.99..9.01).contains(&seconds(again, 0)));
    }

    #[test]
    fn rise_and_fall_count_results_in_a_row() {
        use State::{Down, Up};
        assert_eq!(
            run(&[
                true, false, false, true, false, false, false, true, false, true, true
            ]),
            [Up, Up, Up, Up, Up, Up, Down, Down, Down, Down, Up]
        );
    }
}
