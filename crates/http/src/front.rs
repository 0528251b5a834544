//! The accepting side of one thread: sockets in, one task per connection, and an end that loses nothing.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::deadline::{Deadline, Watch};
use crate::server;

/// A connection just accepted.
#[derive(Debug)]
pub struct Accepted<T> {
    pub stream: TcpStream,
    pub peer: SocketAddr,
    pub deadline: Deadline,
    /// What its listener was given.
    pub of: T,
}

/// Accepts from all `listeners` until told to drain, then waits until the last connection is closed.
/// `connections`: open at once; more wait in the kernel's queue. `serve` is the life of one connection,
/// run as a task of its own on this thread.
pub async fn run<T, F>(
    watch: &Rc<Watch>,
    listeners: Vec<(std::net::TcpListener, T)>,
    connections: usize,
    mut draining: watch::Receiver<bool>,
    serve: impl Fn(Accepted<T>) -> F + Clone + 'static,
) where
    T: Clone + 'static,
    F: Future<Output = ()> + 'static,
{
    let permits = Arc::new(Semaphore::new(connections));
    let mut accepting = Vec::new();
    for (listener, of) in listeners {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                let (watch, permits, serve) =
                    (Rc::clone(watch), Arc::clone(&permits), serve.clone());
                accepting.push(tokio::task::spawn_local(accept(
                    listener, of, watch, permits, serve,
                )));
            }
            Err(e) => tracing::error!("a listener cannot be used: {e}"),
        }
    }
    if draining.wait_for(|draining| *draining).await.is_err() {
        tracing::debug!("the control thread has ended");
    }
    for task in accepting {
        task.abort();
    }
    watch.drain();
    while watch.open() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn accept<T, F>(
    listener: TcpListener,
    of: T,
    watch: Rc<Watch>,
    permits: Arc<Semaphore>,
    serve: impl Fn(Accepted<T>) -> F,
) where
    T: Clone,
    F: Future<Output = ()> + 'static,
{
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let (stream, peer) = server::accept(&listener).await;
        let accepted = Accepted {
            stream,
            peer,
            deadline: watch.deadline(),
            of: of.clone(),
        };
        let life = serve(accepted);
        // Ends with its connection; `watch.open` counts it.
        tokio::task::spawn_local(async move {
            life.await;
            drop(permit);
        });
    }
}
