//! Pure: the margins of the lease, and who may do what until when.
//!
//! There is no clock that two servers share. The holder counts from before it *sent* a renewal, on its
//! own clock; a candidate counts from when it first *saw* that renewal, on its own clock. The second
//! moment is never before the first, so waiting out the whole time plus what two clocks may drift apart
//! is enough; no expiry on the side of the store is trusted (etcd 3.4 has revoked live leases,
//! etcd#15247). The key's revision is the token: whoever takes the lease over writes on the revision it
//! waited out, and a renewal in between makes that write fail.

use std::time::Duration;

use super::view::{Held, Time, View};
use crate::record::{Lease, StateRecord};

/// How long a renewal is good for.
pub const TTL: Duration = Duration::from_secs(5);
/// Between two renewals: two may fail before the server is fenced.
pub const RENEW_EVERY: Duration = Duration::from_secs(2);
/// Before the end, for the fence: SIGKILL ends mariadbd in 10 to 60 ms (measured, 10.11); the rest
/// is for a machine that is slow at this very moment.
pub const FENCE_MARGIN: Duration = Duration::from_secs(1);
/// Two clocks may differ by this many parts per thousand in rate: a quartz is 0.1 at worst, NTP slews
/// by 0.5 at most (adjtimex(2)), and the rest is room.
pub const DRIFT_PER_MILLE: u32 = 10;

/// When the holder renews next.
pub fn renew_by(held: &Held) -> Time {
    held.sent.after(RENEW_EVERY)
}

/// From here on the holder's server takes no writes: it is killed.
pub fn fence_by(held: &Held) -> Time {
    held.sent.after(TTL.saturating_sub(FENCE_MARGIN))
}

/// When the lease seen first at `seen` is over for everybody else.
pub fn may_campaign(seen: Time) -> Time {
    seen.after(TTL + TTL * (2 * DRIFT_PER_MILLE) / 1000)
}

/// Since when nobody holds the lease of this state, as far as this member can tell.
pub fn free_since(view: &View, state: &StateRecord) -> Time {
    match state.lease {
        Lease::Released => view.seen_at,
        Lease::Held => may_campaign(view.seen_at),
    }
}

/// The state in the store is what this member wrote last, nothing that it sent is under way still, and
/// there is time left. Only then may its server be made writable, or need fewer acknowledgements.
pub fn is_mine(view: &View, state: &StateRecord, now: Time) -> bool {
    let Some(held) = &view.held else { return false };
    held.settled
        && held.revision == state.revision
        && state.lease == Lease::Held
        && now < fence_by(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The holder's clock is slow, the candidate's fast, both at their worst: in true time the fence is
    /// long over when the first candidate may write.
    #[test]
    fn the_fence_is_over_before_anybody_campaigns_whatever_the_clocks() {
        let ms = |time: Time| i64::try_from(time.0.as_millis()).unwrap();
        for sent in [0u64, 1, 7_000] {
            let held = Held {
                revision: 1,
                sent: Time(Duration::from_millis(sent)),
                settled: true,
            };
            // Seen at the very moment it was sent.
            let drift = i64::from(DRIFT_PER_MILLE);
            let fenced_after = (ms(fence_by(&held)) - ms(held.sent)) * 1000 / (1000 - drift);
            let campaign_after =
                (ms(may_campaign(held.sent)) - ms(held.sent)) * 1000 / (1000 + drift);
            assert!(fenced_after + 900 < campaign_after);
            assert!(renew_by(&held) < fence_by(&held));
        }
    }
}
