//! When people are called: what is wrong (`rules`), and since when, until when (`state`).

pub mod rules;
pub mod state;
