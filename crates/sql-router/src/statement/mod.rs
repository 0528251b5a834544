//! What a statement is: text → tokens → class.

pub(crate) mod assigned;
pub(crate) mod cache;
pub mod class;
pub mod classify;
pub mod digest;
mod functions;
pub mod hint;
pub mod kill;
mod lexer;
mod shape;
mod verb;
