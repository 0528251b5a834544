//! Pure: how soon a keeper looks again when nothing woke it.

use std::time::Duration;

use super::decision::{Decision, Reason};
use super::diagnosis::Diagnosis;
use super::switchover;
use super::view::{Time, View};

/// When nothing happens: a replica's lag is known twice a second, and a look costs three statements of
/// 0.1 ms.
const TICK: Duration = Duration::from_millis(500);
/// While a replica is about to be of use.
const SETTLING: Duration = Duration::from_millis(100);
/// While writes wait.
const ELECTING: Duration = Duration::from_millis(25);

/// While a switchover is asked for: each look of a replica may end the wait of the writes that are held.
const HANDING_OVER: Duration = Duration::from_millis(50);

/// No later than this, whatever the decision.
pub fn at_latest(view: &View, now: Time) -> Option<Time> {
    switchover::is_asked(view).then(|| now.after(HANDING_OVER))
}

/// The next look after one at `now` that changed nothing.
pub fn next_look(decision: &Decision, now: Time) -> Time {
    let tick = match decision.diagnosis {
        Diagnosis::LagUnknown(_) | Diagnosis::SourceUnreachable { .. } | Diagnosis::NoState => {
            SETTLING
        }
        Diagnosis::LeaseFree { .. }
        | Diagnosis::Draining
        | Diagnosis::DrainStopped { .. }
        | Diagnosis::Switching => ELECTING,
        _ => TICK,
    };
    match decision.reason {
        Reason::StartNotBefore(time) => time.min(now.after(tick)),
        Reason::Announcing => now.after(ELECTING),
        _ => now.after(tick),
    }
}
