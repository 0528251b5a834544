//! Pure: the accounts of a site's database, and the statements that make them.
//!
//! Three kinds: `mainstay`, the keeper's own, is made with each data directory and never replicated;
//! the service accounts (one per replica, the SQL router's) and the application's are made once, on
//! the first primary, and replicate from there. Passwords are ours, so a plain SHA-1 hash
//! (`mysql_native_password`) of 192 random bits is safe to send and to store, and no password stands
//! in a statement, a log or the binary log.

use site::name::MemberName;

/// The keeper's account: only from `localhost`, which over the network nobody is.
pub const ADMIN: &str = "mainstay";
/// The SQL router's account: may read who the users are, may do nothing else.
pub const ROUTER: &str = "mainstay_router";
/// Our own schema: the heartbeat table.
pub const SCHEMA: &str = "mainstay";

/// Names in `cluster::Secrets`.
pub const ADMIN_SECRET: &str = "database-admin";
pub const ROUTER_SECRET: &str = "database-router";
/// The application's password.
pub const USER_SECRET: &str = "database-user";

/// The secret of a member's replication account.
pub fn replication_secret(member: &MemberName) -> String {
    format!("database-replication-{member}")
}
