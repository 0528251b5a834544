//! What people see of a site and when they are called: its state as one value, the event log, the live
//! page, alerts.
//!
//! Must not know: roles, agent. Everything arrives as a `SiteStatus` or an `Event`.
#![forbid(unsafe_code)]

// What comes in.
pub mod events;
pub mod status;

// What is made of it.
pub mod alert;
pub mod series;

// Who gets it.
mod dashboard;
mod notify;

// The parts put together.
pub mod limits;
mod start;
mod watcher;

pub use limits::Limits;
pub use start::{Monitor, Parts, start, start_with};
