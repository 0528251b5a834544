//! A connection to an upstream with HTTP/2, shared by many exchanges of one thread: with prior knowledge,
//! or over TLS after ALPN has agreed on `h2`.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ::h2::client::{Builder, Connection as Frames, SendRequest};
use bytes::Bytes;
use http_types::uri::Scheme;

use super::asked::Asked;
use super::carrier::Carrier;
use super::failure;
use crate::deadline::Deadline;
use crate::limits;
use crate::stream::Stream;

/// What a link, its driver and its streams know of each other.
#[derive(Debug)]
pub(super) struct Shared {
    open: Cell<usize>,
    closed: Cell<bool>,
    secure: bool,
    /// When the last stream ended.
    idle_since: Cell<Instant>,
}

impl Shared {
    pub(super) fn begin(&self) {
        self.open.set(self.open.get() + 1);
    }

    pub(super) fn end(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.idle_since.set(Instant::now());
    }

    pub(super) fn scheme(&self) -> Scheme {
        match self.secure {
            true => Scheme::HTTPS,
            false => Scheme::HTTP,
        }
    }
}

/// The handle. The connection ends when it and all its streams are dropped.
#[derive(Debug)]
pub struct Link {
    send: SendRequest<Bytes>,
    shared: Rc<Shared>,
}

/// Moves the frames of a link: to be spawned by the role, on the same thread. Ends with the connection,
/// at the latest `limits::LINGER` after the link and its streams are dropped.
#[derive(Debug)]
pub struct Driver {
    frames: Frames<Carrier, Bytes>,
    shared: Rc<Shared>,
    last: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// Exchanges prefaces and settings over a fresh connection, within `within`: what the upstream allows is
/// known before the first stream.
pub async fn connect(
    stream: Stream,
    deadline: &Deadline,
    within: Duration,
) -> io::Result<(Link, Driver)> {
    deadline.set(within);
    let secure = !matches!(stream, Stream::Tcp(_) | Stream::Unix(_));
    let settled = async {
        let handshake = builder().handshake(Carrier::of_upstream(stream));
        let (send, mut frames) = handshake.await?;
        std::future::poll_fn(|cx| match Pin::new(&mut frames).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Err(None)),
            Poll::Ready(Err(e)) => Poll::Ready(Err(Some(e))),
            Poll::Pending if send.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await
        .map(|()| (send, frames))
    };
    let settled = deadline.watch(pin!(settled)).await;
    let (send, frames) = match settled {
        Ok(Ok(settled)) => settled,
        Ok(Err(Some(e))) => return Err(failure::of(e)),
        Ok(Err(None)) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    let shared = Rc::new(Shared {
        open: Cell::new(0),
        closed: Cell::new(false),
        secure,
        idle_since: Cell::new(Instant::now()),
    });
    let link = Link {
        send,
        shared: Rc::clone(&shared),
    };
    let driver = Driver {
        frames,
        shared,
        last: None,
    };
    Ok((link, driver))
}

impl Link {
    /// A new stream, when the upstream and our own limit allow one more.
    pub fn open(&self) -> Option<Stream> {
        let allowed = self.send.current_max_send_streams();
        if self.open_streams() >= allowed.min(limits::H2_UPSTREAM_STREAMS) {
            return None;
        }
        let mut send = self.send.clone();
        let mut now = Context::from_waker(Waker::noop());
        if !matches!(send.poll_ready(&mut now), Poll::Ready(Ok(()))) {
            // It has sent a GOAWAY, or is broken.
            self.shared.closed.set(true);
        }
        self.is_usable().then(|| {
            let asked = Asked::new(send, Rc::clone(&self.shared));
            Stream::H2Asked(Box::new(asked))
        })
    }

    /// Whether it may take streams, now or when others have ended.
    pub fn is_usable(&self) -> bool {
        !self.shared.closed.get()
    }

    pub fn open_streams(&self) -> usize {
        self.shared.open.get()
    }

    /// Since when no stream is open.
    pub fn idle_since(&self) -> Option<Instant> {
        (self.open_streams() == 0).then(|| self.shared.idle_since.get())
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Poll::Ready(ended) = Pin::new(&mut this.frames).poll(cx) {
            if let Err(e) = ended {
                tracing::debug!("HTTP/2 to an upstream: {e}");
            }
            this.shared.closed.set(true);
            return Poll::Ready(());
        }
        if Rc::strong_count(&this.shared) > 1 {
            return Poll::Pending;
        }
        // Nobody is left. An upstream that does not read must not keep us.
        let last = this
            .last
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limits::LINGER)));
        last.as_mut().poll(cx)
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        // None before the upstream has said how many: see `connect`.
        .initial_max_send_streams(0)
        .enable_push(false)
        .max_concurrent_streams(0)
        .max_header_list_size(u32::try_from(limits::H2_FIELD_SECTION).unwrap_or(u32::MAX))
        .initial_window_size(limits::H2_WINDOW)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW)
        .max_send_buffer_size(limits::H2_SEND_BUFFER)
        .max_concurrent_reset_streams(limits::H2_RESET_REMEMBERED)
        .reset_stream_duration(limits::H2_RESET_MEMORY)
        .max_local_error_reset_streams(Some(limits::H2_RESET_ERRORS));
    builder
}
