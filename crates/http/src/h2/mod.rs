//! HTTP/2 (RFC 9113) on both sides, by one idea: a stream of HTTP/2 presents itself as a byte stream of
//! HTTP/1.1. What is read of it is text that `head` and `body` understand, what is written to it may be
//! what they write; so one exchange serves all four pairs of versions, and strictness has one place.
//!
//! Frames, HPACK and flow control are the `h2` crate's. Nothing here spawns: a role drives a `Session`
//! (clients) and a `Driver` (upstreams), in the order the modules stand.

pub mod preface;

mod carrier;
mod failure;
mod head_text;
mod meter;
mod tally;

mod inflow;
mod lift;
mod lower;
mod outflow;
pub mod websocket;

pub mod served;
pub mod server;

pub mod asked;
pub mod client;
pub mod links;

pub use asked::Asked;
pub use client::{Driver, Link};
pub use failure::Unprocessed;
pub use links::Links;
pub use served::{Gone, Served};
pub use server::{Accepted, Session};
