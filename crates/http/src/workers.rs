//! One thread and one single-threaded runtime per core; nothing is shared between them that changes.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, LocalOptions};

/// As many as there are cores to run on.
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Starts a thread that runs `job`'s future to its end. The job is made on the new thread, so that
/// what it holds need not be sendable.
pub fn start<F>(
    name: &str,
    index: usize,
    job: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = ()>,
{
    std::thread::Builder::new()
        .name(format!("{name}-{index}"))
        .spawn(move || {
            let built = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            match built {
                Ok(runtime) => runtime.block_on(job()),
                Err(e) => tracing::error!("no runtime for a worker: {e}"),
            }
        })
}
