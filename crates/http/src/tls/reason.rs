//! Pure: a failure of TLS in a few words, for faults, which carry no text of their own.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// The words, when the error is one of TLS.
pub fn of(e: &io::Error) -> Option<&'static str> {
    let tls = e.get_ref()?.downcast_ref::<Error>()?;
    Some(match tls {
        Error::InvalidCertificate(certificate) => of_certificate(certificate),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::NoCertificatesPresented => "no certificate was presented",
        Error::NoApplicationProtocol => "no protocol in common (ALPN)",
        Error::PeerIncompatible(_) => "no version or cipher in common",
        Error::InvalidMessage(_) => "this is not TLS",
        Error::DecryptError => "a record cannot be decrypted",
        _ => "the other side breaks the protocol",
    })
}

fn of_certificate(e: &CertificateError) -> &'static str {
    match e {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::Revoked => "the certificate is revoked",
        // A bad signature: an authority of the same name, with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the certificate's issuer is not trusted"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is for another purpose"
        }
        _ => "the certificate is not valid",
    }
}

fn of_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the other side wants a certificate"
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => "the other side does not trust our certificate",
        AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity
        | AlertDescription::HandshakeFailure => "no version or cipher in common",
        AlertDescription::NoApplicationProtocol => "no protocol in common (ALPN)",
        AlertDescription::UnrecognisedName => "the other side does not know the name",
        _ => "the other side has ended the handshake",
    }
}
