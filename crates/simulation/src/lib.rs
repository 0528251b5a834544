//! A simulated site under simulated time, for the decisions that cannot be tested enough otherwise:
//! database failover. It runs the *same* `database::failover` code as the keepers do (`decide`, `Memory`,
//! the lease, the sync set, the candidates); what is replaced is what these see and do: servers,
//! replication, the cluster state's store, network and clocks.
//!
//! One seed is one run, always the same. `sabotage` takes one rule away at a time: some seed must then
//! fail, or the rule, or the simulation, is of no use.
//!
//! Development only: nobody depends on it. Must not know: anything but the pure parts it tests.
#![forbid(unsafe_code)]

// chance and time
pub mod chance;
pub mod clock;

// what is simulated
pub mod client;
pub mod engine;
pub mod network;
pub mod store;

// who decides, as in `database::keeper`
pub mod keeper;

// one run
mod event;
pub mod faults;
mod outcome;
pub mod sabotage;
pub mod trace;
pub mod world;

// the world's parts in motion
mod adversary;
mod hands;
mod invariants;
mod liveness;
mod replication;
mod step;
mod trouble;

pub use adversary::Ambush;
pub use outcome::{Failure, Options, Outcome};
pub use sabotage::Rule;
pub use world::{run, story};
