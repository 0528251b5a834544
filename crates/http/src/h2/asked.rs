//! A stream of ours on a connection to an upstream, as a connection of HTTP/1.1 with one request: the
//! request is written to it, the response read from it, then it is at its end.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use ::h2::client::{ResponseFuture, SendRequest};
use bytes::Bytes;
use http_types::Method;

use super::client::Shared;
use super::failure;
use super::head_text::HeadText;
use super::inflow::Inflow;
use super::lift::{self, LiftedRequest};
use super::lower::{self, Question};
use super::outflow::Outflow;
use crate::body::Framing;

#[derive(Debug)]
enum Answer {
    /// The request's head is not written yet.
    NotAsked(SendRequest<Bytes>),
    /// The head could not be written: there will be no response.
    Failed,
    Awaited(ResponseFuture),
    Body(Inflow),
}

/// The stream. Dropped before its response is whole, it is reset.
#[derive(Debug)]
pub struct Asked {
    shared: Rc<Shared>,
    head: HeadText,
    request: Option<Outflow>,
    answer: Answer,
    is_head: bool,
    key: Option<Bytes>,
    /// Informational responses not read yet.
    text: Vec<u8>,
    /// Who reads before the request is written.
    waker: Option<Waker>,
}

impl Asked {
    pub(super) fn new(send: SendRequest<Bytes>, shared: Rc<Shared>) -> Self {
        shared.begin();
        Self {
            shared,
            head: HeadText::default(),
            request: None,
            answer: Answer::NotAsked(send),
            is_head: false,
            key: None,
            text: Vec::new(),
            waker: None,
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if matches!(self.answer, Answer::NotAsked(_)) {
            let asked = self.ask(bytes);
            if asked.is_err() {
                self.answer = Answer::Failed;
            }
            return Poll::Ready(asked);
        }
        match &mut self.request {
            Some(request) => request.poll_write(cx, bytes),
            None => Poll::Ready(Err(failure::malformed("bytes behind a request"))),
        }
    }

    /// Takes some of the request's head, and opens the stream when it is complete.
    fn ask(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Answer::NotAsked(send) = &mut self.answer else {
            return Ok(0);
        };
        let malformed = |_| failure::malformed("a request's head");
        let (used, whole) = self.head.take(bytes).map_err(malformed)?;
        let Some(whole) = whole else {
            return Ok(used);
        };
        let LiftedRequest {
            request,
            framing,
            key,
        } = lift::request(&whole, self.shared.scheme()).map_err(malformed)?;
        if key.is_some() && !send.is_extended_connect_protocol_enabled() {
            let why = "the upstream takes no WebSocket over HTTP/2";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        self.is_head = request.method() == Method::HEAD;
        let framing = match &key {
            Some(_) => Framing::UntilClose,
            None => framing,
        };
        let ends = framing == Framing::None;
        // An error here means that nothing was sent.
        let sent = send.send_request(request, ends);
        let (response, frames) = sent.map_err(|_| failure::unprocessed())?;
        self.request = (!ends).then(|| Outflow::new(frames, framing));
        self.key = key;
        self.answer = Answer::Awaited(response);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        Ok(used)
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.text.is_empty() {
                let count = self.text.len().min(into.len());
                for (into, byte) in into.iter_mut().zip(self.text.drain(..count)) {
                    *into = byte;
                }
                return Poll::Ready(Ok(count));
            }
            match &mut self.answer {
                Answer::NotAsked(_) => {
                    self.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Answer::Failed => return Poll::Ready(Ok(0)),
                Answer::Body(body) => return body.poll_read(cx, into),
                Answer::Awaited(_) => {}
            }
            ready!(self.poll_answer(cx))?;
        }
    }

    /// The next head, as text.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Answer::Awaited(response) = &mut self.answer else {
            return Poll::Ready(Ok(()));
        };
        let question = Question {
            is_head: self.is_head,
            key: self.key.as_deref(),
        };
        match response.poll_informational(cx) {
            Poll::Ready(Some(Ok(informational))) => {
                let lowered = lower::response(&informational, question, false, &mut self.text);
                return Poll::Ready(lowered.map(|_| ()).map_err(failure::malformed));
            }
            Poll::Ready(Some(Err(e))) => return Poll::Ready(Err(failure::of(e))),
            // The first event is not an informational response, or there is none.
            Poll::Ready(None) | Poll::Pending => {}
        }
        let response = ready!(Pin::new(response).poll(cx));
        let response = response.map_err(failure::of)?;
        let ended = response.body().is_end_stream();
        let mut head = Vec::with_capacity(512);
        let shape = lower::response(&response, question, ended, &mut head);
        let shape = shape.map_err(failure::malformed)?;
        self.answer = Answer::Body(Inflow::new(response.into_body(), shape, head));
        Poll::Ready(Ok(()))
    }

    /// Ends the writing side of a tunnel.
    pub(crate) fn shut_down(&mut self) -> io::Result<()> {
        match &mut self.request {
            Some(request) => request.finish(),
            None => Ok(()),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.shared.end();
    }
}
