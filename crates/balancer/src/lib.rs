//! The balancer: listeners, TLS, choosing an endpoint, health checks, retries. HAProxy's place.
//!
//! The modules stand in the order a request meets them; `exchange` is its whole life.
//!
//! Must not know: web, app, sql-router, database, agent.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod run;
pub mod snapshot;

mod access_log;
mod backend;
mod rules;
mod state;
mod worker;

mod greet;

mod attempt;
mod ejections;
mod exchange;
mod explain;
mod mirror;
mod pages;
mod prepare;
mod race;
mod record;
mod tcp;
mod turn;
mod two;
mod upstream;
mod waiting_room;

pub mod hash;
pub mod networks;
pub mod pattern;

pub mod trace;
pub mod trusted;

pub mod route;

pub mod sticky;

pub mod admit;

pub mod headers;
pub mod redirect;
pub mod rewrite;

mod escaped;
mod template;

pub mod breaker;
pub mod budget;
pub mod choose;
pub mod hedge;
pub mod outlier;
pub mod queue;
pub mod standing;

mod answer;
pub mod reason;

pub mod health;
mod metrics;
