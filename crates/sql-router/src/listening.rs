//! Where clients come in: TCP, or a unix socket, whose clients are of this machine.

use std::net::{IpAddr, Ipv4Addr, TcpListener as StdListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::time::Duration;

use mysql::packet::Channel;
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::limits::Patience;

/// A socket that no runtime has yet.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(StdListener),
    Unix(StdUnixListener),
}

impl From<StdListener> for Listening {
    fn from(socket: StdListener) -> Self {
        Self::Tcp(socket)
    }
}

impl From<StdUnixListener> for Listening {
    fn from(socket: StdUnixListener) -> Self {
        Self::Unix(socket)
    }
}

/// One in this thread's runtime.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub(crate) fn new(socket: Listening) -> std::io::Result<Self> {
        match socket {
            Listening::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            Listening::Unix(socket) => UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    /// The next client, and where it is: this machine, for accounts at `localhost`, of a unix socket.
    pub(crate) async fn accept(&self, patience: Patience) -> std::io::Result<(Channel, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                if let Err(e) = prepare(&stream, patience) {
                    tracing::debug!("a client's socket: {e}");
                }
                Ok((stream.into(), peer.ip()))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((stream.into(), Ipv4Addr::LOCALHOST.into()))
            }
        }
    }
}

/// Small answers are not delayed; a client whose machine vanished is noticed, and one that takes nothing
/// of what there is for it.
fn prepare(stream: &TcpStream, patience: Patience) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15));
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(patience.unread))?;
    socket.set_tcp_keepalive(&keepalive)
}
