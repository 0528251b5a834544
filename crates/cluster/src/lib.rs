//! Agreement between the servers of a site: small values that all of them read, and that change only
//! when the writer knew the value before. Two makes behind one enum: embedded (in this process and
//! one file, for `mainstay up`) and, later, etcd. No consensus code of our own.
//!
//! Values are text (JSON by habit); a change is made by `put_if` with the version that was read, so
//! two writers cannot overwrite each other without noticing. Nothing here reads a clock.
//!
//! Must not know: what the values mean. Their types live with their owners.
#![forbid(unsafe_code)]

// what may be stored, and by whom
pub mod entry;
pub mod keys;

// the face, then its one make so far
pub mod agreement;
mod embedded;

// what must not be stored in the clear
pub mod secrets;

pub use agreement::{Cluster, PutError, StoreError, Watch};
pub use entry::{Conflict, Version, Versioned};
pub use secrets::{Secrets, SecretsError};
