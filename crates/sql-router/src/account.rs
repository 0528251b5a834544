//! Pure: who may log in: the rows of `mysql.global_priv`, and the verdict on a login.
//!
//! Source: MariaDB KB, "mysql.global_priv Table", "CREATE USER: Host Name Component"; privilege bits
//! as measured on 10.11 (`GRANT READ ONLY ADMIN` → 2^33).

use std::net::IpAddr;

use mysql::auth::{self, NativeKey, Salt, Stored};
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
}

/// How an account proves itself.
#[derive(Debug, Clone)]
enum Proof {
    /// mysql_native_password; `None`: without a password.
    Native(Option<Stored>),
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
        if !plugin.is_empty() && plugin != auth::NATIVE {
            other.get_or_insert(plugin);
            continue;
        }
        let stored = text(way, "authentication_string").unwrap_or_default();
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

/// Is `answer` to `salt` right for `user` coming from `from`? Then the key that logs in to servers.
pub(crate) fn verdict(
    accounts: &[Account],
    from: IpAddr,
    salt: &Salt,
    answer: &[u8],
) -> Result<NativeKey, Refusal> {
    let account = accounts
        .iter()
        .filter(|account| account.admits(from) && !account.closes_the_socket())
        .max_by_key(|account| account.specificity());
    let stored = match account.map(|account| &account.proof) {
        Some(Proof::Native(Some(stored))) => *stored,
        _ => NOBODY,
    };
    let checked = auth::verify_native(&stored, salt, answer);
    let account = account
        .filter(|account| !account.locked)
        .ok_or(Refusal::Denied)?;
    let key = match &account.proof {
        Proof::Native(Some(_)) => checked.ok_or(Refusal::Denied)?,
        Proof::Native(None) if answer.is_empty() => NativeKey::empty(),
        Proof::Native(None) | Proof::Never => return Err(Refusal::Denied),
        Proof::Plugin(plugin) => return Err(Refusal::Plugin(plugin.clone())),
    };
    match account.writes_through {
        true => Err(Refusal::WritesThrough),
        false => Ok(key),
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

    fn login(accounts: &[Account], from: &str, password: &str) -> Result<(), Refusal> {
        let answer = NativeKey::of(password).answer(&SALT);
        verdict(accounts, from.parse().unwrap(), &SALT, &answer).map(drop)
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
        let ed = r#"{"access":0,"plugin":"ed25519","authentication_string":"abc"}"#;
        let refused = Err(Refusal::Plugin("ed25519".to_owned()));
        assert_eq!(login(&[account("%", ed)], "::1", "x"), refused);
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
}
