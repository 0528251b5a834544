//! The PROXY protocol, both versions: who really connects, told by a balancer in front of us, or by us to
//! a server behind us. Source: HAProxy's `doc/proxy-protocol.txt`.
//!
//! To be read only from senders that are trusted: whoever may send it may be anybody.

pub mod claim;
pub mod crc32c;
pub mod receive;
#[cfg(test)]
mod tests;
pub mod v1;
pub mod v2;

pub use claim::{Claim, Header, Origin};
pub use receive::receive;

use crate::fault::Kind;

/// Reads a header of either version from the beginning of a connection. `Ok(None)`: more is needed.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Kind> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => v1::parse(bytes),
        Some(_) => v2::parse(bytes),
    }
}
