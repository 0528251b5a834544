//! Heads: bytes ↔ request and response heads, strictly.

pub mod address;
pub mod cookie;
pub mod fields;
pub mod forwarded;
pub mod parse;
pub mod traits;
pub mod write;

pub use fields::Fields;
pub use parse::{RequestHead, ResponseHead, Storage, find_end, request, response};
