//! Pure: what proves an account to a server, in a form as short as its plugin allows: the password itself
//! only where it has to be.

use super::ed25519::{self, SigningKey};
use super::{CACHING_SHA2, CLEAR, NATIVE, NativeKey, Salt, sha2};

/// A password as clients and servers have it: bytes, in no encoding. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// As plugins send it in clear: up to the first zero byte. `None`: without a zero it is no password.
    pub fn terminated(bytes: &[u8]) -> Option<Self> {
        let end = memchr::memchr(0, bytes)?;
        bytes.get(..end).map(Self::new)
    }

    /// The value itself: for the one place that needs it, never for a message.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With a zero at its end.
    pub fn with_zero(&self) -> Vec<u8> {
        let mut out = self.0.clone();
        out.push(0);
        out
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What answers a server's challenges.
#[derive(Debug, Clone)]
pub enum Key {
    /// For mysql_native_password alone.
    Native(NativeKey),
    /// For ed25519 alone.
    Ed25519(SigningKey),
    /// For all plugins.
    Password(Password),
}

/// What a server wants to have answered.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    pub plugin: &'a str,
    pub salt: &'a Salt,
    /// ed25519's, which is longer.
    pub nonce: Option<&'a [u8; 32]>,
    /// Nobody listens: TLS or a unix socket.
    pub private: bool,
}

impl Key {
    /// `None`: this key cannot answer for that plugin, or must not.
    pub fn answer(&self, to: &Challenge<'_>) -> Option<Vec<u8>> {
        match (to.plugin, self) {
            (NATIVE, Self::Native(key)) => Some(key.answer(to.salt)),
            (NATIVE, Self::Password(password)) => {
                Some(NativeKey::of(password.expose()).answer(to.salt))
            }
            (CACHING_SHA2, Self::Password(password)) => Some(sha2::answer(password, to.salt)),
            (ed25519::CLIENT_PLUGIN, Self::Ed25519(key)) => Some(key.sign(to.nonce?).to_vec()),
            (ed25519::CLIENT_PLUGIN, Self::Password(password)) => {
                Some(SigningKey::of(password).sign(to.nonce?).to_vec())
            }
            (CLEAR, Self::Password(password)) if to.private => Some(password.with_zero()),
            // The socket's owner is the proof; there is nothing to say.
            ("unix_socket" | "auth_socket", _) => Some(Vec::new()),
            _ => None,
        }
    }

    /// Which plugin to answer by in the first packet, when the server announces `announced`: one that it
    /// does not use for the account is switched.
    pub fn first_plugin(&self, announced: &str) -> &'static str {
        match (self, announced) {
            (Self::Password(_), CACHING_SHA2) => CACHING_SHA2,
            _ => NATIVE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(key: &Key, plugin: &str, private: bool) -> Option<Vec<u8>> {
        key.answer(&Challenge {
            plugin,
            salt: b"abcdefghij1234567890",
            nonce: Some(&[7; 32]),
            private,
        })
    }

    #[test]
    fn a_key_answers_for_its_plugin_and_a_password_for_all() {
        let password = Password::new("secret");
        let native = Key::Native(NativeKey::of("secret"));
        let signing = Key::Ed25519(SigningKey::of(&password));
        let all = Key::Password(password);
        assert_eq!(answer(&native, NATIVE, false), answer(&all, NATIVE, false));
        assert_eq!(
            answer(&signing, "client_ed25519", false),
            answer(&all, "client_ed25519", false)
        );
        assert!(answer(&native, CACHING_SHA2, true).is_none());
        assert!(answer(&signing, NATIVE, true).is_none());
        assert_eq!(answer(&all, CACHING_SHA2, false).unwrap().len(), 32);
    }

    #[test]
    fn a_password_is_sent_in_clear_only_in_private() {
        let all = Key::Password(Password::new("secret"));
        assert!(answer(&all, CLEAR, false).is_none());
        assert_eq!(answer(&all, CLEAR, true).unwrap(), b"secret\0");
        assert!(answer(&all, "dialog", true).is_none());
    }

    #[test]
    fn nothing_secret_is_printed() {
        let password = Password::new("hunter2");
        let shown = format!(
            "{password:?} {:?} {:?} {:?}",
            Key::Native(NativeKey::of("hunter2")),
            Key::Ed25519(SigningKey::of(&password)),
            Key::Password(password.clone()),
        );
        assert!(
            !shown.contains("hunter2") && !shown.contains('['),
            "{shown}"
        );
    }

    #[test]
    fn a_terminated_password_ends_at_its_zero() {
        assert_eq!(Password::terminated(b"x\0y"), Some(Password::new("x")));
        assert_eq!(Password::terminated(b"\0"), Some(Password::new("")));
        assert_eq!(Password::terminated(b"x"), None);
        assert_eq!(Password::terminated(b""), None);
    }
}
