//! Whom a webhook over https trusts: the authorities of this machine, as every other program on it
//! does, so that an organisation's own authority works.

use std::path::PathBuf;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Where distributions keep them: Debian and Alpine, Red Hat, SUSE.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Read once, when the monitor starts. Without any, every https receiver fails its handshake, which
/// says so.
pub(crate) fn authorities() -> RootCerts {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let bundles = named.into_iter().chain(BUNDLES.map(PathBuf::from));
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for bundle in bundles {
        let Ok(pem) = std::fs::read(&bundle) else {
            continue;
        };
        // A certificate that cannot be read is one authority less, no reason to trust none.
        certificates.extend(parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        }));
        if !certificates.is_empty() {
            break;
        }
    }
    if certificates.is_empty() {
        tracing::warn!(
            "no certificate authorities on this machine: webhooks over https will fail; \
             install the package ca-certificates"
        );
    }
    certificates.into()
}
