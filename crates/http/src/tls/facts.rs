//! What a handshake has established.

use rustls::{CommonState, HandshakeKind, ProtocolVersion};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsStream;

use super::offer::{Alpn, Version};
use super::subject;
use crate::stream::Stream;

/// For decisions and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub alpn: Option<Alpn>,
    /// The name the client asked for, in lower case; `None` on a connection to an upstream.
    pub server_name: Option<Box<str>>,
    pub version: Version,
    /// Without a whole handshake, by a ticket or a kept session.
    pub resumed: bool,
    /// The client's certificate (verified), or the upstream's.
    pub peer: Option<PeerCertificate>,
}

/// A certificate that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// As RFC 4514 writes it, printable ASCII only: it can stand in a field of a head.
    pub subject: String,
    /// SHA-256 of the whole certificate.
    pub fingerprint: [u8; 32],
}

impl Facts {
    /// `None`: the stream is not TLS.
    pub fn of(stream: &Stream) -> Option<Self> {
        let Stream::Tls(stream) = stream else {
            return None;
        };
        let (_, state) = stream.get_ref();
        let server_name = match &**stream {
            TlsStream::Server(stream) => stream.get_ref().1.server_name().map(Into::into),
            TlsStream::Client(_) => None,
        };
        Some(Self {
            alpn: alpn_of(state),
            server_name,
            version: match state.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => Version::Tls13,
                _ => Version::Tls12,
            },
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
            peer: peer(state),
        })
    }
}

/// Only the protocol: what the accepting side needs of every connection.
pub fn alpn(stream: &Stream) -> Option<Alpn> {
    match stream {
        Stream::Tls(stream) => alpn_of(stream.get_ref().1),
        _ => None,
    }
}

fn alpn_of(state: &CommonState) -> Option<Alpn> {
    state.alpn_protocol().and_then(Alpn::of)
}

fn peer(state: &CommonState) -> Option<PeerCertificate> {
    let certificate = state.peer_certificates()?.first()?;
    Some(PeerCertificate {
        subject: subject::of(certificate).unwrap_or_default(),
        fingerprint: Sha256::digest(certificate).into(),
    })
}
