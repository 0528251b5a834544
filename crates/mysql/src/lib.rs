//! The protocol of MySQL and MariaDB, in the order of a connection: packets, greeting, login,
//! commands, replies; GTIDs; and a small client for those who only ask a server something.
//!
//! Must not know: routing, failover, who is primary.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

// what a connection is made of
pub mod packet;
pub mod wire;

// opening one
pub mod auth;
pub mod capability;
pub mod handshake;
pub mod login;
pub mod rsa;
pub mod tls;

// using it
pub mod command;
pub mod error_code;
pub mod execute;
pub mod reply;
pub mod scan;

// positions in the history of writes
pub mod gtid;

// a whole client, for administration
pub mod client;
