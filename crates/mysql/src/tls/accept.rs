//! TLS towards clients: one certificate, read from files, for all threads.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::Ticketer;
use sha2::{Digest as _, Sha256};

use super::{TlsError, certificates, private_key};

/// SHA256 of the certificate, by which clients of MariaDB 11.4 and later know it.
pub type Fingerprint = [u8; 32];

/// What is shown to clients.
#[derive(Debug, Clone)]
pub struct Acceptor {
    pub(crate) config: Arc<ServerConfig>,
    fingerprint: Fingerprint,
}

impl Acceptor {
    /// Reads the certificate (and those between it and its authority) and its key.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = certificates(chain)?;
        let fingerprint = read.first().map(|leaf| Sha256::digest(leaf).into());
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(TlsError::Setup)?
                .with_no_client_auth()
                .with_single_cert(read, private_key(key)?)
                .map_err(|source| TlsError::Certificate {
                    path: chain.to_owned(),
                    source,
                })?;
        config.ticketer = Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Self {
            config: Arc::new(config),
            fingerprint: fingerprint.unwrap_or_default(),
        })
    }

    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}
