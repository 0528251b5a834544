//! TLS on both sides: rustls with aws-lc-rs, TLS 1.2 and 1.3. Towards clients: which certificate, for
//! whom, and what the handshake established. Towards upstreams: whom to trust. And the reading of a
//! ClientHello without an end of TLS here.

pub mod accept;
mod any;
pub mod certificate;
pub mod connect;
pub mod error;
pub mod facts;
pub mod hello;
pub mod offer;
pub mod peek;
pub mod reason;
pub mod resumption;
pub mod sni;
pub mod subject;
#[cfg(test)]
mod tests;
pub mod transport;

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;

pub use accept::accept;
pub use certificate::CertificateFiles;
pub use connect::Connector;
pub use error::TlsError;
pub use facts::Facts;
pub use offer::{Alpn, Version};
pub use resumption::Resumption;

/// One certificate for HTTP/1.1, with tickets of its own: for a listener whose certificate stays.
pub fn server_config(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let files = CertificateFiles {
        chain: chain.to_owned(),
        key: key.to_owned(),
    };
    let terms = accept::Terms {
        certificates: vec![files],
        alpn: vec![Alpn::Http11],
        minimum: Version::Tls12,
        clients: accept::Clients::None,
    };
    accept::config(&terms, &Resumption::default())
}
