//! The side that faces a client: waiting for a request's head, writing what is ours to write.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::buffer::Buffer;
use crate::deadline::Deadline;
use crate::fault::{Fault, Kind, Phase};
use crate::head;
use crate::limits;
use crate::socket::Socket;
use crate::stream::Stream;

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    pub stream: Stream,
    pub buffer: Buffer,
    pub deadline: Deadline,
}

impl Connection {
    pub fn new(stream: Stream, deadline: Deadline) -> Self {
        Self {
            stream,
            buffer: Buffer::new(),
            deadline,
        }
    }

    /// Over a socket as it is, without TLS; what was read of it comes first.
    pub fn plain(socket: Socket, deadline: Deadline) -> Self {
        let (stream, buffer) = socket.into_plain();
        Self {
            stream,
            buffer,
            deadline,
        }
    }

    /// Waits for a request. `Ok(None)`: the client has gone, or has been idle for `keep_alive`.
    /// The value is the length of the head, which is in the buffer.
    //
    // Not an async function: a connection that waits is in here, and would hold all arguments twice.
    pub fn read_head(
        &mut self,
        keep_alive: Duration,
        whole_head: Duration,
    ) -> impl Future<Output = Result<Option<usize>, Fault>> {
        let (mut scanned, mut begun, mut armed) = (0, false, false);
        poll_fn(move |cx| {
            let fault = |kind| Poll::Ready(Err(Fault::client(Phase::RequestHead, kind)));
            loop {
                self.skip_empty_line();
                if !begun && !self.buffer.is_empty() {
                    begun = true;
                    self.deadline.set(whole_head);
                } else if !begun && !armed {
                    armed = true;
                    self.deadline.set_idle(keep_alive);
                }
                if let Some(end) = head::find_end(self.buffer.filled(), scanned) {
                    return if end > limits::HEAD {
                        fault(Kind::TooLarge("request head"))
                    } else {
                        Poll::Ready(Ok(Some(end)))
                    };
                }
                scanned = self.buffer.filled().len();
                if scanned >= limits::HEAD {
                    return fault(Kind::TooLarge("request head"));
                }
                match ready!(self.poll_fill(cx)) {
                    Ok(0) if begun => return fault(Kind::Closed),
                    Ok(0) => return Poll::Ready(Ok(None)),
                    Ok(_) => {}
                    Err(_) if !begun => return Poll::Ready(Ok(None)),
                    Err(kind) => return fault(kind),
                }
            }
        })
    }

    /// RFC 9112 section 2.2: an empty line before a request is ignored (once).
    fn skip_empty_line(&mut self) {
        if self.buffer.filled().starts_with(b"\r\n") {
            self.buffer.consume(2);
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Kind>> {
        let limit = limits::HEAD + limits::BUFFER;
        match self.buffer.poll_fill(cx, &mut self.stream, limit) {
            Poll::Ready(Ok(count)) => Poll::Ready(Ok(count)),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e.into())),
            Poll::Pending if self.deadline.poll_late(cx) => Poll::Ready(Err(Kind::Timeout)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes all of `bytes`.
    pub async fn write_all(&mut self, bytes: &[u8], within: Duration) -> Result<(), Fault> {
        self.deadline.set(within);
        let Self {
            stream, deadline, ..
        } = self;
        let mut sent = 0;
        let written = poll_fn(|cx| {
            let step = loop {
                match bytes.get(sent..) {
                    None | Some([]) => break stream.poll_flush(cx),
                    Some(rest) => match stream.poll_write(cx, rest) {
                        Poll::Ready(Ok(count)) => sent += count,
                        Poll::Ready(Err(e)) => break Poll::Ready(Err(e)),
                        Poll::Pending => break Poll::Pending,
                    },
                }
            };
            match step {
                Poll::Ready(result) => Poll::Ready(result.map_err(Kind::from)),
                Poll::Pending if deadline.poll_late(cx) => Poll::Ready(Err(Kind::Timeout)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        written.map_err(|kind| Fault::client(Phase::ResponseBody, kind))
    }

    /// Reads and drops up to `limit` bytes of a body that nobody wants, so that the connection can be
    /// closed without a reset that would take our answer away with it (RFC 9112 section 9.6).
    pub async fn linger(&mut self, limit: usize, within: Duration) {
        self.deadline.set(within);
        let Self {
            stream,
            buffer,
            deadline,
        } = self;
        let mut left = limit;
        poll_fn(|cx| {
            // TLS writes its farewell, and a client that does not read keeps it waiting.
            match stream.poll_shutdown(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Pending if !deadline.poll_late(cx) => return Poll::Pending,
                _ => return Poll::Ready(()),
            }
            loop {
                let held = buffer.filled().len();
                buffer.consume(held);
                match buffer.poll_fill(cx, stream, limits::BUFFER) {
                    Poll::Ready(Ok(count)) if count > 0 && count <= left => left -= count,
                    Poll::Pending if !deadline.poll_late(cx) => return Poll::Pending,
                    _ => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}
