//! TLS towards clients: from a plain description to one configuration for all threads, and the
//! handshake.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

use super::certificate::{self, CertificateFiles};
use super::error::TlsError;
use super::offer::{self, Alpn, Version};
use super::resumption::{Policy, Resumption};
use super::sni::Certificates;
use super::transport::Transport;
use crate::socket::Socket;
use crate::stream::Stream;

/// What a listener offers and asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The first is shown to clients that ask for none of the names.
    pub certificates: Vec<CertificateFiles>,
    /// In order of preference.
    pub alpn: Vec<Alpn>,
    pub minimum: Version,
    pub clients: Clients,
}

/// Whether clients show a certificate, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    None,
    /// Verified when there is one.
    Optional {
        ca: PathBuf,
    },
    Required {
        ca: PathBuf,
    },
}

/// Reads every file and makes the configuration.
pub fn config(terms: &Terms, resumption: &Resumption) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let read = terms
        .certificates
        .iter()
        .map(|files| certificate::named(files, &provider));
    let named = read.collect::<Result<Vec<_>, _>>()?;
    let certificates = Certificates::new(named).ok_or(TlsError::NoCertificate)?;
    let (verifier, policy) = verifier(&terms.clients)?;
    let shared = resumption.of(policy).map_err(TlsError::Setup)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(terms.minimum.and_newer())
        .map_err(TlsError::Setup)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = offer::ids(&terms.alpn);
    config.ticketer = shared.tickets;
    config.session_storage = shared.sessions;
    Ok(Arc::new(config))
}

/// How clients are verified, and a digest that differs when it differs.
fn verifier(clients: &Clients) -> Result<(Arc<dyn ClientCertVerifier>, Policy), TlsError> {
    let (ca, word) = match clients {
        Clients::None => {
            let verifier = WebPkiClientVerifier::no_client_auth();
            return Ok((verifier, policy("none", &[])));
        }
        Clients::Optional { ca } => (ca, "optional"),
        Clients::Required { ca } => (ca, "required"),
    };
    let (roots, certificates) = certificate::authorities(ca)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match clients {
        Clients::Optional { .. } => builder.allow_unauthenticated(),
        _ => builder,
    };
    let verifier = builder.build().map_err(|e| TlsError::Authority {
        path: ca.clone(),
        reason: e.to_string(),
    })?;
    Ok((verifier, policy(word, &certificates)))
}

fn policy(word: &str, authorities: &[CertificateDer<'_>]) -> Policy {
    let mut digest = Sha256::new_with_prefix(word);
    for authority in authorities {
        digest.update(authority.len().to_be_bytes());
        digest.update(authority);
    }
    digest.finalize().into()
}

/// The handshake. Limits of time are the caller's.
pub async fn accept(socket: Socket, config: &Arc<ServerConfig>) -> io::Result<Stream> {
    // On the heap, as the connection will be: a task must not be as large as its handshake for ever.
    let accepting = Box::pin(TlsAcceptor::from(Arc::clone(config)).accept(Transport::Here(socket)));
    let accepted = accepting.await?;
    Ok(Stream::Tls(Box::new(accepted.into())))
}
