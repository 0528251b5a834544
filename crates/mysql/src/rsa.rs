//! The RSA of caching_sha2_password: a password that is sent where others can listen, encrypted with the
//! receiver's public key (OAEP, SHA-1 and MGF1 with SHA-1, as all clients do it). aws-lc decrypts in constant
//! time; the `rsa` crate does not (RUSTSEC-2023-0071).
//!
//! It keeps those out who only listen. Who can also change what is sent can put his own public key in the
//! place of the receiver's: TLS is for that.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

/// A key that cannot be made, read or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("RSA: {0}")]
pub struct RsaError(&'static str);

/// A private key, and its public half as clients are sent it.
pub struct DecryptingKey {
    private: OaepPrivateDecryptingKey,
    pem: String,
}

impl std::fmt::Debug for DecryptingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DecryptingKey(…)")
    }
}

impl DecryptingKey {
    /// Takes a tenth of a second and more.
    pub fn generate() -> Result<Self, RsaError> {
        let failed = |_| RsaError("a key cannot be made");
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(failed)?;
        let public: PublicKeyX509Der<'_> = private.public_key().as_der().map_err(failed)?;
        Ok(Self {
            pem: pem(public.as_ref()),
            private: OaepPrivateDecryptingKey::new(private).map_err(failed)?,
        })
    }

    /// The public key.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// `None`: it was not encrypted for this key.
    pub fn decrypt(&self, encrypted: &[u8]) -> Option<Vec<u8>> {
        let mut room = vec![0; self.private.min_output_size()];
        let plain = self
            .private
            .decrypt(&OAEP_SHA1_MGF1SHA1, encrypted, &mut room, None);
        plain.ok().map(|plain| plain.to_vec())
    }
}

/// Encrypts for the owner of a public key in PEM.
pub fn encrypt(pem: &[u8], plain: &[u8]) -> Result<Vec<u8>, RsaError> {
    let unreadable = RsaError("the public key cannot be read");
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| unreadable)?;
    let public = PublicEncryptingKey::from_der(&der).map_err(|_| unreadable)?;
    let public = OaepPublicEncryptingKey::new(public).map_err(|_| unreadable)?;
    let mut room = vec![0; public.ciphertext_size()];
    public
        .encrypt(&OAEP_SHA1_MGF1SHA1, plain, &mut room, None)
        .map(|encrypted| encrypted.to_vec())
        .map_err(|_| RsaError("the password is too long for the public key"))
}

/// RFC 7468, section 13: 64 digits a line.
fn pem(der: &[u8]) -> String {
    let mut out = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    // 48 bytes are 64 digits.
    for line in der.chunks(48) {
        out.push_str(&STANDARD.encode(line));
        out.push('\n');
    }
    out.push_str("-----END PUBLIC KEY-----\n");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_encrypted_for_a_key_comes_back() {
        let key = DecryptingKey::generate().unwrap();
        let encrypted = encrypt(key.pem().as_bytes(), b"secret\0").unwrap();
        assert_eq!(key.decrypt(&encrypted).unwrap(), b"secret\0");
        assert_eq!(key.decrypt(&encrypted[1..]), None);
        assert_eq!(key.decrypt(b""), None);
        assert!(key.pem().lines().all(|line| line.len() <= 64));
        // 2048 bits less OAEP's own.
        assert!(encrypt(key.pem().as_bytes(), &[1; 214]).is_ok());
        assert!(encrypt(key.pem().as_bytes(), &[1; 215]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_pass_for_a_public_key(bytes: Vec<u8>) {
            prop_assert!(encrypt(&bytes, b"x").is_err());
        }
    }
}
