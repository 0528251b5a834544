//! Pure: what a PROXY header says.

use std::net::SocketAddr;

/// Who connects to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The sender speaks for itself (a health check): the connection's own addresses are meant.
    Local,
    /// It speaks for somebody whose address it cannot tell (a unix socket, or not IP at all).
    Unknown,
    Known {
        source: SocketAddr,
        destination: SocketAddr,
    },
}

/// All of it. Version 1 has nothing but the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub origin: Origin,
    /// The server name the client asked for (SNI).
    pub authority: Option<String>,
    /// The protocol chosen above TLS.
    pub alpn: Option<Vec<u8>>,
}

impl Claim {
    pub const fn of(origin: Origin) -> Self {
        Self {
            origin,
            authority: None,
            alpn: None,
        }
    }
}

/// A claim as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub claim: Claim,
    /// Bytes it took.
    pub length: usize,
}

/// Both addresses in one family, as a header needs them: IPv4 in IPv6 where they differ.
pub(super) fn one_family(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let six = |address: SocketAddr| match address {
        SocketAddr::V4(four) => SocketAddr::new(four.ip().to_ipv6_mapped().into(), four.port()),
        SocketAddr::V6(_) => address,
    };
    (six(source), six(destination))
}
