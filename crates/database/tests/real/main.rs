//! The keeper against real mariadbd processes, on free loopback ports, in temporary directories.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests; clippy excuses only the tests themselves"
)]

mod bed;

mod backups;
mod broken_replica;
mod crash;
mod first_start;
mod refused;
mod stopping;
mod storage;
mod unfinished;
