//! Being a supervised process, both halves: the parent's (start, watch, stop, hand sockets over) and
//! the child's (take them, obey the control socket, say "ready", drain).
//!
//! Must not know: which role it carries.
#![forbid(unsafe_code)]

pub mod message;

// the parent's half
pub mod leash;
pub mod log_file;
pub mod restart;
pub mod sockets;
pub mod spawn;

// the child's half
pub mod exec;
pub mod role;
pub mod snapshot;

// both
pub mod control;

// between two children
pub mod seen;
