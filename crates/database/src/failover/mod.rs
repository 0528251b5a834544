//! Pure: what a member should do next, from all that is known. Nothing in this folder does I/O, reads
//! a clock or draws a number (a test checks it); time is an argument.
//!
//! The rule of this version, on one page:
//!
//! - The key `database/state` names the primary and a generation. Only that member may be writable;
//!   every other is held at `read_only=1`, and a member that starts is read-only until it has read
//!   the key. A generation lower than one that was followed is never obeyed.
//! - The primary of `database/state` stays primary: when its mariadbd ends it is started again in
//!   place. Nobody else takes its place.
//! - The first primary makes the accounts, then creates the key, then becomes writable, in this
//!   order: whoever reads the key finds a server that can be followed.
//! - When the key is missing although there was one, every member is asked what it followed last;
//!   the primary of the highest generation goes on, in the next one.
//! - A replica follows by GTID. Stopped by its surroundings, it is started again; having lost its
//!   place, or holding transactions of its own, it is rebuilt from the primary, seldom.
//! - Without a readable key nothing changes: the primary goes on, replicas go on.
//!
//! Automatic failover (lease, fencing, sync set, candidates, switchover) comes into this folder as
//! checks in `diagnose` and arms in `decide`; the actions already carry the generation they are for.

// what is known
pub mod attempts;
pub mod flapping;
pub mod lag;
pub mod view;

// what is wrong
pub mod diagnose;
pub mod diagnosis;
pub mod replication_error;

// what to do
pub mod candidate;
pub mod decide;
pub mod decision;
pub mod lease;
pub mod no_state;
pub mod rebuild;
pub mod rejoin;
pub mod state_change;
pub mod switchover;
pub mod sync_set;
pub mod upkeep;

#[cfg(test)]
mod tests;
