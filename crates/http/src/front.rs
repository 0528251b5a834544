//! The accepting side of one thread: sockets in, one task per connection, and an end that loses nothing.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

use crate::deadline::{Deadline, Watch};
use crate::socket::Socket;

/// Where connections come in: bound and listening. Made non-blocking when it is used.
#[derive(Debug)]
pub enum Listener {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl From<std::net::TcpListener> for Listener {
    fn from(listener: std::net::TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<std::os::unix::net::UnixListener> for Listener {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// A connection just accepted.
#[derive(Debug)]
pub struct Accepted<T> {
    pub socket: Socket,
    /// `None`: over a unix socket, so from this machine.
    pub peer: Option<SocketAddr>,
    pub deadline: Deadline,
    /// What its listener was given.
    pub of: T,
}

/// Accepts from all `listeners` until told to drain, then waits until the last connection is closed.
/// `connections`: open at once; more wait in the kernel's queue. `serve` is the life of one connection,
/// run as a task of its own on this thread.
pub async fn run<L, T, F>(
    watch: &Rc<Watch>,
    listeners: Vec<(L, T)>,
    connections: usize,
    mut draining: watch::Receiver<bool>,
    serve: impl Fn(Accepted<T>) -> F + Clone + 'static,
) where
    L: Into<Listener>,
    T: Clone + 'static,
    F: Future<Output = ()> + 'static,
{
    let permits = Arc::new(Semaphore::new(connections));
    let mut accepting = Vec::new();
    for (listener, of) in listeners {
        match Accepting::from(listener.into()) {
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
    listener: Accepting,
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
        let (socket, peer) = listener.next().await;
        let accepted = Accepted {
            socket,
            peer,
            deadline: watch.deadline(),
            of: of.clone(),
        };
        // Ends with its connection; `watch.open` counts it. Not an async block around `life`: that would
        // hold it twice, once as it came and once as it is awaited.
        tokio::task::spawn_local(serve(accepted).map(|()| drop(permit)));
    }
}

/// A listener of this thread's runtime.
#[derive(Debug)]
enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Accepting {
    fn from(listener: Listener) -> io::Result<Self> {
        Ok(match listener {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                // Responses are written whole; waiting for more would only delay them. What is accepted
                // has it too (Linux copies it), without a system call for each.
                socket2::SockRef::from(&listener).set_tcp_nodelay(true)?;
                Self::Tcp(TcpListener::from_std(listener)?)
            }
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Self::Unix(UnixListener::from_std(listener)?)
            }
        })
    }

    /// The next connection. Errors that concern one connection, and a lack of descriptors, are waited
    /// out: an accept loop must not end.
    async fn next(&self) -> (Socket, Option<SocketAddr>) {
        loop {
            match self.try_next().await {
                Ok(accepted) => return accepted,
                Err(e) => {
                    tracing::warn!("accept: {e}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn try_next(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((stream.into(), Some(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((stream.into(), None))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpStream, UnixStream};

    use super::*;
    use crate::server::Connection;
    use crate::stream::Stream;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Answers the head of each connection with its length.
    async fn answer(
        accepted: Accepted<&'static str>,
        seen: Rc<RefCell<Vec<(bool, &'static str)>>>,
    ) {
        let local = accepted.peer.is_none_or(|peer| peer.ip().is_loopback());
        seen.borrow_mut().push((local, accepted.of));
        let mut client = Connection::plain(accepted.socket, accepted.deadline);
        let length = client.read_head(LIMIT, LIMIT).await.unwrap().unwrap();
        let answer = length.to_string().into_bytes();
        client.write_all(&answer, LIMIT).await.unwrap();
    }

    async fn ask(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_is_accepted_writes_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let accepting = Accepting::from(listener.into()).unwrap();
        let (_ours, accepted) = tokio::join!(TcpStream::connect(at), accepting.next());
        let (Stream::Tcp(stream), _) = accepted.0.into_plain() else {
            panic!()
        };
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn tcp_of_both_families_and_unix_sockets_are_accepted() {
        tokio::task::LocalSet::new().run_until(all_kinds()).await;
    }

    async fn all_kinds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("front.sock");
        let four = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let six = std::net::TcpListener::bind("[::1]:0").unwrap();
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let (at_four, at_six) = (four.local_addr().unwrap(), six.local_addr().unwrap());
        let listeners = vec![
            (Listener::from(four), "four"),
            (six.into(), "six"),
            (unix.into(), "unix"),
        ];
        let (drain, draining) = watch::channel(false);
        let watch = Watch::new();
        let ticking = tokio::task::spawn_local(Rc::clone(&watch).run());
        let seen = Rc::new(RefCell::new(Vec::new()));
        let serve = {
            let seen = Rc::clone(&seen);
            move |accepted| answer(accepted, Rc::clone(&seen))
        };
        let asking = async {
            assert_eq!(ask(TcpStream::connect(at_four).await.unwrap()).await, "18");
            assert_eq!(ask(TcpStream::connect(at_six).await.unwrap()).await, "18");
            assert_eq!(ask(UnixStream::connect(&path).await.unwrap()).await, "18");
            drain.send_replace(true);
        };
        tokio::join!(run(&watch, listeners, 10, draining, serve), asking);
        ticking.abort();
        assert_eq!(
            *seen.borrow(),
            [(true, "four"), (true, "six"), (true, "unix")]
        );
    }
}
