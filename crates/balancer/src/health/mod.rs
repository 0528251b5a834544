//! Health: asking endpoints (`probe`) and judging the answers (`judge`).

pub mod judge;
pub(crate) mod probe;
