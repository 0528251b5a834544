//! The site file: its meaning and what follows from it. Everything here is pure.
//!
//! parse → resolve → audit → derive → check_target
//!
//! `load` does the first two. Must not know: tokio, files, sockets, any role.
#![forbid(unsafe_code)]

// What a person wrote, and what is wrong with it.
mod at;
mod load;
mod parse;
mod problem;
mod source;
mod spelling;
mod syntax;
pub mod written;

// Its shape: one schema for editors and for us.
mod hint;
mod kind;
mod schema;
mod shape;
mod suggest;

// Single values.
mod address;
mod domain;
mod quantity;
mod secret;
mod words;

// What it means.
pub mod name;
mod resolve;
pub mod topology;

// From others' files.
pub mod import;

// What follows.
mod audit;
mod check_target;
mod derive;
mod not_yet;
mod presets;
pub mod target;

pub use at::{At, Span};
pub use audit::{Finding, Findings, Kind, Severity, audit};
pub use check_target::{Defect, check_target};
pub use derive::{Ground, derive};
pub use load::load;
pub use not_yet::not_yet;
pub use parse::{Parsed, parse, text_of};
pub use presets::{PRESETS, Preset, preset};
pub use problem::{Code, Problem};
pub use resolve::resolve;
pub use schema::schema;
pub use source::Source;
pub use spelling::{Scalar, Value, Words};
pub use topology::Site;

#[cfg(test)]
mod tests;
