//! Certificates. So far the local one: an authority made once per state directory, for `mainstay up`,
//! and the site's certificate that it signs.
//!
//! Must not know: who serves them.
#![forbid(unsafe_code)]

pub mod local;
