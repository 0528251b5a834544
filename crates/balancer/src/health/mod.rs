//! Health: asking endpoints (`probes`, `probe`) and judging the answers (`judge`).

pub mod judge;
pub(crate) mod probe;
pub(crate) mod probes;
