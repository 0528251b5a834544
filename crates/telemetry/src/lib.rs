//! What every crate uses to say what it does: events, logs, metrics, secrets that stay unsaid.
//!
//! Must not know: anything of ours.
#![forbid(unsafe_code)]

pub mod access_log;
pub mod event;
pub mod log;
pub mod metrics;
pub mod redact;
pub mod rotating_file;
pub mod wall_clock;

pub use event::{Event, Severity};
pub use redact::Secret;
