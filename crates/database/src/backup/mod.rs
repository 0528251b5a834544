//! Backups of the database: taken, kept, tried, restored.
//!
//! `keeper` is the actor of a running site: what is due is computed in `schedule`, what may go in
//! `retention`, whose data is copied in `source`. `take`, `archive`, `verify` and `restore` do it with
//! mariadb-backup, mbstream and mariadb-binlog. Which backups and logs reach a moment is `point_in_time`.
//! What is stored says itself what it is (`record`), so a restore needs the destination and the key, and
//! nothing else of the site that was lost.

// what there is, and what follows from it: pure
pub mod catalog;
pub mod moment;
pub mod point_in_time;
pub mod record;
pub mod report;
pub mod retention;
pub mod schedule;

mod binlog;
mod source;
mod tool_record;

// where it is kept, and how
pub mod destination;
pub mod key;
pub mod shelf;

mod lineage;
mod seal;

// what is done
pub mod archive;
pub mod restore;
pub mod take;
pub mod verify;

mod replay;
mod unpack;

// when it is done
pub mod keeper;

mod archiving;

pub use keeper::{Backups, Order, Parts, start};
