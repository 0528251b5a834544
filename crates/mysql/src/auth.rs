//! Pure: proving a password without sending it: challenge → answer → verdict, in constant time. Here
//! mysql_native_password; the other plugins stand in files of their own.
//!
//! Source: MariaDB KB, "Authentication plugin - mysql_native_password".

pub mod ed25519;
pub mod key;
pub mod sealed;
pub mod sha2;

use ::sha2::Sha256;
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

pub use key::{Key, Password};

pub const NATIVE: &str = "mysql_native_password";
pub const CACHING_SHA2: &str = "caching_sha2_password";
/// The password as it is, with a zero at its end: only where nobody listens.
pub const CLEAR: &str = "mysql_clear_password";

/// The challenge of a greeting.
pub type Salt = [u8; 20];
/// What a server keeps of a password: SHA1(SHA1(password)).
pub type Stored = [u8; 20];

/// SHA1(password): enough to log in by mysql_native_password, so as secret as the password.
#[derive(Clone)]
pub struct NativeKey(Option<[u8; 20]>);

impl std::fmt::Debug for NativeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NativeKey(…)")
    }
}

impl NativeKey {
    /// An empty password has the empty key, which answers with nothing.
    pub fn of(password: impl AsRef<[u8]>) -> Self {
        let password = password.as_ref();
        Self((!password.is_empty()).then(|| sha1(&[password])))
    }

    /// What a server keeps of it; none of the empty key.
    pub fn stored(&self) -> Option<Stored> {
        self.0.as_ref().map(|key| sha1(&[key]))
    }

    /// The key of an account without a password.
    pub fn empty() -> Self {
        Self(None)
    }

    /// key XOR SHA1(salt + SHA1(key)); nothing for the empty key.
    pub fn answer(&self, salt: &Salt) -> Vec<u8> {
        match &self.0 {
            None => Vec::new(),
            Some(key) => xor(key, &sha1(&[salt, &sha1(&[key])])).to_vec(),
        }
    }
}

/// Is `answer` the one to `salt` by somebody who knows the password behind `stored`? Then the key.
///
/// The answer gives the key away to whoever knows `stored`: that is how the router can log in to
/// the servers as its client.
pub fn verify_native(stored: &Stored, salt: &Salt, answer: &[u8]) -> Option<NativeKey> {
    // A wrong length takes the same way, so that nothing but the verdict differs.
    let claimed: [u8; 20] = answer.try_into().unwrap_or([0; 20]);
    let key = xor(&claimed, &sha1(&[salt, stored]));
    let right = sha1(&[&key]).ct_eq(stored) & u8::from(answer.len() == 20).ct_eq(&1);
    bool::from(right).then_some(NativeKey(Some(key)))
}

/// Is `password` the one behind `stored`? Then its key.
pub fn verify_password(stored: &Stored, password: &Password) -> Option<NativeKey> {
    let key = NativeKey::of(password.expose());
    // The empty password has no stored form; what no hash is equal to stands in its place.
    let claimed = key.stored().unwrap_or([0; 20]);
    let right = claimed.ct_eq(stored) & u8::from(key.0.is_some()).ct_eq(&1);
    bool::from(right).then_some(key)
}

/// `*` and 40 hexadecimal digits, as servers store it.
pub fn parse_stored(text: &str) -> Option<Stored> {
    let digits = text.strip_prefix('*')?;
    if digits.len() != 40 || !digits.is_ascii() {
        return None;
    }
    let mut stored = [0; 20];
    for (byte, pair) in stored.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(stored)
}

/// What the OK of a login over TLS says to clients of MariaDB 11.4 and later, which by default want to know
/// that the certificate they were shown, of an authority they do not know, is from somebody who knows the
/// account's password too: 1 and SHA256(stored + salt + SHA256(certificate)) in hexadecimal.
///
/// Source: MariaDB KB, "Zero-configuration TLS"; Connector/C, `plugins/auth/my_auth.c`.
pub fn certificate_proof(stored: &[u8], salt: &Salt, fingerprint: &[u8; 32]) -> String {
    let hash = Sha256::new()
        .chain_update(stored)
        .chain_update(salt)
        .chain_update(fingerprint)
        .finalize();
    let mut out = "\u{1}".to_owned();
    out.extend(hash.iter().flat_map(|byte| {
        [byte >> 4, byte & 15].map(|digit| {
            let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
            digit.to_ascii_uppercase()
        })
    }));
    out
}

/// Random bytes made fit for a greeting: clients take the salt for a C string, so no byte is zero;
/// and 7-bit, as servers make them.
pub fn salt_from(random: [u8; 20]) -> Salt {
    random.map(|byte| match byte & 0x7f {
        0 | b'$' => b'a',
        fit => fit,
    })
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn xor<const N: usize>(a: &[u8; N], b: &[u8; N]) -> [u8; N] {
    let mut out = *a;
    for (byte, other) in out.iter_mut().zip(b) {
        *byte ^= other;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = *b"abcdefghij1234567890";

    #[test]
    fn the_stored_form_is_the_servers() {
        // SELECT PASSWORD('password')
        let stored = parse_stored("*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19").unwrap();
        assert_eq!(stored, sha1(&[&sha1(&[b"password"])]));
        assert!(parse_stored("*2470").is_none());
        assert!(parse_stored("*é470C0C06DEE42FD1618BB99005ADCA2EC9D1E1").is_none());
    }

    #[test]
    fn the_right_answer_yields_the_key_and_no_other_does() {
        let stored = sha1(&[&sha1(&[b"secret"])]);
        let answer = NativeKey::of("secret").answer(&SALT);
        let key = verify_native(&stored, &SALT, &answer).unwrap();
        let other = *b"09876543210987654321";
        assert_eq!(key.answer(&other), NativeKey::of("secret").answer(&other));

        assert!(verify_native(&stored, &other, &answer).is_none());
        assert!(verify_native(&stored, &SALT, &NativeKey::of("Secret").answer(&SALT)).is_none());
        assert!(verify_native(&stored, &SALT, b"").is_none());
        assert!(verify_native(&stored, &SALT, &answer[..19]).is_none());
    }

    #[test]
    fn a_password_in_clear_is_checked_against_the_stored_form() {
        let stored = parse_stored("*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19").unwrap();
        let key = verify_password(&stored, &Password::new("password")).unwrap();
        assert_eq!(key.answer(&SALT), NativeKey::of("password").answer(&SALT));
        for wrong in ["", "Password", "password\0"] {
            assert!(verify_password(&stored, &Password::new(wrong)).is_none());
        }
        assert!(verify_password(&[0; 20], &Password::new("")).is_none());
    }

    #[test]
    fn the_proof_of_a_certificate_is_mariadbs() {
        // Python: hashlib.sha256(sha1(sha1(b"secret")) + b"abcdefghij1234567890" + bytes([7] * 32)), and
        // Connector/C 3.4.8 took one live.
        let stored = NativeKey::of("secret").stored().unwrap();
        let proof = certificate_proof(&stored, &SALT, &[7; 32]);
        assert_eq!(
            proof,
            "\u{1}83E4B19D7401BD17B007BA4B6E1990FE449685B50362F913BFC751BB9756CF36"
        );
    }

    #[test]
    fn a_salt_holds_no_zero() {
        assert!(salt_from([0; 20]).iter().all(|b| *b != 0));
        assert!(salt_from([0x80; 20]).iter().all(|b| *b != 0 && *b < 0x80));
    }
}
