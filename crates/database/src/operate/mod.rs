//! What people see of a database cluster and ask of it: the part of the command line that decides.
//!
//! Everything here but `store` is pure. `status` puts together what is known; `advice` says the next
//! step when something is wrong; `switchover`, `promotion` and `rolling` look at one status after the
//! other and say how it goes; `message` is what travels between the command line and the site.

// what is known
pub mod status;
pub mod store;

// what to do about it
pub mod advice;

// what is asked for
pub mod message;
pub mod promotion;
pub mod rolling;
pub mod switchover;
pub mod users;

#[cfg(test)]
mod samples;
