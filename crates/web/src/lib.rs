//! The web server of an app server: static files of the release, reverse proxy to the app's instances.
//! nginx's place.
//!
//! The modules stand in the order a request meets them; `exchange` is its whole life.
//!
//! Must not know: balancer, app, database.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod run;
pub mod snapshot;

mod state;
mod worker;

mod exchange;

pub mod locate;
mod site_files;

pub mod conditional;
mod file;
pub mod range;

mod instance;
mod proxy;
mod visitor;

mod answer;
