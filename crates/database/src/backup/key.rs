//! The key that backups are encrypted with: an age identity (<https://age-encryption.org/v1>), kept as a
//! secret of the site. Whoever has it and the stored files needs nothing of ours to read them:
//! `age -d -i KEY < data.xb.zst.age | zstd -d | mbstream -x`.

use std::fmt;

use age::secrecy::ExposeSecret as _;
use age::x25519::{Identity, Recipient};
use telemetry::Secret;

/// An identity (the private half) and so a recipient (the public half).
#[derive(Clone)]
pub struct Key(Identity);

/// The secret is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret `{0}` is no age identity (`AGE-SECRET-KEY-1…`); put back the one the backups were \
     encrypted with, or, if there are none yet, delete its file to have a new one made"
)]
pub struct NoKey(pub String);

impl Key {
    /// `name`: the secret's, for the message.
    pub fn of(name: &str, secret: &Secret) -> Result<Self, NoKey> {
        let identity = secret.expose().trim().parse();
        identity.map(Self).map_err(|_| NoKey(name.to_owned()))
    }

    /// A new one, as it is kept.
    pub fn generate() -> Secret {
        Secret::new(Identity::generate().to_string().expose_secret())
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.0
    }

    pub(super) fn recipient(&self) -> Recipient {
        self.0.to_public()
    }

    /// What may be shown: it only encrypts.
    pub fn public(&self) -> String {
        self.recipient().to_string()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.public()).finish()
    }
}
