//! Whole sites through the real binary: real processes, real sockets, a real MariaDB.
//!
//! `foobar` (examples/foobar) and `test_app` (examples/ of this package) are the applications; `make
//! test` builds both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on must end, and says why"
)]

mod alerts;
mod backups;
mod bad_starts;
mod client;
mod cluster;
mod harness;
mod http;
mod https;
mod operation;
mod static_files;
mod supervision;
mod verbs;
mod visitors;
mod whole_site;
