//! A client's connection with HTTP/2. The role awaits `Session::next` in the connection's task, which
//! also moves the frames of all its streams, and serves each stream in a task of its own.
//!
//! Who may end it: the client; `drain`, in order (RFC 9113 section 6.8); time, when nothing is open; and
//! a client that floods (section 10.5), with ENHANCE_YOUR_CALM.

use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ::h2::server::{Builder, Connection as Frames, SendResponse};
use ::h2::{Reason, RecvStream};
use bytes::Bytes;
use http_types::{Request, Response, StatusCode};

use super::carrier::{Carrier, Signs};
use super::lower::{self, Refusal};
use super::preface::{Spoken, spoken};
use super::served::{Gone, Served};
use super::tally::Tally;
use crate::deadline::Deadline;
use crate::limits;
use crate::server::Connection;
use crate::stream::Stream;

/// What a connection without TLS speaks; its first bytes stay in its buffer. `Unclear`: it ended, or was
/// silent for `within`, before that could be told.
pub async fn detect(client: &mut Connection, within: Duration) -> Spoken {
    let Connection {
        stream,
        buffer,
        deadline,
    } = client;
    deadline.set_idle(within);
    poll_fn(|cx| {
        loop {
            let so_far = spoken(buffer.filled());
            if so_far != Spoken::Unclear {
                return Poll::Ready(so_far);
            }
            match buffer.poll_fill(cx, stream, limits::HEAD + limits::BUFFER) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Pending if !deadline.poll_late(cx) => return Poll::Pending,
                _ => return Poll::Ready(Spoken::Unclear),
            }
        }
    })
    .await
}

/// A request to serve.
#[derive(Debug)]
pub struct Accepted {
    /// To be served as a connection of HTTP/1.1 with one request.
    pub stream: Stream,
    pub gone: Gone,
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Not,
    /// No new streams; those open finish.
    InOrder,
    AtOnce,
}

/// The connection.
#[derive(Debug)]
pub struct Session {
    frames: Frames<Carrier, Bytes>,
    signs: Rc<Signs>,
    tally: Rc<Tally>,
    deadline: Deadline,
    keep_alive: Duration,
    ending: Ending,
    /// Streams open, streams in all and bytes written, when the deadline was set.
    seen: Option<(usize, u64, u64)>,
    random: RandomState,
}

impl Session {
    /// Exchanges the prefaces, within `within`. Afterwards a connection without streams is kept for
    /// `keep_alive`.
    pub async fn start(
        client: Connection,
        within: Duration,
        keep_alive: Duration,
    ) -> io::Result<Self> {
        let Connection {
            stream,
            buffer,
            deadline,
        } = client;
        let (carrier, signs) = Carrier::of_client(stream, buffer);
        deadline.set(within);
        let handshake = builder().handshake(carrier);
        let frames = match deadline.watch(handshake).await {
            Ok(frames) => frames.map_err(super::failure::of)?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        Ok(Self {
            frames,
            signs,
            tally: Rc::default(),
            deadline,
            keep_alive,
            ending: Ending::Not,
            seen: None,
            random: RandomState::new(),
        })
    }

    /// The next request. Streams move only while this is awaited; `None`: the connection is over, with
    /// all its streams. Giving up the wait loses nothing.
    pub async fn next(&mut self) -> Option<Accepted> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Takes no new streams; `next` returns `None` when the open ones have ended. `deadline::Watch::drain`
    /// does the same to all sessions of a thread.
    pub fn drain(&mut self) {
        if self.ending == Ending::Not {
            self.ending = Ending::InOrder;
            self.frames.graceful_shutdown();
            self.seen = None;
        }
    }

    /// Streams that the role still holds.
    pub fn open(&self) -> usize {
        self.tally.open()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Accepted>> {
        loop {
            self.end_if_abused();
            self.tally.wait(cx);
            // Streams that are not taken wait in `h2`, where those reset meanwhile are counted.
            let step = if self.tally.is_full() || self.ending == Ending::AtOnce {
                self.frames.poll_closed(cx).map(|_| None)
            } else {
                self.frames.poll_accept(cx)
            };
            match step {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.tally.count();
                    if self.tally.total() >= limits::H2_STREAMS_IN_ALL {
                        self.drain();
                    }
                    if let Some(accepted) = self.present(request, respond) {
                        return Poll::Ready(Some(accepted));
                    }
                    continue;
                }
                Poll::Ready(Some(Err(e))) => {
                    tracing::debug!("HTTP/2: {e}");
                    return Poll::Ready(None);
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {}
            }
            if self.end_if_abused() {
                continue;
            }
            match self.poll_time(cx) {
                Poll::Ready(true) => return Poll::Ready(None),
                Poll::Ready(false) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn end_if_abused(&mut self) -> bool {
        let abused = self.signs.flooded.get() || self.tally.is_abused();
        let first = abused && self.ending != Ending::AtOnce;
        if first {
            tracing::debug!("HTTP/2: the client floods");
            self.ending = Ending::AtOnce;
            self.frames.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            self.deadline.set(limits::LINGER);
        }
        first
    }

    /// A request as a stream, or its refusal.
    fn present(
        &mut self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Option<Accepted> {
        let mut now = Context::from_waker(Waker::noop());
        if respond.poll_reset(&mut now).is_ready() {
            self.tally.count_reset();
            return None;
        }
        let ended = request.body().is_end_stream();
        match lower::request(&request, ended, self.nonce()) {
            Ok(lowered) => {
                let tally = Rc::clone(&self.tally);
                let served = Served::new(lowered, request.into_body(), respond, tally);
                let gone = served.gone();
                let stream = Stream::H2Served(Box::new(served));
                Some(Accepted { stream, gone })
            }
            Err(Refusal::Malformed(what)) => {
                tracing::debug!("HTTP/2: a malformed request: {what}");
                self.tally.count_reset();
                respond.send_reset(Reason::PROTOCOL_ERROR);
                None
            }
            Err(Refusal::Unsupported(what)) => {
                tracing::debug!("HTTP/2: not supported: {what}");
                let mut response = Response::new(());
                *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
                if let Err(e) = respond.send_response(response, true) {
                    tracing::debug!("HTTP/2: {e}");
                }
                None
            }
        }
    }

    /// For a WebSocket's key, which only has to differ (RFC 6455 section 4.1).
    fn nonce(&self) -> u128 {
        let half = |salt: u64| u128::from(self.random.hash_one((salt, self.tally.total())));
        half(1) << 64 | half(2)
    }

    /// Nothing can be done now. `Ready(true)`: time is up. `Ready(false)`: look again.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.ending != Ending::AtOnce {
            self.set_deadline();
        }
        if !self.deadline.poll_late(cx) {
            return Poll::Pending;
        }
        let open = self.tally.open() > 0;
        match self.ending {
            Ending::AtOnce => return Poll::Ready(true),
            Ending::Not if self.deadline.draining() || !open => self.drain(),
            // Streams have limits of their own.
            _ if open => self.seen = None,
            _ => return Poll::Ready(true),
        }
        Poll::Ready(false)
    }

    /// Whatever moves starts the time anew, but for a connection that is to end: what it still has to
    /// write has `keep_alive` in all.
    fn set_deadline(&mut self) {
        let (open, written) = (self.tally.open(), self.signs.written.get());
        let seen = match self.ending {
            Ending::Not => (open, self.tally.total(), written),
            _ => (open, 0, 0),
        };
        if self.seen == Some(seen) {
            return;
        }
        self.seen = Some(seen);
        match self.ending {
            // As an idle one, so that it is late when its thread drains.
            Ending::Not => self.deadline.set_idle(self.keep_alive),
            _ if open > 0 || self.frames.has_streams() => self.deadline.set(self.keep_alive),
            _ => self.deadline.set(limits::LINGER),
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(u32::try_from(limits::H2_STREAMS).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(limits::H2_FIELD_SECTION).unwrap_or(u32::MAX))
        .initial_window_size(limits::H2_WINDOW)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW)
        .max_send_buffer_size(limits::H2_SEND_BUFFER)
        .max_concurrent_reset_streams(limits::H2_RESET_REMEMBERED)
        .reset_stream_duration(limits::H2_RESET_MEMORY)
        .max_pending_accept_reset_streams(limits::H2_RESET_UNSEEN)
        .max_local_error_reset_streams(Some(limits::H2_RESET_ERRORS))
        .enable_connect_protocol();
    builder
}
