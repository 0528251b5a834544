//! Pure: values as text for people.

pub(crate) mod backups;
pub(crate) mod database;
pub(crate) mod findings;
pub(crate) mod import;
pub(crate) mod progress;
pub(crate) mod sql;
pub(crate) mod status;
mod text;
