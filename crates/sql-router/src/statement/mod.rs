//! What a statement is: text → tokens → class.

pub(crate) mod cache;
pub mod class;
pub mod classify;
pub(crate) mod digest;
mod functions;
pub mod hint;
pub(crate) mod kill;
mod lexer;
mod verb;
