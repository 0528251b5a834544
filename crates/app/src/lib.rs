//! The application on one server: its releases and its instances.
//!
//! Must not know: web, database.
#![forbid(unsafe_code)]

// the code base, immutable, named by its content
pub mod release;

// what an instance is told, and what it is
pub mod env;
pub mod instance;

// the shell: one actor per instance
mod health;
pub mod keeper;
pub mod migrate;
