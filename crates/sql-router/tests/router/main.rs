//! The router between a real client and real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[expect(dead_code, reason = "of another test too: this one needs less of it")]
#[path = "../bed/mod.rs"]
mod bed;
mod certificates;
mod failures;
mod handover;
mod hostile;
mod login;
mod modern_client;
mod old_client;
mod plugins;
mod protocol;
mod raw;
mod sharing;
mod split;
mod tls;
