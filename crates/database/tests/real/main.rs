//! The keeper against real mariadbd processes, on free loopback ports, in temporary directories.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests; clippy excuses only the tests themselves"
)]

mod bed;
mod hosts;
mod ledger;
mod sampler;

mod backups;
mod broken_replica;
mod controls;
mod crash;
mod failover;
mod first_start;
mod refused;
mod stopping;
mod storage;
mod switchover;
mod traps;
mod unfinished;
