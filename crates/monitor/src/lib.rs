//! What people see of a site and when they are called: its state as one value, the event log, the live
//! page, alerts.
//!
//! Must not know: roles, agent. Everything arrives as a `SiteStatus` or an `Event`.
#![forbid(unsafe_code)]

pub mod events;
pub mod status;

mod start;

pub use start::{Monitor, Parts, start};
