//! One byte stream, whatever carries it: an enum and not a trait object, so that the hot path has a
//! jump and no virtual call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::tls::transport::Transport;

/// A connection to a client or an upstream.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Either side of TLS: towards a client or an upstream.
    Tls(Box<tokio_rustls::TlsStream<Transport>>),
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
        };
        !matches!(read, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads into `into`; `Ready(Ok(0))` is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(into);
        let read = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buf),
        };
        read.map_ok(|()| buf.filled().len())
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
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
        }
    }

    /// Only TLS keeps bytes back.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Ends the writing side.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
