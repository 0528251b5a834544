//! The keeper against real mariadbd processes, on free loopback ports, in temporary directories.

mod bed;

mod broken_replica;
mod crash;
mod first_start;
mod refused;
