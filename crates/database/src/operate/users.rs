//! Pure: the accounts of a site's database for people: which are whose, and the statements that make and
//! remove one. As with the service accounts, statements carry hashes and never passwords.

use mysql::client::Rows;
use site::target::MemberTarget;

use super::advice::Trouble;
use super::message::Account;
use crate::engine::accounts::{self, PasswordHash};

/// MariaDB takes 80 characters; longer names are of no use to people.
const LONGEST: usize = 32;

/// Every account, and whether it is locked.
pub const LIST: &str = "SELECT User, Host, COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0), \
                        COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) \
                        FROM mysql.global_priv ORDER BY User, Host";

/// The secret with the password of a user that was added.
pub fn secret(name: &str) -> String {
    format!("database-user-{name}")
}

/// `is_kept`: whether there is a secret of that name.
pub fn accounts(
    rows: &Rows,
    target: &MemberTarget,
    is_kept: impl Fn(&str) -> bool,
) -> Vec<Account> {
    let cell =
        |row: &[Option<String>], at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let is_role = |row: &[Option<String>]| matches!(cell(row, 3).as_str(), "1" | "true");
    let rows = rows.rows.iter().filter(|row| !is_role(row));
    rows.map(|row| {
        let (name, host) = (cell(row, 0), cell(row, 1));
        let ours_to_remove = !accounts::is_reserved(&name, target) && is_kept(&secret(&name));
        Account {
            locked: matches!(cell(row, 2).as_str(), "1" | "true"),
            what: what(&name, &host, target, ours_to_remove),
            ours_to_remove,
            name,
            host,
        }
    })
    .collect()
}

fn what(name: &str, host: &str, target: &MemberTarget, added: bool) -> String {
    if let Some(member) = accounts::replicates_for(name) {
        return format!(
            "Mainstay: {member} replicates with it; locked where it may not acknowledge"
        );
    }
    let is_application = name == target.user;
    match name {
        accounts::ADMIN => "Mainstay: the keeper of each server".to_owned(),
        accounts::ROUTER => "Mainstay: the SQL router looks up users and lag".to_owned(),
        "root" => "the server's own: root of the machine, by the socket".to_owned(),
        "mariadb.sys" | "mysql" | "" => "the server's own".to_owned(),
        _ if (is_application || added) && host == "localhost" => {
            "Mainstay: closes the way past the SQL router".to_owned()
        }
        _ if is_application => "the application".to_owned(),
        _ if added => "added with `mainstay db users add`".to_owned(),
        _ => "made by others".to_owned(),
    }
}

/// Whether `name` may be an account for somebody; `there`: the accounts there are.
pub fn may_add(name: &str, target: &MemberTarget, there: &[Account]) -> Result<(), Trouble> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(allowed) {
        let what = format!("`{name}` cannot be a user's name here");
        let next = format!("letters, digits and `-`, at most {LONGEST}");
        return Err(Trouble::new(what, next));
    }
    if accounts::is_reserved(name, target) {
        let what =
            format!("`{name}` is an account of the server, of Mainstay or of the application");
        return Err(Trouble::new(what, "choose another name"));
    }
    match there.iter().any(|account| account.name == name) {
        true => Err(Trouble::new(
            format!("there is a user `{name}` already"),
            "`mainstay db users` lists them; choose another name",
        )),
        false => Ok(()),
    }
}

/// Whether it may be removed.
pub fn may_remove(name: &str, there: &[Account]) -> Result<(), Trouble> {
    let mut found = there.iter().filter(|account| account.name == name);
    let Some(first) = found.next() else {
        let what = format!("there is no user `{name}`");
        return Err(Trouble::new(what, "`mainstay db users` lists them"));
    };
    match first.ours_to_remove {
        true => Ok(()),
        false => Err(Trouble::new(
            format!(
                "`{name}` was not added by `mainstay db users add` ({})",
                first.what
            ),
            "what others made is removed in `mainstay db shell`",
        )),
    }
}

/// From everywhere, for the application's schema. Nothing of it is undone by a repetition.
pub fn add(name: &str, read_only: bool, target: &MemberTarget, hash: &PasswordHash) -> Vec<String> {
    let account = accounts::account(name, "%");
    let by_socket = accounts::account(name, "localhost");
    let mut sql = Vec::new();
    sql.extend(accounts::user(&account, hash));
    // As for the application: some libraries would go past the SQL router.
    sql.extend(accounts::user(&by_socket, hash));
    sql.push(format!("ALTER USER {by_socket} ACCOUNT LOCK"));
    let rights = match read_only {
        true => "SELECT, SHOW VIEW",
        false => "ALL PRIVILEGES",
    };
    sql.push(format!(
        "GRANT {rights} ON {}.* TO {account}",
        accounts::pattern(&target.schema)
    ));
    sql
}

pub fn remove(name: &str) -> String {
    format!(
        "DROP USER IF EXISTS {}, {}",
        accounts::account(name, "%"),
        accounts::account(name, "localhost")
    )
}

#[cfg(test)]
mod tests {
    use telemetry::Secret;

    use super::*;
    use crate::engine::fixtures::target;

    fn there() -> Vec<Account> {
        let row = |user: &str, host: &str, locked: &str, role: &str| {
            [user, host, locked, role]
                .map(|cell| Some(cell.to_owned()))
                .into()
        };
        let rows = Rows {
            columns: Vec::new(),
            rows: vec![
                row("PUBLIC", "", "0", "1"),
                row("bob", "10.0.0.%", "0", "0"),
                row("foobar", "%", "0", "0"),
                row("foobar", "localhost", "1", "0"),
                row("mainstay_router", "%", "0", "0"),
                row("repl_db-1.2", "%", "true", "0"),
                row("reporter", "%", "0", "0"),
                row("root", "localhost", "0", "0"),
            ],
        };
        accounts(&rows, &target(), |secret| {
            secret == "database-user-reporter"
        })
    }

    #[test]
    fn each_account_says_whose_it_is() {
        let lines: Vec<String> = there()
            .iter()
            .map(|it| format!("{}@{} locked={} {}", it.name, it.host, it.locked, it.what))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn only_what_was_added_is_removed_and_nothing_is_taken_over() {
        let there = there();
        let add = |name: &str| may_add(name, &target(), &there).map_err(|no| no.what);
        assert_eq!(add("alice"), Ok(()));
        for taken in ["reporter", "bob", "foobar", "root", "repl_db-1", "a'b", ""] {
            assert!(add(taken).is_err(), "{taken}");
        }
        assert_eq!(may_remove("reporter", &there), Ok(()));
        for not_ours in ["bob", "foobar", "root", "nobody"] {
            assert!(may_remove(not_ours, &there).is_err(), "{not_ours}");
        }
    }

    #[test]
    fn the_statements() {
        let hash = PasswordHash::of(&Secret::new("hello"));
        let mut sql = add("reporter", true, &target(), &hash);
        sql.push(remove("reporter"));
        insta::assert_snapshot!(sql.join("\n"));
    }
}
