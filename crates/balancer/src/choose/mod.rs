//! Pure: which endpoint a request goes to.

pub mod round_robin;
