//! The wall clock: for people and for logs. Nothing is decided by it.

use std::time::SystemTime;

/// Milliseconds since 1970; 0 for a clock before that.
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
