//! Pure: what a member should do next, from all that is known. Nothing in this folder does I/O, reads
//! a clock or draws a number (a test checks it); time is an argument.
//!
//! The rule, on one page:
//!
//! - The key `database/state` names the primary and a generation. Only that member may be writable, and
//!   only while it holds the **lease** (`lease`): it renews it by writing the key, and when it cannot in
//!   time, its server is killed before another may take over. Every other is held at `read_only=1`. A
//!   generation lower than one that was followed is never obeyed.
//! - Every write of the key is a compare-and-put on the revision before. So a candidate that waited out
//!   a revision and writes on it has excluded every renewal that came, or will come, in between.
//! - The **sync set** (`sync_set`) holds the replicas that may acknowledge writes. A write is on one of
//!   them at least before the application hears of it. Set and engine change in an order that keeps this
//!   true at every moment.
//! - When the lease is free, every replica stops receiving and promises, in its own key, to receive
//!   nothing as long as the state has that revision. `candidate` elects the furthest of the sync set when
//!   all of it were heard, or the last writer itself; nobody else, unless a person orders it.
//! - The elected one applies all that it received, then **opens** its generation: it becomes the writer,
//!   first alone, and is writable. One that restarted meanwhile has lost relay logs: it gives up.
//! - A primary whose server ends is started in place when that is quick, else it gives the lease up at
//!   once (`upkeep`). One that hangs is killed.
//! - Asynchronous replication (`SyncSet::Async`): the same lease, and the furthest of those heard is
//!   elected. The end of what was written may be lost, and is counted.
//! - The first primary makes the accounts, then creates the key, then becomes writable, in this order:
//!   whoever reads the key finds a server that can be followed.
//! - When the key is missing although there was one, every member is asked what it followed last; the
//!   primary of the highest generation goes on, in the next one.
//! - A replica follows by GTID. Stopped by its surroundings, it is started again; having lost its place,
//!   or holding transactions of its own, it is rebuilt from the primary, seldom. A former primary follows
//!   when its successor has all it has.
//! - Without a readable key nothing changes hands: replicas go on, the primary until its lease ends.
//! - In maintenance (`RequestRecord::paused`) nobody is elected, started, ended or rebuilt; the fence
//!   stays.

// what is known
pub mod attempts;
pub mod flapping;
pub mod lag;
pub mod memory;
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
pub mod pace;
pub mod rebuild;
pub mod rejoin;
pub mod restart;
pub mod state_change;
pub mod switchover;
pub mod sync_set;
pub mod upkeep;

#[cfg(test)]
mod tests;
