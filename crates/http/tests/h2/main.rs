//! HTTP/2 from outside: a role as small as possible (`role`), between real peers of the `h2` crate, or
//! frames written by hand (`raw`), and applications of HTTP/1.1 and HTTP/2.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the report"
)]

// The name that other crates know it by.
extern crate mainstay_http as http;

mod raw;
mod role;

mod bodies;
mod ending;
mod floods;
mod link;
mod requests;
mod smuggling;
mod upstream;
mod websocket;
