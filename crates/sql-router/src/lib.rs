//! ProxySQL's place: applications connect here as to one database server. Writes go to the primary,
//! reads that are provably safe to a replica that has what the session has seen.
//!
//! Must not know: database (who is primary arrives in the snapshot), app.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

// what it is told, what it answers
pub mod snapshot;

// decisions
mod absorb;
mod restore;
pub mod route;
mod state;
pub mod statement;
