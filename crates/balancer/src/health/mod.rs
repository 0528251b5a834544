//! Health: asking endpoints (`probes`, `probe`), reading what they say (`answer`, `grpc`), judging it
//! (`judge`).

pub mod answer;
pub mod grpc;
pub mod judge;
pub(crate) mod probe;
pub(crate) mod probes;
