//! A stream that a client has opened, as the connection of a client of HTTP/1.1 with one request: the
//! request is read from it, the response written to it, then it is at its end.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use ::h2::RecvStream;
use ::h2::server::SendResponse;
use bytes::Bytes;

use super::failure;
use super::head_text::HeadText;
use super::inflow::Inflow;
use super::lift;
use super::lower::Lowered;
use super::outflow::Outflow;
use super::tally::Tally;
use crate::body::Framing;

#[derive(Debug)]
enum Out {
    /// No final head yet.
    Head(SendResponse<Bytes>),
    Body(Outflow),
    Over,
}

/// The stream. Dropped before its response is whole, it is reset.
#[derive(Debug)]
pub struct Served {
    request: Inflow,
    /// Shared with `Gone`.
    out: Rc<RefCell<Out>>,
    head: HeadText,
    is_head: bool,
    is_websocket: bool,
    tally: Rc<Tally>,
}

impl Served {
    pub(super) fn new(
        lowered: Lowered,
        frames: RecvStream,
        respond: SendResponse<Bytes>,
        tally: Rc<Tally>,
    ) -> Self {
        tally.begin();
        Self {
            request: Inflow::new(frames, lowered.shape, lowered.head),
            out: Rc::new(RefCell::new(Out::Head(respond))),
            head: HeadText::default(),
            is_head: lowered.is_head,
            is_websocket: lowered.is_websocket,
            tally,
        }
    }

    pub(super) fn gone(&self) -> Gone {
        Gone(Rc::downgrade(&self.out))
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // No next request, and nobody wants what is left of this one: the client is told so by a reset
        // without an error, when this is dropped (RFC 9113 section 8.1).
        if !self.is_websocket && matches!(*self.out.borrow(), Out::Over) {
            return Poll::Ready(Ok(0));
        }
        self.request.poll_read(cx, into)
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut out = self.out.borrow_mut();
        match &mut *out {
            Out::Head(respond) => {
                let taken = self.head.take(bytes);
                let (used, whole) = taken.map_err(|_| failure::malformed("a response's head"))?;
                if let Some(whole) = whole
                    && let Some(next) =
                        respond_with(respond, &whole, self.is_head, self.is_websocket)?
                {
                    *out = next;
                }
                Poll::Ready(Ok(used))
            }
            Out::Body(body) => {
                let written = body.poll_write(cx, bytes);
                if body.is_over() {
                    *out = Out::Over;
                }
                written
            }
            Out::Over => Poll::Ready(Err(failure::malformed("bytes behind a response"))),
        }
    }

    /// What was written is whole, where only the writer can tell.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let mut out = self.out.borrow_mut();
        if let Out::Body(body) = &mut *out {
            body.finish()?;
            if body.is_over() {
                *out = Out::Over;
            }
        }
        Ok(())
    }

    /// Ends the writing side. A response that is not whole is not made to look so.
    pub(crate) fn shut_down(&mut self) -> io::Result<()> {
        if self.is_websocket {
            return self.finish();
        }
        let mut out = self.out.borrow_mut();
        if let Out::Body(body) = &mut *out {
            body.break_off();
            *out = Out::Over;
        }
        Ok(())
    }
}

/// Sends a head. `None`: it was an informational one.
fn respond_with(
    respond: &mut SendResponse<Bytes>,
    head: &Bytes,
    is_head: bool,
    is_websocket: bool,
) -> io::Result<Option<Out>> {
    let lifted = lift::response(head, is_head, is_websocket);
    let lift::LiftedResponse { response, framing } =
        lifted.map_err(|_| failure::malformed("a response's head"))?;
    if response.status().is_informational() {
        respond.send_informational(response).map_err(failure::of)?;
        return Ok(None);
    }
    let ends = framing == Framing::None;
    let frames = respond.send_response(response, ends).map_err(failure::of)?;
    Ok(Some(match ends {
        true => Out::Over,
        false => Out::Body(Outflow::new(frames, framing)),
    }))
}

impl Out {
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Head(respond) => respond.poll_reset(cx).map(|_| ()),
            Self::Body(body) => body.poll_reset(cx),
            Self::Over => Poll::Pending,
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let mut out = self.out.borrow_mut();
        let mut cx = Context::from_waker(Waker::noop());
        if out.poll_reset(&mut cx).is_ready() {
            self.tally.count_reset();
        } else if let Out::Body(body) = &mut *out {
            body.break_off();
        }
        self.tally.end();
    }
}

/// Ready when the client has given the stream up: work for it is in vain. To be waited for beside the
/// exchange, in the same task. Never ready once the response is written or the stream dropped.
#[derive(Debug)]
pub struct Gone(Weak<RefCell<Out>>);

impl Future for Gone {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.upgrade() {
            Some(out) => out.borrow_mut().poll_reset(cx),
            None => Poll::Pending,
        }
    }
}
