//! Pure: when an endpoint is up or down.
//!
//! HAProxy's `rise` and `fall`: so many results in a row change the state. The first result of an
//! endpoint that was never asked decides at once: neither is a site down at its start until everything
//! was asked twice, nor does a dead endpoint get requests because nobody looked.

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
