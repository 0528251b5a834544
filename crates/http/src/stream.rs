//! One byte stream, whatever carries it: an enum and not a trait object, so that the hot path has a
//! jump and no virtual call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::transport::Transport;
use crate::{h2, socket};

/// A connection to a client or an upstream.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Either side of TLS: towards a client or an upstream.
    Tls(Box<tokio_rustls::TlsStream<Transport>>),
    /// A stream of a client's connection with HTTP/2.
    H2Served(Box<h2::Served>),
    /// A stream of a connection with HTTP/2 to an upstream.
    H2Asked(Box<h2::Asked>),
}

impl Stream {
    /// Whether an idle connection has been closed, or has sent what nobody asked for. Costs no system
    /// call while nothing has arrived: the runtime knows already.
    pub fn is_stale(&mut self) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
            // What TLS says to itself (session tickets, new keys) is taken in and is no reason. Nobody is
            // to be woken: who uses the connection next reads first.
            Self::Tls(_) => {
                let step = self.poll_read(&mut Context::from_waker(Waker::noop()), &mut byte);
                return step.is_ready();
            }
            Self::H2Served(_) | Self::H2Asked(_) => return true,
        };
        !matches!(read, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits until a client has closed its connection, or ended its sending, which a client that wants its
    /// answer seldom does (nginx and HAProxy's `abortonclose` take it for the same). Never for a stream of
    /// HTTP/2, whose end is told otherwise.
    pub async fn hung_up(&self) {
        match self {
            Self::Tcp(stream) => socket::hung_up(|| stream.ready(Interest::READABLE)).await,
            Self::Unix(stream) => socket::hung_up(|| stream.ready(Interest::READABLE)).await,
            Self::Tls(stream) => match stream.get_ref().0 {
                Transport::Here(socket) => socket.hung_up().await,
                Transport::Parked(_) | Transport::Gone => {}
            },
            Self::H2Served(_) | Self::H2Asked(_) => std::future::pending().await,
        }
    }

    /// Reads into `into`; `Ready(Ok(0))` is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::H2Served(stream) => return stream.poll_read(cx, into),
            Self::H2Asked(stream) => return stream.poll_read(cx, into),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) => {}
        }
        let mut buf = ReadBuf::new(into);
        self.poll_fill(cx, &mut buf).map_ok(|()| buf.filled().len())
    }

    /// Reads into memory that need not be initialized. Nothing new in `buf` is the end of the stream.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::H2Served(_) | Self::H2Asked(_) => {
                let read = self.poll_read(cx, buf.initialize_unfilled());
                read.map_ok(|count| buf.advance(count))
            }
        }
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::H2Served(stream) => stream.poll_write(cx, bytes),
            Self::H2Asked(stream) => stream.poll_write(cx, bytes),
        }
    }

    /// Writes two pieces as one: a head and the start of its body in one system call.
    pub fn poll_write_both(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        if second.is_empty() {
            return self.poll_write(cx, first);
        }
        if first.is_empty() {
            return self.poll_write(cx, second);
        }
        let pieces = [io::IoSlice::new(first), io::IoSlice::new(second)];
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, &pieces),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, &pieces),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, &pieces),
            // A head and a body are different frames anyway.
            Self::H2Served(stream) => stream.poll_write(cx, first),
            Self::H2Asked(stream) => stream.poll_write(cx, first),
        }
    }

    /// Only TLS keeps bytes back; HTTP/2's frames go out with their connection's task.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) | Self::H2Served(_) | Self::H2Asked(_) => {
                Poll::Ready(Ok(()))
            }
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Ends the writing side.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::H2Served(stream) => Poll::Ready(stream.shut_down()),
            Self::H2Asked(stream) => Poll::Ready(stream.shut_down()),
        }
    }

    /// A response written until the end of its connection is whole. Where the end of the connection says
    /// so itself, nothing happens.
    pub fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::H2Served(stream) => stream.finish(),
            Self::Tcp(_) | Self::Unix(_) | Self::Tls(_) | Self::H2Asked(_) => Ok(()),
        }
    }

    /// What ALPN has agreed on (RFC 7301), after a handshake.
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
            Self::Tcp(_) | Self::Unix(_) | Self::H2Served(_) | Self::H2Asked(_) => None,
        }
    }
}
