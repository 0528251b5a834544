//! The site file: its meaning and what follows from it. Everything here is pure.
//!
//! parse → resolve → audit → derive → check_target
//!
//! Must not know: tokio, files, sockets, any role.
#![forbid(unsafe_code)]

pub mod name;
pub mod target;
