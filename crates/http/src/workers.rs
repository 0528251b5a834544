//! One thread and one single-threaded runtime per core; nothing is shared between them that changes.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use crate::counts::{self, Counts, Total};

/// The threads of one role process.
#[derive(Debug)]
pub struct Crew {
    threads: Vec<JoinHandle<()>>,
    counts: Vec<Arc<Counts>>,
    draining: watch::Sender<bool>,
}

/// What each thread of a crew is given.
#[derive(Debug)]
pub struct Place {
    /// From 0.
    pub index: usize,
    pub counts: Arc<Counts>,
    /// Turns true when the process is to stop.
    pub draining: watch::Receiver<bool>,
    /// Its share of the connections.
    pub connections: usize,
}

impl Crew {
    /// Starts as many threads as there are cores. `hire` makes each one's job; the job makes its future
    /// on the new thread, so that what it holds need not be sendable.
    pub fn start<J, F>(
        name: &str,
        connections: u32,
        hire: impl Fn(Place) -> io::Result<J>,
    ) -> io::Result<Self>
    where
        J: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let count = threads();
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        let (draining, draining_of) = watch::channel(false);
        let (mut threads, mut all_counts) = (Vec::new(), Vec::new());
        for index in 0..count {
            let counts = Arc::new(Counts::default());
            all_counts.push(Arc::clone(&counts));
            let draining = draining_of.clone();
            let job = hire(Place {
                index,
                counts,
                draining,
                connections: (connections / count).max(1),
            })?;
            threads.push(start(name, index, job)?);
        }
        Ok(Self {
            threads,
            counts: all_counts,
            draining,
        })
    }

    /// What all of them have done.
    pub fn total(&self) -> Total {
        counts::total(&self.counts.iter().map(|counts| &**counts))
    }

    /// Lets open requests finish; returns when all threads have ended, or at the deadline.
    pub async fn drain(self, deadline: Duration) {
        self.draining.send_replace(true);
        let finished = async {
            while !self.threads.iter().all(JoinHandle::is_finished) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(deadline, finished).await.is_err() {
            tracing::warn!("requests were still open at the end of the drain");
        }
    }
}

/// How many threads a crew has.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn start<F>(
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
