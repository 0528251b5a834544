//! The database server itself. One make so far (MariaDB ≥ 10.6); MySQL comes behind the same face.

// pure: what is written and read
pub mod accounts;
pub mod options;
pub mod status;

// its files and programs
pub mod create;
pub mod identity;
pub mod login;
pub mod programs;
pub mod tool;

// the running server
pub mod admin;
pub mod mariadb;

#[cfg(test)]
pub(crate) mod fixtures;
