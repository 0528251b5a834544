//! The reading half of a stream: a head as text, then DATA frames as a body of HTTP/1.1. The window is
//! opened again as bytes are taken, not as they come: a slow reader slows its sender.

use std::io;
use std::task::{Context, Poll};

use ::h2::RecvStream;
use bytes::{Buf, Bytes};

use super::{failure, lower};

/// How a body is told in HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// There is none.
    Nothing,
    /// As it comes: its length was announced, or it is a tunnel.
    Plain,
    /// Its length is not known; it may have trailers.
    Chunked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    Trailers,
    Over,
}

/// What is still to be read.
#[derive(Debug)]
pub(super) struct Inflow {
    frames: RecvStream,
    state: State,
    chunked: bool,
    /// Text in front of `data`.
    text: Vec<u8>,
    text_read: usize,
    /// What is left of a DATA frame.
    data: Bytes,
}

impl Inflow {
    /// `head` is read first.
    pub(super) fn new(frames: RecvStream, shape: Shape, head: Vec<u8>) -> Self {
        Self {
            frames,
            state: match shape {
                Shape::Nothing => State::Over,
                Shape::Plain | Shape::Chunked => State::Data,
            },
            chunked: shape == Shape::Chunked,
            text: head,
            text_read: 0,
            data: Bytes::new(),
        }
    }

    /// Fills `into` with as much as is there.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut filled = 0;
        loop {
            filled += self.take_text(into.get_mut(filled..).unwrap_or_default());
            filled += self.take_data(into.get_mut(filled..).unwrap_or_default())?;
            if filled == into.len() || self.state == State::Over && self.is_empty() {
                return Poll::Ready(Ok(filled));
            }
            if !self.is_empty() {
                continue;
            }
            match self.poll_frame(cx) {
                Poll::Ready(Ok(())) => {}
                // Told again at the next call, as long as the stream is what it is.
                Poll::Ready(Err(_)) | Poll::Pending if filled > 0 => {
                    return Poll::Ready(Ok(filled));
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.text_read == self.text.len() && self.data.is_empty()
    }

    fn take_text(&mut self, into: &mut [u8]) -> usize {
        let text = self.text.get(self.text_read..).unwrap_or_default();
        let count = copy(text, into);
        self.text_read += count;
        if self.text_read == self.text.len() {
            self.text.clear();
            self.text_read = 0;
        }
        count
    }

    fn take_data(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.text.is_empty() || self.data.is_empty() {
            return Ok(0);
        }
        let count = copy(&self.data, into);
        self.data.advance(count);
        let released = self.frames.flow_control().release_capacity(count);
        released.map_err(failure::of)?;
        if self.data.is_empty() && self.chunked {
            self.text.extend_from_slice(b"\r\n");
        }
        Ok(count)
    }

    /// The next frame into `text` and `data`.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state {
            State::Data => match self.frames.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    if self.chunked && !data.is_empty() {
                        // Writing to a Vec cannot fail.
                        io::Write::write_fmt(&mut self.text, format_args!("{:x}\r\n", data.len()))?;
                    }
                    self.data = data;
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Some(Err(e))) => Poll::Ready(Err(failure::of(e))),
                Poll::Ready(None) => {
                    // A body whose length was announced cannot have trailers in HTTP/1.1; they are
                    // dropped (RFC 9110 section 6.5.1 allows it).
                    self.state = match self.chunked {
                        true => State::Trailers,
                        false => State::Over,
                    };
                    Poll::Ready(Ok(()))
                }
                Poll::Pending => Poll::Pending,
            },
            State::Trailers => match self.frames.poll_trailers(cx) {
                Poll::Ready(Ok(trailers)) => {
                    lower::trailers(&trailers.unwrap_or_default(), &mut self.text);
                    self.state = State::Over;
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Err(e)) => Poll::Ready(Err(failure::of(e))),
                Poll::Pending => Poll::Pending,
            },
            State::Over => Poll::Ready(Ok(())),
        }
    }
}

fn copy(from: &[u8], into: &mut [u8]) -> usize {
    let count = from.len().min(into.len());
    if let (Some(from), Some(into)) = (from.get(..count), into.get_mut(..count)) {
        into.copy_from_slice(from);
    }
    count
}
