//! Pure: whether what a client has shown is right for its account, in the same time whether there is such an
//! account or not.

use mysql::auth::{self, Key, NativeKey, Password, Salt, Stored, ed25519};

use super::{Account, Proof, Refusal, Wants};

/// A stored password nobody has: an unknown user costs the same work as a known one.
const NOBODY: Stored = [0x5a; 20];

/// What a client has shown to prove who it is.
#[derive(Debug)]
pub(crate) enum Shown<'a> {
    /// By mysql_native_password.
    Answer {
        salt: &'a Salt,
        answer: &'a [u8],
    },
    Password(&'a Password),
    /// A right answer for a password that is known; what it opened.
    Known(Key),
    /// Nothing that could be read.
    Nothing,
}

/// Is what was shown right for the account? Then the key that logs in to servers. `tls`: it came so.
pub(crate) fn verdict(
    account: Option<&Account>,
    shown: Shown<'_>,
    tls: bool,
) -> Result<Key, Refusal> {
    let proof = account.map_or(&Proof::Never, |account| &account.proof);
    let key = shown.proves(proof);
    let account = account
        .filter(|account| !account.locked)
        .ok_or(Refusal::Denied)?;
    if let Proof::Plugin(plugin) = &account.proof {
        return Err(Refusal::Plugin(plugin.clone()));
    }
    let key = key.ok_or(Refusal::Denied)?;
    match account.wants {
        Wants::Tls if !tls => Err(Refusal::Tls),
        Wants::Certificate => Err(Refusal::Certificate),
        _ if account.writes_through => Err(Refusal::WritesThrough),
        _ => Ok(key),
    }
}

impl Shown<'_> {
    /// The same work whether there is such an account or not.
    fn proves(self, proof: &Proof) -> Option<Key> {
        let stored = match proof {
            Proof::Native(Some(stored)) => stored,
            _ => &NOBODY,
        };
        let key = match self {
            Self::Nothing => None,
            Self::Known(key) => Some(key),
            Self::Answer { answer: [], .. } => Some(Key::Native(NativeKey::empty())),
            Self::Answer { salt, answer } => {
                auth::verify_native(stored, salt, answer).map(Key::Native)
            }
            Self::Password(password) if password.is_empty() => {
                Some(Key::Native(NativeKey::empty()))
            }
            Self::Password(password) => match proof {
                Proof::Ed25519(public) => ed25519::verify(public, password).map(Key::Ed25519),
                _ => auth::verify_password(stored, password).map(Key::Native),
            },
        };
        key.filter(|key| match (proof, key) {
            (Proof::Native(None), Key::Native(key)) => key.stored().is_none(),
            (Proof::Native(Some(_)), Key::Native(key)) => key.stored().is_some(),
            (Proof::Ed25519(_), Key::Ed25519(_)) => true,
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = *b"abcdefghij1234567890";
    /// SELECT PASSWORD('x'), as the server wrote it.
    const X: &str = "*B69027D44F6E5EDC07F1AEAD1477967B16F28227";

    fn account(row: &str) -> Account {
        Account::parse("app", "%", row).unwrap()
    }

    fn in_clear(account: Option<&Account>, password: &str, tls: bool) -> Result<(), Refusal> {
        let password = Password::new(password);
        verdict(account, Shown::Password(&password), tls).map(drop)
    }

    #[test]
    fn an_ed25519_account_takes_the_password_and_no_answer() {
        // `CREATE USER … IDENTIFIED VIA ed25519 USING PASSWORD('secret')`.
        let row = r#"{"access":0,"plugin":"ed25519","authentication_string":"ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"}"#;
        let ed = account(row);
        assert!(ed.needs_password() && !account(&native()).needs_password());
        assert_eq!(in_clear(Some(&ed), "secret", false), Ok(()));
        for wrong in ["", "Secret"] {
            assert_eq!(in_clear(Some(&ed), wrong, true), Err(Refusal::Denied));
        }
        let answer = &NativeKey::of("secret").answer(&SALT);
        let shown = Shown::Answer {
            salt: &SALT,
            answer,
        };
        assert!(matches!(
            verdict(Some(&ed), shown, true),
            Err(Refusal::Denied)
        ));
        let shown = Shown::Known(Key::Native(NativeKey::of("secret")));
        assert!(matches!(
            verdict(Some(&ed), shown, true),
            Err(Refusal::Denied)
        ));
        assert!(matches!(
            verdict(Some(&ed), Shown::Nothing, true),
            Err(Refusal::Denied)
        ));
        assert_ne!(ed.mark(), account(&native()).mark());
    }

    #[test]
    fn what_an_account_requires_of_the_connection_is_told_to_those_who_know_its_password() {
        for (kind, plain, tls) in [
            (0, Ok(()), Ok(())),
            (1, Err(Refusal::Tls), Ok(())),
            (2, Err(Refusal::Certificate), Err(Refusal::Certificate)),
            (3, Err(Refusal::Certificate), Err(Refusal::Certificate)),
        ] {
            let row = format!(r#"{{"authentication_string":"{X}","ssl_type":{kind}}}"#);
            let account = account(&row);
            assert_eq!(in_clear(Some(&account), "x", false), plain);
            assert_eq!(in_clear(Some(&account), "x", true), tls);
            assert_eq!(in_clear(Some(&account), "y", true), Err(Refusal::Denied));
        }
    }

    fn native() -> String {
        format!(r#"{{"plugin":"mysql_native_password","authentication_string":"{X}"}}"#)
    }
}
