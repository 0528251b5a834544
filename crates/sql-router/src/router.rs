//! The router as a thing to start, look at and drain: threads over the same listening sockets.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use process::snapshot::Shared;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use crate::digests::Digests;
use crate::known::Known;
pub use crate::limits::Patience;
use crate::limits::THREADS_AT_LEAST;
use crate::metrics::{self, Counts};
use crate::sessions::Sessions;
use crate::slow::SlowLog;
use crate::snapshot::{Snapshot, Statistics, Status};
use crate::statistics;
use crate::tls::Tls;
use crate::users::Store;
use crate::visitors::Floor;
use crate::worker::{self, Parts};

/// A running router.
#[derive(Debug)]
pub struct Router {
    threads: Vec<JoinHandle<()>>,
    counts: Vec<Arc<Counts>>,
    digests: Vec<Arc<Digests>>,
    sessions: Arc<Sessions>,
    pub(crate) floor: Arc<Floor>,
    draining: watch::Sender<bool>,
}

/// One per core. More than the cores of a small server do not help beside an application.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(THREADS_AT_LEAST, usize::from)
}

impl Router {
    /// Starts `threads` threads that all accept from `listeners`, and serve by what stands in
    /// `snapshot` at each statement.
    pub fn start(
        listeners: &[TcpListener],
        snapshot: &Shared<Snapshot>,
        threads: usize,
    ) -> std::io::Result<Self> {
        Self::start_with(listeners, &[], snapshot, threads, Patience::default())
    }

    /// The same, also from unix sockets, and with another patience.
    pub fn start_with(
        listeners: &[TcpListener],
        sockets: &[UnixListener],
        snapshot: &Shared<Snapshot>,
        threads: usize,
        patience: Patience,
    ) -> std::io::Result<Self> {
        let (tls, known) = (Arc::<Tls>::default(), Arc::<Known>::default());
        let users = Arc::new(Store::new(Arc::clone(&tls)));
        let (draining, receiver) = watch::channel(false);
        let (slow, writes) = SlowLog::start(snapshot.clone())?;
        let mut router = Self {
            threads: vec![writes],
            counts: Vec::new(),
            digests: Vec::new(),
            sessions: Arc::default(),
            floor: Arc::default(),
            draining,
        };
        for index in 0..threads.max(1) {
            let counts = Arc::new(Counts::default());
            router.counts.push(Arc::clone(&counts));
            let digests = Arc::new(Digests::default());
            router.digests.push(Arc::clone(&digests));
            let listeners = listeners.iter().map(|listener| {
                let listener = listener.try_clone()?;
                listener.set_nonblocking(true)?;
                Ok(listener)
            });
            let sockets = sockets.iter().map(|socket| {
                let socket = socket.try_clone()?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            });
            let parts = Parts {
                snapshot: snapshot.clone(),
                counts,
                digests,
                slow: slow.clone(),
                sessions: Arc::clone(&router.sessions),
                tls: Arc::clone(&tls),
                known: Arc::clone(&known),
                users: Arc::clone(&users),
                listeners: listeners.collect::<std::io::Result<Vec<_>>>()?,
                floor: Arc::clone(&router.floor),
                sockets: sockets.collect::<std::io::Result<Vec<_>>>()?,
                draining: receiver.clone(),
                threads: threads.max(1),
                patience,
            };
            router.threads.push(thread(index, parts)?);
        }
        Ok(router)
    }

    pub fn status(&self) -> Status {
        metrics::status(&self.counts, &self.sessions)
    }

    /// Which statements were run, of all threads. `reset`: from now on they are counted anew.
    pub fn statistics(&self, reset: bool) -> Statistics {
        statistics::sum(self.digests.iter().map(|digests| digests.so_far(reset)))
    }

    /// Prometheus text.
    pub fn metrics(&self) -> String {
        metrics::exposition(&self.counts, &self.sessions)
    }

    /// Stops accepting; sessions end when their statement, or transaction, does. True: all did within
    /// `deadline`.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.draining.send_replace(true);
        let finished = async {
            while !self.threads.iter().all(JoinHandle::is_finished) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(deadline, finished).await.is_ok()
    }
}

fn thread(index: usize, parts: Parts) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(format!("sql-router-{index}"))
        .spawn(move || {
            let built = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            match built {
                Ok(runtime) => runtime.block_on(worker::run(parts)),
                Err(e) => tracing::error!("no runtime for a thread: {e}"),
            }
        })
}
