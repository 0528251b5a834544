//! The database server itself. One make so far (MariaDB ≥ 10.6); MySQL comes behind the same face.

pub mod accounts;
