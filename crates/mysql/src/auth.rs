//! Pure: proving a password without sending it: challenge → answer → verdict, in constant time.
//!
//! Source: MariaDB KB, "Authentication plugin - mysql_native_password"; MySQL internals, "Caching_sha2_password".

use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

pub const NATIVE: &str = "mysql_native_password";
pub const CACHING_SHA2: &str = "caching_sha2_password";

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
    pub fn of(password: &str) -> Self {
        Self((!password.is_empty()).then(|| sha1(&[password.as_bytes()])))
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

/// The fast path of caching_sha2_password:
/// SHA256(password) XOR SHA256(SHA256(SHA256(password)) + salt).
pub fn caching_sha2_answer(password: &str, salt: &Salt) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once: [u8; 32] = Sha256::digest(password.as_bytes()).into();
    let twice: [u8; 32] = Sha256::digest(once).into();
    let salted: [u8; 32] = Sha256::new()
        .chain_update(twice)
        .chain_update(salt)
        .finalize()
        .into();
    xor(&once, &salted).to_vec()
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
    fn a_salt_holds_no_zero() {
        assert!(salt_from([0; 20]).iter().all(|b| *b != 0));
        assert!(salt_from([0x80; 20]).iter().all(|b| *b != 0 && *b < 0x80));
    }
}
