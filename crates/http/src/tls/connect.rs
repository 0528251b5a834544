//! TLS towards upstreams: whom to trust, under which name, and who we are.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::any::AnyCertificate;
use super::certificate::{self, CertificateFiles};
use super::error::TlsError;
use super::offer::{self, Alpn, Version};
use super::transport::Transport;
use crate::client::Address;
use crate::socket::Socket;
use crate::stream::Stream;

/// What is wanted of an upstream, and shown to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub authorities: Authorities,
    /// The name asked for and verified. `None`: the address itself, which its certificate must name.
    pub name: Option<String>,
    /// For upstreams that want a certificate.
    pub identity: Option<CertificateFiles>,
    /// In order of preference.
    pub alpn: Vec<Alpn>,
    pub minimum: Version,
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// Those of the machine (Debian: `ca-certificates`).
    System,
    File(PathBuf),
    /// Nobody is verified: whoever is on the way can be the upstream.
    Anybody,
}

/// One configuration for all threads; it remembers sessions, so a second connection costs less.
#[derive(Debug, Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl Connector {
    /// Reads every file.
    pub fn new(terms: &Terms) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = match &terms.authorities {
            Authorities::System => Some(system()?),
            Authorities::File(path) => Some(certificate::authorities(path)?.0),
            Authorities::Anybody => None,
        };
        let name = match &terms.name {
            None => None,
            Some(name) => Some(
                ServerName::try_from(name.clone())
                    .map_err(|_| TlsError::ServerName { name: name.clone() })?,
            ),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(terms.minimum.and_newer())
            .map_err(TlsError::Setup)?;
        let builder = match roots {
            Some(roots) => builder.with_root_certificates(roots),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
        };
        let mut config = match &terms.identity {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let chain = certificate::chain(&files.chain)?;
                let key = certificate::key(&files.key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|source| match source {
                        rustls::Error::InconsistentKeys(_) => TlsError::WrongKey {
                            chain: files.chain.clone(),
                            key: files.key.clone(),
                        },
                        source => TlsError::Certificate {
                            path: files.chain.clone(),
                            source,
                        },
                    })?
            }
        };
        config.alpn_protocols = offer::ids(&terms.alpn);
        Ok(Self {
            config: Arc::new(config),
            name,
        })
    }

    /// The handshake over a connection to `to`. Limits of time are the caller's.
    pub async fn connect(&self, socket: Socket, to: &Address) -> io::Result<Stream> {
        let name = match (&self.name, to) {
            (Some(name), _) => name.clone(),
            (None, Address::Tcp(address)) => ServerName::from(address.ip()),
            (None, Address::Unix(_)) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "TLS over a unix socket needs a server name to verify",
                ));
            }
        };
        let connector = TlsConnector::from(Arc::clone(&self.config));
        // On the heap, as in `accept`.
        let connected = Box::pin(connector.connect(name, Transport::Here(socket))).await?;
        Ok(Stream::Tls(Box::new(connected.into())))
    }
}

/// Certificates of the machine that cannot be read are left out, as everywhere; none at all is an error.
fn system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!("{added} certificate authorities of the system, {ignored} unreadable");
    if added > 0 {
        return Ok(roots);
    }
    let reason = found
        .errors
        .first()
        .map_or_else(|| "none found".to_owned(), ToString::to_string);
    Err(TlsError::System { reason })
}
