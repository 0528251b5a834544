//! Pure: what is offered in a handshake: protocols above TLS (ALPN, RFC 7301) and versions of TLS.

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// A protocol above TLS that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    H2,
    Http11,
}

impl Alpn {
    /// As it stands in a handshake.
    pub const fn id(self) -> &'static [u8] {
        match self {
            Self::H2 => b"h2",
            Self::Http11 => b"http/1.1",
        }
    }

    pub fn of(id: &[u8]) -> Option<Self> {
        [Self::H2, Self::Http11]
            .into_iter()
            .find(|alpn| alpn.id() == id)
    }
}

/// In order of preference, as rustls wants them.
pub(crate) fn ids(alpn: &[Alpn]) -> Vec<Vec<u8>> {
    alpn.iter().map(|alpn| alpn.id().to_vec()).collect()
}

/// A version of TLS. Older ones are not in rustls (RFC 8996 forbids them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    Tls12,
    Tls13,
}

impl Version {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    /// This one and those above it.
    pub(crate) const fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => &NEWEST,
        }
    }
}
