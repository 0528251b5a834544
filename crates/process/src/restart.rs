//! Pure: when a process that exited is started again.
//!
//! The first restart is immediate (a crash on a healthy machine should cost nothing), then the wait
//! doubles up to 10 s; a run of 30 s counts as healthy and starts the count anew. Compare systemd's
//! `RestartSec`/`RestartSteps` and Kubernetes' CrashLoopBackOff (10 s doubling to 5 min, reset after
//! 10 min), which are slower because a restart there costs more.

use std::time::Duration;

/// A run at least this long was a good one.
const HEALTHY_RUN: Duration = Duration::from_secs(30);
/// The wait after the second exit in a row.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Short runs in a row that are called a crash loop (and alerted).
pub const CRASH_LOOP: u32 = 4;

/// What is remembered of the former runs of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    /// Short runs in a row.
    pub short_runs: u32,
}

/// The answer to an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    pub after: Duration,
    pub crash_looping: bool,
    pub history: History,
}

/// `ran_for`: from the start (or, where there is a health gate, from ready) to the exit.
pub fn after_exit(history: History, ran_for: Duration) -> Restart {
    let short_runs = if ran_for >= HEALTHY_RUN {
        1
    } else {
        history.short_runs.saturating_add(1)
    };
    let after = match short_runs {
        0 | 1 => Duration::ZERO,
        n => (FIRST_WAIT * 2u32.saturating_pow((n - 2).min(16))).min(LONGEST_WAIT),
    };
    Restart {
        after,
        crash_looping: short_runs >= CRASH_LOOP,
        history: History { short_runs },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_a_good_run_resets_it() {
        let mut history = History::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let restart = after_exit(history, Duration::from_secs(1));
            waits.push(restart.after.as_millis());
            history = restart.history;
        }
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 4000, 8000, 10000, 10000]);
        let restart = after_exit(history, Duration::from_secs(31));
        assert_eq!(restart.after, Duration::ZERO);
        assert!(!restart.crash_looping);
    }

    #[test]
    fn the_fourth_short_run_is_a_crash_loop() {
        let mut history = History::default();
        let looping: Vec<bool> = (0..4)
            .map(|_| {
                let restart = after_exit(history, Duration::ZERO);
                history = restart.history;
                restart.crash_looping
            })
            .collect();
        assert_eq!(looping, [false, false, false, true]);
    }
}
