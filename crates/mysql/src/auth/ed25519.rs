//! Pure: MariaDB's ed25519 accounts. The server keeps a public key; the client signs 32 random bytes. It is
//! Ed25519 (RFC 8032) with one difference: the secret scalar and the prefix are SHA-512 of the password, of
//! any length, where the RFC takes a seed of 32 bytes. A signature tells nothing that could be used at
//! another server, so whoever wants to log in as its client needs the password.
//!
//! Source: MariaDB KB, "Authentication Plugin - ed25519"; `plugin/auth_ed25519` of MariaDB's source.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;

use super::Password;

/// As accounts name it.
pub const SERVER_PLUGIN: &str = "ed25519";
/// As clients are asked for it.
pub const CLIENT_PLUGIN: &str = "client_ed25519";

/// What a server keeps.
pub type PublicKey = [u8; 32];

/// SHA512(password): scalar and prefix. As secret as the password.
#[derive(Clone)]
pub struct SigningKey(pub(super) [u8; 64]);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    pub fn of(password: &Password) -> Self {
        Self(Sha512::digest(password.expose()).into())
    }

    fn expanded(&self) -> (ExpandedSecretKey, VerifyingKey) {
        let secret = ExpandedSecretKey::from_bytes(&self.0);
        let public = VerifyingKey::from(&secret);
        (secret, public)
    }

    pub fn public(&self) -> PublicKey {
        self.expanded().1.to_bytes()
    }

    pub fn sign(&self, nonce: &[u8; 32]) -> [u8; 64] {
        let (secret, public) = self.expanded();
        raw_sign::<Sha512>(&secret, nonce, &public).to_bytes()
    }
}

/// Is `password` the one behind `public`? Then it signs.
pub fn verify(public: &PublicKey, password: &Password) -> Option<SigningKey> {
    let key = SigningKey::of(password);
    bool::from(key.public().ct_eq(public)).then_some(key)
}

/// 43 digits of base64, as servers store it.
pub fn parse_public(text: &str) -> Option<PublicKey> {
    let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// MariaDB KB: `SELECT ed25519_password('secret')`.
    const SECRET: &str = "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY";

    #[test]
    fn the_public_key_is_the_servers() {
        let public = parse_public(SECRET).unwrap();
        assert!(verify(&public, &Password::new("secret")).is_some());
        for wrong in ["", "Secret", "secret\0"] {
            assert!(verify(&public, &Password::new(wrong)).is_none());
        }
    }

    #[test]
    fn a_signature_is_one_of_ed25519() {
        let key = SigningKey::of(&Password::new(
            "a password that is longer than 32 bytes, so no seed",
        ));
        let nonce = [0x5a; 32];
        let public = VerifyingKey::from_bytes(&key.public()).unwrap();
        let signature = ed25519_dalek::Signature::from_bytes(&key.sign(&nonce));
        assert!(public.verify_strict(&nonce, &signature).is_ok());
        assert!(public.verify_strict(&[0; 32], &signature).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = parse_public(&text);
        }
    }
}
