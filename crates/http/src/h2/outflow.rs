//! The writing half of a stream behind its head: a body of HTTP/1.1 as DATA frames and trailers. Bytes
//! are taken as the peer's window and `limits::H2_SEND_BUFFER` allow, no earlier.

use std::io;
use std::task::{Context, Poll, ready};

use ::h2::{Reason, SendStream};
use bytes::{Bytes, BytesMut};

use super::{failure, lift};
use crate::body::{Chunked, Framing};
use crate::limits;

#[derive(Debug)]
enum Body {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Over,
}

/// What is still to be written.
#[derive(Debug)]
pub(super) struct Outflow {
    frames: SendStream<Bytes>,
    body: Body,
    /// Framing since the last data: the last chunk's line and the trailers, in the end.
    lines: Vec<u8>,
}

impl Outflow {
    pub(super) fn new(frames: SendStream<Bytes>, framing: Framing) -> Self {
        Self {
            frames,
            body: match framing {
                Framing::None => Body::Over,
                Framing::Length(length) => Body::Length(length),
                Framing::Chunked => Body::Chunked(Chunked::new()),
                Framing::UntilClose => Body::UntilClose,
            },
            lines: Vec::new(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.body, Body::Over)
    }

    /// Takes some of `bytes`.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match &mut self.body {
            Body::Chunked(coding) => {
                let mut coding = *coding;
                let written = self.poll_chunks(cx, &mut coding, bytes);
                if matches!(self.body, Body::Chunked(_)) {
                    self.body = Body::Chunked(coding);
                }
                written
            }
            Body::Length(left) => {
                let left = *left;
                let wanted =
                    usize::try_from(left).map_or(bytes.len(), |left| bytes.len().min(left));
                let count = ready!(self.poll_room(cx, wanted))?;
                let ends = count as u64 == left;
                self.send(bytes.get(..count).unwrap_or_default(), ends)?;
                self.body = match ends {
                    true => Body::Over,
                    false => Body::Length(left - count as u64),
                };
                Poll::Ready(Ok(count))
            }
            Body::UntilClose => {
                let count = ready!(self.poll_room(cx, bytes.len()))?;
                self.send(bytes.get(..count).unwrap_or_default(), false)?;
                Poll::Ready(Ok(count))
            }
            Body::Over => Poll::Ready(Err(failure::malformed("bytes behind the end of a body"))),
        }
    }

    /// How much of `wanted` may be sent; more than nothing.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let wanted = wanted.min(limits::H2_SEND_BUFFER);
        self.frames.reserve_capacity(wanted);
        loop {
            let room = self.frames.capacity();
            if room > 0 || wanted == 0 {
                return Poll::Ready(Ok(room.min(wanted)));
            }
            match ready!(self.frames.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(e)) => return Poll::Ready(Err(failure::of(e))),
                None => return Poll::Ready(Err(self.why())),
            }
        }
    }

    /// The data of as many chunks as there are, as one frame.
    fn poll_chunks(
        &mut self,
        cx: &mut Context<'_>,
        coding: &mut Chunked,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let malformed = |_| failure::malformed("the chunked coding");
        let (mut used, mut room) = (0, 0);
        let mut data = BytesMut::new();
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty())
            && !coding.is_done()
        {
            let mut behind = *coding;
            let taken = behind.take(rest).map_err(malformed)?;
            let framing = taken.bytes - taken.data;
            if taken.data == 0 {
                let part = rest.get(..framing).unwrap_or_default();
                self.lines.extend_from_slice(part);
                *coding = behind;
                used += framing;
                continue;
            }
            if data.is_empty() {
                room = match self.poll_room(cx, rest.len() - framing) {
                    Poll::Ready(Ok(room)) => room,
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending if used == 0 => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(used)),
                };
                data.reserve(room);
            }
            if room == 0 {
                break;
            }
            let count = taken.data.min(room);
            if count == taken.data {
                *coding = behind;
            } else {
                let part = rest.get(..framing + count).unwrap_or_default();
                coding.take(part).map_err(malformed)?;
            }
            let chunk = rest.get(framing..framing + count).unwrap_or_default();
            data.extend_from_slice(chunk);
            self.lines.clear();
            used += framing + count;
            room -= count;
        }
        if coding.is_done() {
            self.end_chunks(data.freeze())?;
        } else if !data.is_empty() {
            self.frames
                .send_data(data.freeze(), false)
                .map_err(failure::of)?;
        }
        Poll::Ready(Ok(used))
    }

    /// The last data, and the trailers.
    fn end_chunks(&mut self, data: Bytes) -> io::Result<()> {
        let lines = self.lines.strip_prefix(b"\r\n").unwrap_or(&self.lines);
        let size = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
        let trailers = lines.get(size..).unwrap_or_default();
        if trailers == b"\r\n" {
            self.frames.send_data(data, true).map_err(failure::of)?;
        } else {
            let trailers = lift::trailers(trailers).map_err(|_| failure::malformed("a trailer"))?;
            if !data.is_empty() {
                self.frames.send_data(data, false).map_err(failure::of)?;
            }
            self.frames.send_trailers(trailers).map_err(failure::of)?;
        }
        self.body = Body::Over;
        Ok(())
    }

    fn send(&mut self, data: &[u8], ends: bool) -> io::Result<()> {
        let data = Bytes::copy_from_slice(data);
        self.frames.send_data(data, ends).map_err(failure::of)
    }

    /// The end of a body that has no other: a tunnel's, or one until the end of its connection.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if matches!(self.body, Body::UntilClose) {
            self.body = Body::Over;
            self.send(&[], true)?;
        }
        Ok(())
    }

    /// Ends the stream where it must not end, so that nobody takes the part for the whole.
    pub(super) fn break_off(&mut self) {
        if !self.is_over() {
            self.body = Body::Over;
            self.frames.send_reset(Reason::INTERNAL_ERROR);
        }
    }

    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.frames.poll_reset(cx).map(|_| ())
    }

    /// Why nothing can be sent any more.
    fn why(&mut self) -> io::Error {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.frames.poll_reset(&mut cx) {
            Poll::Ready(Ok(reason)) => failure::of_reason(reason),
            Poll::Ready(Err(e)) => failure::of(e),
            Poll::Pending => io::ErrorKind::BrokenPipe.into(),
        }
    }
}
