//! Parts for HTTP/1.1, and HTTP/2 in its clothes (`h2`), in the order bytes meet them. Not a framework: a role owns its loop and calls
//! these; nothing here calls back.
//!
//! Must not know: routes, backends, files. Source of the rules: RFC 9110 (semantics), RFC 9112
//! (HTTP/1.1); where a part is stricter than its source, the part says so.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod limits;
pub mod workers;

pub mod deadline;
pub mod front;
pub mod proxy_protocol;
pub mod socket;
pub mod stream;
pub mod tls;

pub mod buffer;
mod free_buffers;
pub mod head;

pub mod body;
pub mod copy;

pub mod client;
pub mod exchange;
pub mod h2;
pub mod parked;
pub mod pool;
pub mod server;
pub mod shared_idle;
pub mod upgrade;

pub mod counts;
pub mod fault;
pub mod retry;

pub use buffer::Buffer;
pub use deadline::Deadline;
pub use fault::{Fault, Kind, Phase, Side};
pub use socket::Socket;
pub use stream::Stream;
