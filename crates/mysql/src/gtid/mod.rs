//! Pure: positions in the history of writes.

pub mod mariadb;
