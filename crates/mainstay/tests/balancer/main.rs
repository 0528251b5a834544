//! A balancer alone, through the real binary and real sockets. Its endpoints are small servers made by
//! the tests, which count, delay, break off and refuse.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on must end, and says why"
)]

mod access_log;
mod alone;
mod authority;
mod choosing;
mod client;
mod endpoint;
mod health;
mod http2;
mod limits;
mod proxy_protocol;
mod queue;
mod retries;
mod routing;
mod running;
mod tls;
mod two;
