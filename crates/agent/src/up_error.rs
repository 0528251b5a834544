//! Pure: why a site could not be started, and what the operator does next.

/// Why a site could not be started. Everything is stopped again.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct UpError {
    pub what: String,
    /// What the operator does next; empty when the message says it.
    pub next: String,
}

impl UpError {
    pub(crate) fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            next: next.into(),
        }
    }
}
