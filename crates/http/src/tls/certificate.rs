//! PEM files → certificates, keys and authorities that rustls can use. What is wrong with a file is
//! found here, before a listener offers it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

use super::error::TlsError;

/// A certificate chain and its key. Both may stand in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// A certificate with the DNS names it is for, in lower case (none when it is for addresses only).
#[derive(Debug, Clone)]
pub struct Named {
    pub names: Vec<String>,
    pub key: Arc<CertifiedKey>,
}

/// Reads a certificate to be shown to clients.
pub fn named(files: &CertificateFiles, provider: &CryptoProvider) -> Result<Named, TlsError> {
    let chain = chain(&files.chain)?;
    let names = match chain.first() {
        Some(leaf) => names(leaf, &files.chain)?,
        None => return empty(&files.chain),
    };
    let key = key(&files.key)?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|source| match source {
        rustls::Error::InconsistentKeys(_) => TlsError::WrongKey {
            chain: files.chain.clone(),
            key: files.key.clone(),
        },
        rustls::Error::InvalidCertificate(_) => TlsError::Certificate {
            path: files.chain.clone(),
            source,
        },
        source => TlsError::Key {
            path: files.key.clone(),
            source,
        },
    })?;
    Ok(Named {
        names,
        key: Arc::new(key),
    })
}

/// The certificates of a file, in its order.
pub(crate) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| TlsError::Pem {
            path: path.to_owned(),
            source,
        })?;
    if read.is_empty() {
        empty(path)
    } else {
        Ok(read)
    }
}

pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let path = path.to_owned();
    PrivateKeyDer::from_pem_file(&path).map_err(|source| match source {
        PemError::NoItemsFound => TlsError::NoKey { path },
        source => TlsError::Pem { path, source },
    })
}

/// The authorities of a file, with their certificates.
pub(crate) fn authorities(
    path: &Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let certificates = chain(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|e| TlsError::Authority {
                path: path.to_owned(),
                reason: e.to_string(),
            })?;
    }
    Ok((roots, certificates))
}

fn empty<T>(path: &Path) -> Result<T, TlsError> {
    Err(TlsError::Empty {
        path: path.to_owned(),
    })
}

/// The names of subjectAltName; a common name has not counted since RFC 6125 (and in browsers).
fn names(leaf: &CertificateDer<'_>, path: &Path) -> Result<Vec<String>, TlsError> {
    let unreadable = || TlsError::Certificate {
        path: path.to_owned(),
        source: rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding),
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).map_err(|_| unreadable())?;
    let alternative = parsed
        .subject_alternative_name()
        .map_err(|_| unreadable())?;
    let alternative = alternative.map_or(&[][..], |extension| &extension.value.general_names);
    let names = alternative.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) if !name.is_empty() => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let names: Vec<String> = names.collect();
    let has_address = alternative
        .iter()
        .any(|name| matches!(name, GeneralName::IPAddress(_)));
    if names.is_empty() && !has_address {
        return Err(TlsError::NoName {
            path: path.to_owned(),
        });
    }
    Ok(names)
}
