//! What a statement is: text → tokens → class.

pub(crate) mod cache;
pub mod class;
pub mod classify;
mod functions;
pub(crate) mod kill;
mod lexer;
mod verb;
