//! The router between a real client and real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[expect(dead_code, reason = "of another test too: this one needs less of it")]
#[path = "../bed/mod.rs"]
mod bed;
mod failures;
mod handover;
mod login;
mod old_client;
mod protocol;
mod sharing;
mod split;
