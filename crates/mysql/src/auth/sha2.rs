//! Pure: caching_sha2_password. A server that has seen the password remembers SHA256(SHA256(password)) and
//! checks answers by it (the fast path); else it asks for the password itself, in private or masked by the
//! salt and encrypted by RSA.
//!
//! Source: MySQL internals, "Caching SHA-2 Pluggable Authentication"; MySQL source documentation,
//! "Caching_sha2_password information" (page_caching_sha2_authentication_exchanges).

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Password, Salt, xor};

/// The second byte of "more data": the answer was right, OK follows.
pub const FAST_OK: u8 = 3;
/// The second byte of "more data": the password, please.
pub const FULL: u8 = 4;
/// What a client sends to have the server's public key.
pub const KEY_PLEASE: u8 = 2;
/// "More data" of the authentication: the first byte of such a packet.
pub const MORE: u8 = 1;

/// SHA256(SHA256(password)).
pub type Twice = [u8; 32];

/// SHA256(password): what a right answer gives away to whoever has `Twice`.
#[derive(Clone)]
pub struct Once(pub(super) [u8; 32]);

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Once(…)")
    }
}

impl Once {
    pub fn of(password: &Password) -> Self {
        Self(Sha256::digest(password.expose()).into())
    }

    pub fn twice(&self) -> Twice {
        Sha256::digest(self.0).into()
    }
}

/// SHA256(password) XOR SHA256(SHA256(SHA256(password)) + salt); nothing for the empty password.
pub fn answer(password: &Password, salt: &Salt) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Once::of(password);
    xor(&once.0, &salted(&once.twice(), salt)).to_vec()
}

fn salted(twice: &Twice, salt: &Salt) -> [u8; 32] {
    let hash = Sha256::new().chain_update(twice).chain_update(salt);
    hash.finalize().into()
}

/// Is `answer` the one to `salt` by somebody who knows the password behind `twice`?
pub fn verify(twice: &Twice, salt: &Salt, answer: &[u8]) -> Option<Once> {
    // A wrong length takes the same way, as in `verify_native`.
    let claimed: [u8; 32] = answer.try_into().unwrap_or([0; 32]);
    let once = Once(xor(&claimed, &salted(twice, salt)));
    let right = once.twice().ct_eq(twice) & u8::from(answer.len() == 32).ct_eq(&1);
    bool::from(right).then_some(once)
}

/// The password, its closing zero included, XOR the salt over and over: what RSA encrypts, so that the
/// same password is never the same message. Its own inverse.
pub fn mask(bytes: &[u8], salt: &Salt) -> Vec<u8> {
    let salt = salt.iter().cycle();
    bytes
        .iter()
        .zip(salt)
        .map(|(byte, salt)| byte ^ salt)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT: Salt = *b"abcdefghij1234567890";

    #[test]
    fn the_answer_is_that_of_other_implementations() {
        // PyMySQL 1.0.2: scramble_caching_sha2(b"secret", b"abcdefghij1234567890")
        let expected = "5a86f2a6e7289336b62e743989a2683a719d3c3073a4b9337f0e78aeab50dd6f";
        let hex: String = answer(&Password::new("secret"), &SALT)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, expected);
        assert!(answer(&Password::new(""), &SALT).is_empty());
    }

    #[test]
    fn the_right_answer_gives_the_hash_away_and_no_other_does() {
        let once = Once::of(&Password::new("secret"));
        let right = answer(&Password::new("secret"), &SALT);
        assert_eq!(verify(&once.twice(), &SALT, &right).unwrap().0, once.0);
        assert!(verify(&once.twice(), b"09876543210987654321", &right).is_none());
        assert!(verify(&once.twice(), &SALT, &right[..31]).is_none());
        assert!(verify(&once.twice(), &SALT, b"").is_none());
        let wrong = answer(&Password::new("Secret"), &SALT);
        assert!(verify(&once.twice(), &SALT, &wrong).is_none());
    }

    proptest! {
        #[test]
        fn a_mask_comes_off_again(bytes: Vec<u8>, salt: [u8; 20]) {
            prop_assert_eq!(mask(&mask(&bytes, &salt), &salt), bytes);
        }

        #[test]
        fn no_bytes_pass_for_an_answer(bytes: Vec<u8>, twice: [u8; 32], salt: [u8; 20]) {
            prop_assert!(verify(&twice, &salt, &bytes).is_none());
        }
    }
}
