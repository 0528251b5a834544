//! Releases: an immutable copy of the code base, named by its content.

pub mod prune;
pub mod store;

pub use store::{Release, ReleaseError, Store};
