//! TLS towards clients: rustls with aws-lc-rs, TLS 1.2 and 1.3, resumption by tickets shared by all
//! threads (one configuration for all of them).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::socket::Socket;
use crate::stream::Stream;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {source}")]
    Pem {
        path: PathBuf,
        source: rustls::pki_types::pem::Error,
    },
    #[error("{path} has no certificate")]
    Empty { path: PathBuf },
    #[error("certificate {path}: {source}")]
    Config {
        path: PathBuf,
        source: rustls::Error,
    },
}

/// Reads a certificate chain and its key (PEM).
pub fn server_config(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem(chain))?;
    if certificates.is_empty() {
        return Err(TlsError::Empty {
            path: chain.to_owned(),
        });
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
    let config = |source| TlsError::Config {
        path: chain.to_owned(),
        source,
    };
    let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(config)?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(config)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    server.ticketer = aws_lc_rs::Ticketer::new().map_err(config)?;
    Ok(Arc::new(server))
}

/// The handshake.
pub async fn accept(socket: Socket, config: &Arc<ServerConfig>) -> io::Result<Stream> {
    let accepted = TlsAcceptor::from(Arc::clone(config)).accept(socket).await?;
    Ok(Stream::Tls(Box::new(accepted.into())))
}
