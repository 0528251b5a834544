//! Pure: who may log in: the rows of `mysql.global_priv`, and the verdict on a login.
//!
//! Source: MariaDB KB, "mysql.global_priv Table", "CREATE USER: Host Name Component"; privilege bits
//! as measured on 10.11 (`GRANT READ ONLY ADMIN` → 2^33).

use std::net::IpAddr;

use mysql::auth::ed25519::{self, PublicKey};
use mysql::auth::{self, Key, NativeKey, Password, Salt, Stored};
use serde_json::Value;

/// SUPER and READ ONLY ADMIN: they write through `read_only`.
const WRITES_THROUGH: u64 = 1 << 15 | 1 << 33;

/// One account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) user: String,
    host: String,
    proof: Proof,
    locked: bool,
    writes_through: bool,
    wants: Wants,
}

/// What `REQUIRE` says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    Nothing,
    Tls,
    /// X509, ISSUER, SUBJECT: a certificate of the client, which the router has no way to pass on.
    Certificate,
}

/// An account with the password it has now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    pub(crate) user: String,
    pub(crate) host: String,
    /// What the servers keep of the password.
    pub(crate) proof: Vec<u8>,
}

/// How an account proves itself.
#[derive(Debug, Clone)]
enum Proof {
    /// mysql_native_password; `None`: without a password.
    Native(Option<Stored>),
    Ed25519(PublicKey),
    /// A plugin the router cannot check.
    Plugin(String),
    /// No password can be right.
    Never,
}

/// Why a login is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Unknown user, wrong password, wrong host, locked: not told apart.
    Denied,
    Plugin(String),
    WritesThrough,
    /// It may come by TLS only.
    Tls,
    Certificate,
}

impl Account {
    /// A row of `SELECT User, Host, Priv FROM mysql.global_priv`; roles are none.
    pub(crate) fn parse(user: &str, host: &str, privileges: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(privileges).ok()?;
        let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
        if flag("is_role") {
            return None;
        }
        let access = value.get("access").and_then(Value::as_u64).unwrap_or(0);
        Some(Self {
            user: user.to_owned(),
            host: host.to_owned(),
            proof: proof(&value),
            locked: flag("account_locked"),
            writes_through: access & WRITES_THROUGH != 0,
            wants: match value.get("ssl_type").and_then(Value::as_u64) {
                None | Some(0) => Wants::Nothing,
                Some(1) => Wants::Tls,
                Some(_) => Wants::Certificate,
            },
        })
    }

    /// Its password must be known to log in to servers; an answer alone does not do.
    pub(crate) fn needs_password(&self) -> bool {
        matches!(self.proof, Proof::Ed25519(_))
    }

    /// `None`: it has no password that could be remembered.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let proof = match &self.proof {
            Proof::Native(Some(stored)) => stored.to_vec(),
            Proof::Ed25519(public) => public.to_vec(),
            Proof::Native(None) | Proof::Plugin(_) | Proof::Never => return None,
        };
        Some(Mark {
            user: self.user.clone(),
            host: self.host.clone(),
            proof,
        })
    }

    /// Locked at `localhost`: made by Mainstay so that clients on the server's machine cannot go past
    /// the router through the server's own socket. It says nothing about those who come through us.
    fn closes_the_socket(&self) -> bool {
        self.locked && self.host.eq_ignore_ascii_case("localhost")
    }

    /// May a client at `from` use this account?
    fn admits(&self, from: IpAddr) -> bool {
        let loopback = from.is_loopback() && self.host.eq_ignore_ascii_case("localhost");
        let masked = || in_network(&self.host, from) == Some(true);
        loopback || like(&self.host, &from.to_string()) || masked()
    }

    /// Exact hosts come before patterns, as in the server; among patterns the one with the longer
    /// fixed beginning.
    fn specificity(&self) -> usize {
        match self.host.find(['%', '_']) {
            None => usize::MAX,
            Some(at) => at,
        }
    }
}

/// One of several ways may be enough (`auth_or`); the first that the router can check is taken.
fn proof(value: &Value) -> Proof {
    let text = |from: &Value, name: &str| -> Option<String> {
        from.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    let ways: Vec<&Value> = match value.get("auth_or").and_then(Value::as_array) {
        // An empty one stands for what is written beside the list.
        Some(ways) => ways
            .iter()
            .map(|way| {
                if way.get("plugin").is_some() {
                    way
                } else {
                    value
                }
            })
            .collect(),
        None => vec![value],
    };
    let mut other = None;
    for way in ways {
        let plugin = text(way, "plugin").unwrap_or_default();
        let stored = text(way, "authentication_string").unwrap_or_default();
        if plugin == ed25519::SERVER_PLUGIN
            && let Some(public) = ed25519::parse_public(&stored)
        {
            return Proof::Ed25519(public);
        }
        if !plugin.is_empty() && plugin != auth::NATIVE {
            other.get_or_insert(plugin);
            continue;
        }
        if stored.is_empty() {
            return Proof::Native(None);
        }
        match auth::parse_stored(&stored) {
            Some(stored) => return Proof::Native(Some(stored)),
            None => {
                other.get_or_insert(String::new());
            }
        }
    }
    match other {
        Some(plugin) if !plugin.is_empty() => Proof::Plugin(plugin),
        _ => Proof::Never,
    }
}

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

/// The account that counts for a client at `from`.
pub(crate) fn find(accounts: &[Account], from: IpAddr) -> Option<&Account> {
    let may = |account: &&Account| account.admits(from) && !account.closes_the_socket();
    let admitting = accounts.iter().filter(may);
    admitting.max_by_key(|account| account.specificity())
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

/// LIKE, as hosts are matched: `%` any number of characters, `_` one; case does not matter.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    // Going over the pattern, the set of places in the text that can be reached.
    let mut reached = vec![false; text.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for wanted in pattern {
        let mut next = vec![false; reached.len()];
        let mut before = false;
        for (index, place) in next.iter_mut().enumerate() {
            let here = reached.get(index).copied().unwrap_or(false);
            let byte = index.checked_sub(1).and_then(|at| text.get(at));
            *place = match wanted {
                b'%' => here || before,
                b'_' => index > 0 && reached.get(index - 1) == Some(&true),
                exact => {
                    byte.is_some_and(|byte| byte.eq_ignore_ascii_case(exact))
                        && reached.get(index - 1) == Some(&true)
                }
            };
            before = *place;
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

/// `192.168.0.0/255.255.255.0`; `None` when the pattern is no network.
fn in_network(pattern: &str, from: IpAddr) -> Option<bool> {
    let (network, mask) = pattern.split_once('/')?;
    let (network, mask): (std::net::Ipv4Addr, std::net::Ipv4Addr) =
        (network.parse().ok()?, mask.parse().ok()?);
    let IpAddr::V4(from) = from.to_canonical() else {
        return Some(false);
    };
    Some(from.to_bits() & mask.to_bits() == network.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = *b"abcdefghij1234567890";
    /// SELECT PASSWORD('x'), as the server wrote it.
    const X: &str = "*B69027D44F6E5EDC07F1AEAD1477967B16F28227";

    fn account(host: &str, privileges: &str) -> Account {
        Account::parse("app", host, privileges).unwrap()
    }

    fn native(host: &str) -> Account {
        account(
            host,
            &format!(
                r#"{{"access":0,"plugin":"mysql_native_password","authentication_string":"{X}"}}"#
            ),
        )
    }

    /// By its answer and by the password itself, which must come to the same.
    fn login(accounts: &[Account], from: &str, password: &str) -> Result<(), Refusal> {
        let answer = &NativeKey::of(password).answer(&SALT);
        let account = find(accounts, from.parse().unwrap());
        let shown = Shown::Answer {
            salt: &SALT,
            answer,
        };
        let by_answer = verdict(account, shown, false).map(drop);
        let by_password = in_clear(account, password, false);
        assert_eq!(by_answer, by_password);
        by_answer
    }

    fn in_clear(account: Option<&Account>, password: &str, tls: bool) -> Result<(), Refusal> {
        let password = Password::new(password);
        verdict(account, Shown::Password(&password), tls).map(drop)
    }

    #[test]
    fn the_right_password_is_let_in_and_nothing_else() {
        let accounts = [native("%")];
        assert_eq!(login(&accounts, "10.0.0.1", "x"), Ok(()));
        for wrong in ["", "X", "xx"] {
            assert_eq!(login(&accounts, "10.0.0.1", wrong), Err(Refusal::Denied));
        }
        assert_eq!(login(&[], "10.0.0.1", "x"), Err(Refusal::Denied));
    }

    #[test]
    fn an_account_without_a_password_takes_only_an_empty_answer() {
        // The row of root after `mariadb-install-db --auth-root-authentication-method=normal`, its
        // rights aside.
        let accounts = [account("%", r#"{"access":0}"#)];
        assert_eq!(login(&accounts, "::1", ""), Ok(()));
        assert_eq!(login(&accounts, "::1", "x"), Err(Refusal::Denied));
    }

    #[test]
    fn rows_as_the_server_writes_them() {
        let either = format!(
            r#"{{"access":0,"plugin":"mysql_native_password","authentication_string":"{X}","auth_or":[{{"plugin":"unix_socket"}},{{}}]}}"#
        );
        assert_eq!(login(&[account("%", &either)], "::1", "x"), Ok(()));
        let pam = r#"{"access":0,"plugin":"pam","authentication_string":"abc"}"#;
        let refused = Err(Refusal::Plugin("pam".to_owned()));
        assert_eq!(login(&[account("%", pam)], "::1", "x"), refused);
        let locked = format!(r#"{{"authentication_string":"{X}","account_locked":true}}"#);
        assert_eq!(
            login(&[account("%", &locked)], "::1", "x"),
            Err(Refusal::Denied)
        );
        let never = r#"{"plugin":"mysql_native_password","authentication_string":"invalid"}"#;
        assert_eq!(
            login(&[account("%", never)], "::1", ""),
            Err(Refusal::Denied)
        );
        assert!(Account::parse("role", "", r#"{"access":0,"is_role":true}"#).is_none());
        assert!(Account::parse("app", "%", "{").is_none());
    }

    #[test]
    fn an_ed25519_account_takes_the_password_and_no_answer() {
        // `CREATE USER … IDENTIFIED VIA ed25519 USING PASSWORD('secret')`.
        let row = r#"{"access":0,"plugin":"ed25519","authentication_string":"ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"}"#;
        let ed = account("%", row);
        assert!(ed.needs_password() && !native("%").needs_password());
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
        assert_ne!(ed.mark(), native("%").mark());
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
            let account = account("%", &row);
            assert_eq!(in_clear(Some(&account), "x", false), plain);
            assert_eq!(in_clear(Some(&account), "x", true), tls);
            assert_eq!(in_clear(Some(&account), "y", true), Err(Refusal::Denied));
        }
    }

    #[test]
    fn accounts_that_write_through_read_only_are_refused() {
        for access in [32_768u64, 8_589_934_592, 549_755_812_863] {
            let row = format!(r#"{{"access":{access},"authentication_string":"{X}"}}"#);
            assert_eq!(
                login(&[account("%", &row)], "::1", "x"),
                Err(Refusal::WritesThrough)
            );
            assert_eq!(
                login(&[account("%", &row)], "::1", "y"),
                Err(Refusal::Denied)
            );
        }
    }

    #[test]
    fn hosts() {
        for (pattern, from, admitted) in [
            ("%", "10.0.0.1", true),
            ("10.0.%", "10.0.0.1", true),
            ("10.0.%", "10.1.0.1", false),
            ("10.0.0._", "10.0.0.7", true),
            ("10.0.0._", "10.0.0.17", false),
            ("%.0.1", "127.0.0.1", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("localhost", "127.0.0.9", true),
            ("localhost", "10.0.0.1", false),
            ("192.168.0.0/255.255.255.0", "192.168.0.77", true),
            ("192.168.0.0/255.255.255.0", "192.168.1.77", false),
            ("", "10.0.0.1", false),
        ] {
            assert_eq!(
                native(pattern).admits(from.parse().unwrap()),
                admitted,
                "{pattern} {from}"
            );
        }
    }

    #[test]
    fn a_locked_account_at_localhost_only_closes_the_servers_socket() {
        let locked = format!(r#"{{"authentication_string":"{X}","account_locked":true}}"#);
        let open = format!(r#"{{"authentication_string":"{X}"}}"#);
        let accounts = [account("localhost", &locked), account("%", &open)];
        assert!(login(&accounts, "127.0.0.1", "x").is_ok());
        assert!(login(&accounts[..1], "127.0.0.1", "x").is_err());
    }

    #[test]
    fn the_more_specific_host_decides() {
        let other = account("10.0.0.1", r#"{"access":0}"#);
        let accounts = [native("%"), other];
        assert_eq!(login(&accounts, "10.0.0.1", ""), Ok(()));
        assert_eq!(login(&accounts, "10.0.0.1", "x"), Err(Refusal::Denied));
        assert_eq!(login(&accounts, "10.0.0.2", "x"), Ok(()));
    }
}
