//! ProxySQL's place: applications connect here as to one database server. Writes go to the primary,
//! reads that are provably safe to a replica that has what the session has seen.
//!
//! Must not know: database (who is primary arrives in the snapshot), app.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

// the process, what it is told, what it answers
pub mod router;
pub mod run;
pub mod snapshot;

mod digests;
mod limits;
mod metrics;
mod slow;
pub mod statistics;
mod visitors;
mod worker;

// a client comes in
mod account;
mod asking;
mod known;
mod listening;
mod login;
mod proving;
mod refusing;
mod sessions;
mod tls;
mod users;

// its statements
mod intake;
mod session;

// what decides, without I/O: what a statement is, where it goes, what is sent first, what is learned
mod absorb;
mod explain;
mod prepared;
mod restore;
pub mod route;
mod state;
pub mod statement;

// the servers
mod loads;
mod pool;
mod relay;
mod server;
mod slots;
mod warm;

pub use run::{RunError, run};
