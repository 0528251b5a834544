//! A socket before anything is known of what it carries: TCP or unix, with the bytes that were read to
//! find that out (a PROXY header, a ClientHello) still to be read by whoever comes next.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};

use crate::buffer::Buffer;
use crate::deadline::Deadline;
use crate::fault::Kind;
use crate::limits;
use crate::stream::Stream;

/// How often a connection with unread bytes is looked at: they would wake us again and again.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until the other side has ended its sending. An error is an end too.
pub(crate) async fn hung_up<F: Future<Output = io::Result<Ready>>>(ready: impl Fn() -> F) {
    while let Ok(state) = ready().await
        && !state.is_read_closed()
    {
        tokio::time::sleep(LOOK).await;
    }
}

/// What carries it.
#[derive(Debug)]
pub enum Carrier {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The socket.
#[derive(Debug)]
pub struct Socket {
    carrier: Carrier,
    /// Read from the carrier and not taken yet.
    ahead: Buffer,
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self {
            carrier: Carrier::Tcp(stream),
            ahead: Buffer::new(),
        }
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self {
            carrier: Carrier::Unix(stream),
            ahead: Buffer::new(),
        }
    }
}

impl Socket {
    /// What has been read ahead.
    pub fn ahead(&self) -> &[u8] {
        self.ahead.filled()
    }

    /// Takes `count` bytes off what has been read ahead.
    pub fn consume(&mut self, count: usize) {
        self.ahead.consume(count);
        self.ahead.release();
    }

    /// Reads ahead until `parse` says what it is, within the limit of time that is set and
    /// `limits::READ_AHEAD` bytes. `parse` sees everything from the front at every call; what it has
    /// seen stays to be read.
    pub async fn look<T>(
        &mut self,
        deadline: &Deadline,
        parse: impl Fn(&[u8]) -> Result<Option<T>, Kind>,
    ) -> Result<T, Kind> {
        loop {
            if !self.ahead.is_empty()
                && let Some(found) = parse(self.ahead.filled())?
            {
                return Ok(found);
            }
            if self.ahead.filled().len() >= limits::READ_AHEAD {
                return Err(Kind::TooLarge("the beginning of the connection"));
            }
            let read = poll_fn(|cx| match self.poll_ahead(cx) {
                Poll::Pending if deadline.poll_late(cx) => Poll::Ready(Err(Kind::Timeout)),
                step => step.map_err(Kind::from),
            });
            if read.await? == 0 {
                return Err(Kind::Closed);
            }
        }
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.ahead.make_room(limits::READ_AHEAD) {
            return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
        }
        let mut into = ReadBuf::new(self.ahead.spare());
        let read = match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut into),
            Carrier::Unix(stream) => Pin::new(stream).poll_read(cx, &mut into),
        };
        let count = into.filled().len();
        self.ahead.advance(count);
        self.ahead.release();
        read.map_ok(|()| count)
    }

    /// Waits until the other side has ended its sending, whether or not all it sent has been read.
    pub(crate) async fn hung_up(&self) {
        match &self.carrier {
            Carrier::Tcp(stream) => hung_up(|| stream.ready(Interest::READABLE)).await,
            Carrier::Unix(stream) => hung_up(|| stream.ready(Interest::READABLE)).await,
        }
    }

    /// Our own end, where it is TCP.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.carrier {
            Carrier::Tcp(stream) => stream.local_addr().ok(),
            Carrier::Unix(_) => None,
        }
    }

    /// What carries it, and what was read of it.
    pub(crate) fn into_parts(self) -> (Carrier, Buffer) {
        (self.carrier, self.ahead)
    }

    /// As a plain stream, and what was read of it.
    pub fn into_plain(self) -> (Stream, Buffer) {
        let stream = match self.carrier {
            Carrier::Tcp(stream) => Stream::Tcp(stream),
            Carrier::Unix(stream) => Stream::Unix(stream),
        };
        (stream, self.ahead)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { carrier, ahead } = self.get_mut();
        if !ahead.is_empty() {
            let count = ahead.filled().len().min(into.remaining());
            into.put_slice(ahead.filled().get(..count).unwrap_or_default());
            ahead.consume(count);
            ahead.release();
            return Poll::Ready(Ok(()));
        }
        match carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Carrier::Unix(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Carrier::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Carrier::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Neither carrier keeps anything back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = match &mut self.get_mut().carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        Poll::Ready(ready!(ended))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::deadline::Watch;

    #[tokio::test]
    async fn what_was_read_ahead_is_read_first() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut socket = Socket::from(ours);
        let watch = Watch::new();
        let deadline = watch.deadline();
        deadline.set(Duration::from_secs(5));
        let enough = |bytes: &[u8]| Ok((bytes.len() >= 8).then_some(bytes.len()));
        let sending = async {
            theirs.try_write(b"PROXY").unwrap();
            tokio::task::yield_now().await;
            theirs.try_write(b"hello").unwrap();
        };
        let (seen, ()) = tokio::join!(socket.look(&deadline, enough), sending);
        assert_eq!(seen, Ok(10));
        socket.consume(5);
        theirs.try_write(b" world").unwrap();
        drop(theirs);
        let mut rest = String::new();
        socket.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "hello world");
        let never = |_: &[u8]| Ok(None::<()>);
        assert_eq!(socket.look(&deadline, never).await, Err(Kind::Closed));
    }

    #[tokio::test]
    async fn nobody_is_read_for_ever() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut socket = Socket::from(ours);
        let watch = Watch::new();
        let deadline = watch.deadline();
        let never = |_: &[u8]| Ok(None::<()>);
        let flood = vec![0; 2 * limits::READ_AHEAD];
        let flooding = tokio::io::AsyncWriteExt::write_all(&mut theirs, &flood);
        let looking = socket.look(&deadline, never);
        let (seen, _) = tokio::join!(looking, flooding);
        assert!(matches!(seen, Err(Kind::TooLarge(_))));
    }
}
