//! The router between a real client and real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "../bed/mod.rs"]
mod bed;
mod failures;
mod login;
mod old_client;
mod protocol;
mod sharing;
mod split;
