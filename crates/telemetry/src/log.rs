//! Setting up `tracing` for a process: one line per event on standard error, captured by the parent.

use tracing_subscriber::EnvFilter;

/// As `init`, into a file: for a process whose terminal shows something else.
pub fn init_to(file: std::fs::File) {
    let filter = EnvFilter::try_from_env("MAINSTAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let installed = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::sync::Mutex::new(file))
        .with_ansi(false)
        .with_target(false)
        .try_init();
    if installed.is_err() {
        tracing::debug!("logger was installed before");
    }
}

/// Installs the process's logger. `MAINSTAY_LOG` (e.g. `debug`, `balancer=trace`) sets the level;
/// the default is `info`. A second call is ignored.
pub fn init() {
    let filter = EnvFilter::try_from_env("MAINSTAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let installed = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init();
    if installed.is_err() {
        tracing::debug!("logger was installed before");
    }
}
