//! Pure: who may log in: the rows of `mysql.global_priv`, and (`verdict.rs`) the verdict on a login.
//!
//! Source: MariaDB KB, "mysql.global_priv Table", "CREATE USER: Host Name Component"; privilege bits
//! as measured on 10.11 (`GRANT READ ONLY ADMIN` → 2^33).

mod verdict;

use std::net::IpAddr;

use mysql::auth::ed25519::{self, PublicKey};
use mysql::auth::{self, Stored};
use serde_json::Value;

pub(crate) use verdict::{Shown, verdict};

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

/// The account that counts for a client at `from`.
pub(crate) fn find(accounts: &[Account], from: IpAddr) -> Option<&Account> {
    let may = |account: &&Account| account.admits(from) && !account.closes_the_socket();
    let admitting = accounts.iter().filter(may);
    admitting.max_by_key(|account| account.specificity())
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
    use mysql::auth::{NativeKey, Password, Salt};
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn no_row_makes_the_parser_panic(user: String, host: String, text: String, kind: u8) {
            drop(Account::parse(&user, &host, &text));
            let row = format!(r#"{{"plugin":"ed25519","authentication_string":{text:?},"ssl_type":{kind}}}"#);
            drop(Account::parse(&user, &host, &row));
            let _ = like(&host, &text);
        }
    }
}
