//! One database member kept as the site file and the cluster state want it: a mariadbd that is
//! created, started, restarted, made primary or replica, rebuilt.
//!
//! `keeper` is the actor; what it should do is computed in `failover` (pure), from what `observe`
//! saw; `act` does it with the parts in `engine`.
//!
//! Must not know: sql-router, app, agent.
#![forbid(unsafe_code)]

// what others see of a member
pub mod record;
pub mod report;

// the loop: observe → diagnose → decide → tell → act
mod act;
mod fence;
pub mod keeper;
mod observe;
mod rebuild;
mod tell;

// what to do, decided
pub mod failover;

// what people see of a cluster, and ask of it
pub mod operate;

// copies kept elsewhere, and back from them
pub mod backup;

// the engine: programs, options, accounts, data directory
pub mod engine;

pub use engine::accounts;
pub use engine::programs::Programs;
pub use keeper::{Keeper, Parts, start};
pub use report::{MemberReport, MemberState, Role};
