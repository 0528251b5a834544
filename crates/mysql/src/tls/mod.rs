//! TLS within the handshake: rustls with aws-lc, TLS 1.2 and 1.3, both sides. A client asks for it with the
//! first part of its response; what follows is TLS.
//!
//! Source: MySQL internals, "Protocol::SSLRequest"; MariaDB KB, "Connection: SSLRequest packet".

pub mod accept;
pub(crate) mod carrier;
pub mod connect;

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use accept::Acceptor;
pub use connect::{Connector, Trust};

/// Why TLS cannot be offered or used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {source}")]
    Pem { path: PathBuf, source: PemError },
    #[error("{path}: no certificate in it")]
    Empty { path: PathBuf },
    #[error("{path}: {source}")]
    Certificate {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// The certificates of a file, in its order.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| TlsError::Pem {
            path: path.to_owned(),
            source,
        })?;
    match read.is_empty() {
        true => Err(TlsError::Empty {
            path: path.to_owned(),
        }),
        false => Ok(read),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::Pem {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
