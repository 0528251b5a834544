//! One server: makes it what its `ServerTarget` says. So far for all servers of a site in one process
//! (`mainstay up`); the only crate that knows all roles.
//!
//! `local` is the life of a site under `up`: claim, bring up, keep, stop. `wiring` says, purely, what
//! each role is told of the others.
#![forbid(unsafe_code)]

// the life of a site
pub mod local;
pub mod progress;
mod up_error;

// what is claimed before anything runs
mod listeners;
pub mod state_dir;

// what is kept running
mod app_side;
mod backup_side;
mod balancer_side;
pub mod database_side;
mod role_process;
mod sql_side;

// what each is told, and what all of it looks like
mod known;
mod statuses;
mod wiring;

// the data back from its backups
pub mod restoring;

// the rim
pub mod admin;
