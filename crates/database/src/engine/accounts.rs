//! Pure: the accounts of a site's database, and the statements that make them.
//!
//! Three kinds: `mainstay`, the keeper's own, is made with each data directory and never replicated;
//! the service accounts (one per replica, the SQL router's) and the application's are made once, on
//! the first primary, and replicate from there.
//!
//! Statements carry hashes (`mysql_native_password`), never passwords, so none stands in a log or in
//! the binary log. The passwords are 192 random bits, for which a fast hash is no weakness.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};
use site::name::MemberName;
use site::target::MemberTarget;
use telemetry::Secret;

/// The keeper's account: only from `localhost`, which over the network nobody is.
pub const ADMIN: &str = "mainstay";
/// The SQL router's account: may read who the users are and how replication stands, nothing else.
pub const ROUTER: &str = "mainstay_router";
/// Our own schema: the heartbeat table.
pub const SCHEMA: &str = "mainstay";

/// Names in `cluster::Secrets`.
pub const ADMIN_SECRET: &str = "database-admin";
pub const ROUTER_SECRET: &str = "database-router";
/// The application's password.
pub const USER_SECRET: &str = "database-user";

/// The account with which a member replicates: its own, so that it alone can be locked out.
pub fn replication_user(member: &MemberName) -> String {
    format!("repl_{member}")
}

/// The member that replicates as `user`.
pub fn replicates_for(user: &str) -> Option<MemberName> {
    user.strip_prefix("repl_").map(MemberName::new)
}

/// Locks a member's replication account, or unlocks it, on this server only: who may acknowledge is its
/// own matter, and a replica that becomes primary decides anew.
pub fn lock(member: &MemberName, locked: bool) -> String {
    format!(
        "ALTER USER {} ACCOUNT {}",
        account(&replication_user(member), "%"),
        if locked { "LOCK" } else { "UNLOCK" }
    )
}

/// The secret of a member's replication account.
pub fn replication_secret(member: &MemberName) -> String {
    format!("database-replication-{member}")
}

/// What the server stores for a password: `*` and the hex of SHA1(SHA1(password)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn of(password: &Secret) -> Self {
        let mut text = "*".to_owned();
        for byte in Sha1::digest(Sha1::digest(password.expose().as_bytes())) {
            // Writing to a String cannot fail.
            if write!(text, "{byte:02X}").is_err() {
                text.clear();
            }
        }
        Self(text)
    }
}

/// The hashes of all accounts that replicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    pub router: PasswordHash,
    pub user: PasswordHash,
    /// Every member of the site: any of them may have to replicate.
    pub replication: Vec<(MemberName, PasswordHash)>,
}

/// A user name of the site file that cannot be the application's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is an account of the database server itself or of Mainstay; name another `user`")]
pub struct Reserved(pub String);

/// Run while the data directory is made, by a server that nobody can reach, so there is no moment in
/// which an account without a password exists.
pub fn bootstrap(admin: &PasswordHash) -> String {
    let admin_account = account(ADMIN, "localhost");
    format!(
        "FLUSH PRIVILEGES;\n\
         CREATE USER {admin_account} IDENTIFIED VIA mysql_native_password USING '{hash}';\n\
         GRANT ALL PRIVILEGES ON *.* TO {admin_account} WITH GRANT OPTION;\n\
         ALTER USER 'root'@'localhost' IDENTIFIED VIA unix_socket;\n\
         DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');\n\
         DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';\n",
        hash = admin.0
    )
}

/// Makes the keeper's account anew, as it is now: in restored data it is as it was. One statement a line
/// (`init_file`).
pub fn keeper(admin: &PasswordHash) -> String {
    let account = account(ADMIN, "localhost");
    format!(
        "SET sql_log_bin = 0;\n\
         CREATE OR REPLACE USER {account} IDENTIFIED VIA mysql_native_password USING '{hash}';\n\
         GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;\n",
        hash = admin.0
    )
}

/// What the first primary runs before it is made known: our schema, the application's schema, the
/// accounts. Each statement may be repeated.
pub fn statements(target: &MemberTarget, hashes: &Hashes) -> Result<Vec<String>, Reserved> {
    if is_not_for_people(&target.user) {
        return Err(Reserved(target.user.clone()));
    }
    let mut sql = vec![
        format!("CREATE DATABASE IF NOT EXISTS {}", name(SCHEMA)),
        format!(
            "CREATE TABLE IF NOT EXISTS {}.heartbeat (server_id INT UNSIGNED PRIMARY KEY, \
             at_us BIGINT NOT NULL COMMENT 'microseconds since 1970') ENGINE=InnoDB",
            name(SCHEMA)
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {}.prepared (id TINYINT UNSIGNED PRIMARY KEY, \
             digest CHAR(40) NOT NULL COMMENT 'of the statements that made the accounts') \
             ENGINE=InnoDB",
            name(SCHEMA)
        ),
        format!("CREATE DATABASE IF NOT EXISTS {}", name(&target.schema)),
    ];
    for (member, hash) in &hashes.replication {
        let account = account(&replication_user(member), "%");
        sql.extend(user(&account, hash));
        sql.push(format!("GRANT REPLICATION SLAVE ON *.* TO {account}"));
    }
    let router = account(ROUTER, "%");
    sql.extend(user(&router, &hashes.router));
    sql.push(format!("GRANT SLAVE MONITOR ON *.* TO {router}"));
    for table in ["global_priv", "user", "db", "roles_mapping"] {
        sql.push(format!("GRANT SELECT ON mysql.{table} TO {router}"));
    }
    sql.push(format!(
        "GRANT SELECT ON {}.heartbeat TO {router}",
        name(SCHEMA)
    ));
    let application = account(&target.user, "%");
    sql.extend(user(&application, &hashes.user));
    // Some client libraries ask a server on loopback for `@@socket` and connect anew through it
    // (mysql_async's `prefer_socket`), past the SQL router. The more specific account closes that way.
    let by_socket = account(&target.user, "localhost");
    sql.extend(user(&by_socket, &hashes.user));
    sql.push(format!("ALTER USER {by_socket} ACCOUNT LOCK"));
    sql.push(format!(
        "GRANT ALL PRIVILEGES ON {}.* TO {application}",
        pattern(&target.schema)
    ));
    Ok(sql)
}

/// Of the server itself or of Mainstay.
fn is_not_for_people(user: &str) -> bool {
    let reserved = ["", "root", "mariadb.sys", "mysql", ADMIN, ROUTER];
    reserved.contains(&user) || user.starts_with("repl_")
}

/// The same, and the application's.
pub fn is_reserved(user: &str, target: &MemberTarget) -> bool {
    is_not_for_people(user) || user == target.user
}

/// Tells whether these very statements were run before.
pub fn digest(statements: &[String]) -> String {
    let mut sha1 = Sha1::new();
    for statement in statements {
        sha1.update(statement.as_bytes());
        sha1.update(b"\n");
    }
    let mut text = String::new();
    for byte in sha1.finalize() {
        if write!(text, "{byte:02x}").is_err() {
            text.clear();
        }
    }
    text
}

/// Remembers them.
pub fn remember(digest: &str) -> String {
    format!(
        "REPLACE INTO {}.prepared (id, digest) VALUES (1, {})",
        name(SCHEMA),
        text(digest)
    )
}

pub(crate) fn user(account: &str, hash: &PasswordHash) -> [String; 2] {
    let by = format!("IDENTIFIED VIA mysql_native_password USING '{}'", hash.0);
    [
        format!("CREATE USER IF NOT EXISTS {account} {by}"),
        // It may have been there with another password.
        format!("ALTER USER {account} {by}"),
    ]
}

pub(crate) fn account(user: &str, host: &str) -> String {
    format!("{}@{}", text(user), text(host))
}

/// A name in backquotes.
pub fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A schema's name where GRANT takes a pattern: `_` and `%` would match others too.
pub(crate) fn pattern(schema: &str) -> String {
    name(&schema.replace('_', "\\_").replace('%', "\\%"))
}

/// A text in quotes.
pub fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests;
