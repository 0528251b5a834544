//! Pure: a key that only the password's own hash opens. Who remembers (SHA256(SHA256(password)), sealed key)
//! for the fast path of caching_sha2_password has nothing that logs in anywhere: a right answer brings the
//! SHA256(password) that opens it, as a right answer of mysql_native_password brings the key itself.

use sha2::{Digest as _, Sha512};

use super::ed25519::SigningKey;
use super::sha2::Once;
use super::{Key, NativeKey, xor};

/// The key, XOR SHA512(label + SHA256(password)). Both are made from the password alone, so sealing the same
/// key again gives the same bytes and nothing about it away.
#[derive(Clone)]
pub enum Sealed {
    Native([u8; 20]),
    Ed25519([u8; 64]),
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

fn pad(once: &Once) -> [u8; 64] {
    let hash = Sha512::new_with_prefix("mainstay sealed key 1");
    hash.chain_update(once.0).finalize().into()
}

fn short(pad: &[u8; 64]) -> [u8; 20] {
    std::array::from_fn(|index| pad.get(index).copied().unwrap_or(0))
}

impl Sealed {
    /// `None`: a key that needs no seal (of an account without a password), or must not be kept.
    pub fn new(key: &Key, once: &Once) -> Option<Self> {
        let pad = pad(once);
        match key {
            Key::Native(NativeKey(key)) => Some(Self::Native(xor(key.as_ref()?, &short(&pad)))),
            Key::Ed25519(key) => Some(Self::Ed25519(xor(&key.0, &pad))),
            Key::Password(_) => None,
        }
    }

    pub fn open(&self, once: &Once) -> Key {
        let pad = pad(once);
        match self {
            Self::Native(sealed) => Key::Native(NativeKey(Some(xor(sealed, &short(&pad))))),
            Self::Ed25519(sealed) => Key::Ed25519(SigningKey(xor(sealed, &pad))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Password, Salt};

    const SALT: Salt = *b"abcdefghij1234567890";

    #[test]
    fn the_passwords_hash_opens_it_and_no_other_does() {
        let password = Password::new("secret");
        let (once, other) = (Once::of(&password), Once::of(&Password::new("Secret")));
        let native = NativeKey::of("secret");
        let sealed = Sealed::new(&Key::Native(native.clone()), &once).unwrap();
        let answer = |key: Key| match key {
            Key::Native(key) => key.answer(&SALT),
            _ => Vec::new(),
        };
        assert_eq!(answer(sealed.open(&once)), native.answer(&SALT));
        assert_ne!(answer(sealed.open(&other)), native.answer(&SALT));

        let signing = SigningKey::of(&password);
        let sealed = Sealed::new(&Key::Ed25519(signing.clone()), &once).unwrap();
        let public = |key: Key| match key {
            Key::Ed25519(key) => key.public(),
            _ => [0; 32],
        };
        assert_eq!(public(sealed.open(&once)), signing.public());
        assert_ne!(public(sealed.open(&other)), signing.public());
    }

    #[test]
    fn what_must_not_be_kept_is_not() {
        let password = Password::new("secret");
        let once = Once::of(&password);
        assert!(Sealed::new(&Key::Password(password), &once).is_none());
        assert!(Sealed::new(&Key::Native(NativeKey::empty()), &once).is_none());
    }
}
