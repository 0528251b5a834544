//! Why a description of TLS cannot be used: each names the file to look at.

use std::path::PathBuf;

/// The reasons.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {source}")]
    Pem {
        path: PathBuf,
        source: rustls::pki_types::pem::Error,
    },
    #[error("{path} has no certificate")]
    Empty { path: PathBuf },
    #[error("{path} has no private key")]
    NoKey { path: PathBuf },
    #[error("{key} is not the key of the certificate in {chain}")]
    WrongKey { chain: PathBuf, key: PathBuf },
    #[error(
        "the certificate in {path} has no usable name: give it a subjectAltName with DNS names or addresses"
    )]
    NoName { path: PathBuf },
    #[error("certificate {path}: {source}")]
    Certificate {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("key {path}: {source}")]
    Key {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("the certificate authority in {path} cannot be used: {reason}")]
    Authority { path: PathBuf, reason: String },
    #[error(
        "this system has no certificate authorities ({reason}): install ca-certificates, or name a CA file"
    )]
    System { reason: String },
    #[error("`{name}` is not a server's name")]
    ServerName { name: String },
    #[error("a TLS listener needs a certificate")]
    NoCertificate,
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}
