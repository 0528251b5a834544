//! The connection below HTTP/2: a `Stream` as the `h2` crate wants it, with the bytes that were read
//! before anybody knew what is spoken, and with the frames of a client counted.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::meter::Meter;
use crate::buffer::Buffer;
use crate::stream::Stream;

/// What the carrier has seen; the connection that it disappears into does not hand it out again.
#[derive(Debug, Default)]
pub(super) struct Signs {
    pub(super) flooded: Cell<bool>,
    /// Bytes written.
    pub(super) written: Cell<u64>,
}

#[derive(Debug)]
pub(super) struct Carrier {
    stream: Stream,
    /// Read before.
    first: Buffer,
    signs: Rc<Signs>,
    meter: Option<(Meter, Instant)>,
}

impl Carrier {
    /// Of a client: its frames are counted.
    pub(super) fn of_client(stream: Stream, first: Buffer) -> (Self, Rc<Signs>) {
        let signs = Rc::new(Signs::default());
        let carrier = Self {
            stream,
            first,
            signs: Rc::clone(&signs),
            meter: Some((Meter::new(), Instant::now())),
        };
        (carrier, signs)
    }

    /// Of an upstream, which the site's owner has chosen.
    pub(super) fn of_upstream(stream: Stream) -> Self {
        Self {
            stream,
            first: Buffer::default(),
            signs: Rc::default(),
            meter: None,
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return self.stream.poll_fill(cx, buf);
        }
        let held = self.first.filled();
        let taken = held.len().min(buf.remaining());
        buf.put_slice(held.get(..taken).unwrap_or_default());
        self.first.consume(taken);
        if self.first.is_empty() {
            // Its room is as large as a head; it is not needed again.
            self.first = Buffer::default();
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, count: usize) {
        let written = self.signs.written.get();
        self.signs.written.set(written.saturating_add(count as u64));
        if let Some((meter, _)) = &mut self.meter {
            meter.wrote(count);
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.signs.flooded.get() {
            // Nothing more is read; the session looks at the sign and ends.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(self.poll_fill(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        if let Some((meter, since)) = &mut self.meter {
            let now = || u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            if meter.read(new, now).is_err() {
                self.signs.flooded.set(true);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.stream.poll_write(cx, bytes))?;
        self.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // `h2` gathers two: a frame's head and its data.
        let piece = |at: usize| pieces.get(at).map_or(&[][..], |piece| piece);
        let written = ready!(self.stream.poll_write_both(cx, piece(0), piece(1)))?;
        self.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}
