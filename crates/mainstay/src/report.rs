//! The one place where an error becomes text, a next step and an exit status.
//!
//! Statuses: 0 well; 1 it did not work, `check` has findings, or `import` left something out; 2 the command line or the site file is
//! wrong; 3 the site is not running. clap uses 2 for a wrong command line.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// An error that knows what the person should do next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) what: String,
    /// Empty: nothing better than the message.
    pub(crate) next: String,
    pub(crate) status: u8,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            next: next.into(),
            status: 1,
        }
    }

    pub(crate) fn with_status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// Writes the error, with its causes, and the next step on a line of its own.
pub(crate) fn failed(e: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(e) {
        return ExitCode::SUCCESS;
    }
    let failure = e.downcast_ref::<Failure>();
    let mut text = format!("error: {e:#}\n");
    if let Some(failure) = failure.filter(|failure| !failure.next.is_empty()) {
        text.push_str(&format!("  next: {}\n", failure.next));
    }
    let status = failure.map_or(1, |failure| failure.status);
    match std::io::stderr().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::from(status),
        // Nobody reads: the status still tells.
        Err(_) => ExitCode::from(status),
    }
}

/// `mainstay logs | head` ends when head does, and that is no error.
fn is_broken_pipe(e: &anyhow::Error) -> bool {
    e.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
