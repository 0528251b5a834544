//! What carries a TLS connection: a socket of this thread, or one that is on its way to another. The
//! state of TLS stays where it is meanwhile; only what carries it is exchanged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::parked::Parked;
use crate::socket::Socket;

/// The carrier.
#[derive(Debug)]
pub enum Transport {
    Here(Socket),
    Parked(Parked),
    /// Lost while it was moved: the connection is over.
    Gone,
}

impl Transport {
    /// Takes it out of the runtime of this thread.
    pub(crate) fn park(&mut self) -> io::Result<()> {
        if let Self::Here(socket) = std::mem::replace(self, Self::Gone) {
            *self = Self::Parked(Parked::new(socket)?);
            return Ok(());
        }
        Err(io::ErrorKind::NotConnected.into())
    }

    /// Puts it into the runtime of this thread.
    pub(crate) fn wake(&mut self) -> io::Result<()> {
        if let Self::Parked(parked) = std::mem::replace(self, Self::Gone) {
            *self = Self::Here(parked.wake()?);
            return Ok(());
        }
        Err(io::ErrorKind::NotConnected.into())
    }

    /// Whether a parked one is open and nothing has arrived, not even what TLS says to itself.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self, Self::Parked(parked) if parked.is_quiet())
    }

    fn here(self: Pin<&mut Self>) -> io::Result<Pin<&mut Socket>> {
        match self.get_mut() {
            Self::Here(socket) => Ok(Pin::new(socket)),
            Self::Parked(_) | Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.here()?.poll_read(cx, into)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.here()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.here()?.poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_shutdown(cx)
    }
}
