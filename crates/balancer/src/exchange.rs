//! The life of a request, top to bottom: read, prepare, choose, send, wait, relay; on failure, again.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::copy::Copy;
use http::limits::{LINGER, LINGER_BYTES};
use http::retry::{Attempt, Verdict, verdict};
use http::server::Connection;
use http::{Fault, Kind, Stream};

use crate::answer::{self, Answer, Content, Manner};
use crate::attempt::{self, Failed, Over};
use crate::backend::Backend;
use crate::mirror;
use crate::prepare::{Line, Prepared, Terms, prepare};
use crate::race;
use crate::reason::Reason;
use crate::record::{self, Outcome};
use crate::turn::{Wanted, turn};
use crate::worker::{Peer, View, Worker};

/// Serves a client's connection until it ends.
#[expect(
    clippy::manual_async_fn,
    reason = "an async function holds its arguments twice, and every open connection would"
)]
pub(crate) fn serve(
    worker: &Rc<Worker>,
    client: &mut Connection,
    peer: &Peer,
) -> impl Future<Output = ()> {
    async move {
        loop {
            let (keep_alive, whole_head) = worker.head_times();
            let read = match client.read_head(keep_alive, whole_head).await {
                Ok(None) => break,
                Ok(Some(length)) => Ok(length),
                Err(fault) if fault.kind == Kind::Closed => break,
                Err(fault) => Err(fault),
            };
            // Boxed, so that a connection that waits for its next request does not hold the room for one.
            if !Box::pin(one(worker, client, peer, read, std::future::pending())).await {
                break;
            }
        }
        // A TLS client is told that this is the end and not a cut (RFC 8446 section 6.1).
        if peer.secure {
            Box::pin(client.linger(0, LINGER)).await;
        }
    }
}

/// Serves a stream of HTTP/2, which is one request. `gone`: the client has lost interest.
pub(crate) async fn serve_stream(
    worker: &Rc<Worker>,
    mut client: Connection,
    peer: Peer,
    gone: impl Future<Output = ()>,
) {
    let (_, whole_head) = worker.head_times();
    let read = match client.read_head(whole_head, whole_head).await {
        Ok(None) => return,
        Ok(Some(length)) => Ok(length),
        Err(fault) => Err(fault),
    };
    one(worker, &mut client, &peer, read, gone).await;
}

/// One request, whose head is in the buffer, or what was wrong with it. Whether the connection can take
/// another one.
async fn one(
    worker: &Rc<Worker>,
    client: &mut Connection,
    peer: &Peer,
    read: Result<usize, Fault>,
    gone: impl Future<Output = ()>,
) -> bool {
    let view = worker.view();
    let started = Instant::now();
    let mut line = worker.line();
    let mut exchange = Exchange {
        worker,
        view: &view,
        client,
        peer,
        since_start: worker.since_start(started),
    };
    let running = async {
        match read {
            Ok(length) => exchange.run(length, &mut line).await,
            Err(why) => exchange.answer(Answer::of_fault(why), &line.id).await,
        }
    };
    let outcome = tokio::select! {
        biased;
        outcome = running => Some(outcome),
        () = gone => None,
    };
    let outcome = outcome.unwrap_or_else(Outcome::client_gone);
    record::record(worker, &view, peer, &line, &outcome, started);
    worker.give_back(line);
    outcome.keep && !worker.watch.draining()
}

/// What every step of an exchange needs.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) view: &'a Rc<View>,
    pub(crate) client: &'a mut Connection,
    pub(crate) peer: &'a Peer,
    /// When it began, by the clock of the rates: the clock is read once for all of them.
    since_start: Duration,
}

impl Exchange<'_> {
    async fn run(&mut self, length: usize, line: &mut Line) -> Outcome {
        let terms = Terms {
            state: &self.view.state,
            peer: self.peer.address.ip(),
            secure: self.peer.secure,
            is_h2: matches!(self.client.stream, Stream::H2Served(_)),
            redirect_to: self.peer.redirect_to,
            hsts: self.peer.hsts.as_ref().map(|hsts| hsts.as_str()),
            now: self.since_start,
            random: self.worker.random(),
        };
        match prepare(self.client.buffer.filled(), length, &terms, line) {
            Ok(mut prepared) => {
                self.client.buffer.consume(prepared.taken);
                let route = self.view.state.rules.routes.get(prepared.route);
                let _seat = route
                    .zip(prepared.seat.take())
                    .map(|(route, seat)| route.gate.hold(seat));
                self.forward(&mut prepared, line).await
            }
            Err(answer) => {
                self.client.buffer.consume(length);
                self.answer(answer, &line.id).await
            }
        }
    }

    /// Sends the request to the route's backend, unless that has too much to do.
    async fn forward(&mut self, prepared: &mut Prepared, line: &mut Line) -> Outcome {
        let view = Rc::clone(self.view);
        let Some(backend) = view.backend(prepared.backend) else {
            let answer = refusal(Reason::NoEndpoint, prepared, prepared.has_body);
            return self.answer(answer, &line.id).await;
        };
        let Some(_open) = backend.kept.open.place(backend.target.breaker) else {
            let answer = refusal(Reason::BreakerOpen, prepared, prepared.has_body);
            return self.answer(answer, &line.id).await;
        };
        backend.kept.budget.request(self.since_start.as_secs());
        if let Some(copies) = prepared.mirror {
            mirror::send(self.worker, self.view, copies, &prepared.outgoing);
        }
        let number = prepared.backend;
        let outcome = self.try_endpoints(backend, prepared, line).await;
        Outcome {
            backend: Some(number),
            ..outcome
        }
    }

    /// One endpoint after the other until one answers or no more may be asked.
    async fn try_endpoints(
        &mut self,
        backend: &Backend,
        prepared: &mut Prepared,
        line: &mut Line,
    ) -> Outcome {
        let route = self.view.state.rules.routes.get(prepared.route);
        let limit = route.map_or(u64::MAX, |route| route.request_body);
        let outgoing = std::mem::take(&mut prepared.outgoing);
        let retries = &backend.target.retries;
        let mut request = Copy::new(outgoing, prepared.framing, limit).keeping(retries.body);
        let mut tried = Vec::new();
        let (mut attempts, mut fresh, mut last) = (0, false, None);
        loop {
            let wanted = Wanted {
                key: prepared.key,
                bound: prepared.bound,
                tried: &tried,
                has_body: prepared.has_body,
            };
            let place = match turn(self.worker, backend, wanted, self.client.stream.hung_up()).await
            {
                Ok(place) => place,
                Err(Reason::ClientGone) => return Outcome::client_gone(),
                Err(reason) => {
                    let mut answer = refusal(reason, prepared, request.has_body());
                    answer.fault = last;
                    // Where there was only one to try, what went wrong says more.
                    if let (Some(fault), [_], Reason::EndpointsTried) = (last, &*tried, reason) {
                        (answer.reason, answer.status) = (Reason::of_fault(&fault), fault.status());
                    }
                    let outcome = self.answer(answer, &line.id).await;
                    return Outcome {
                        attempts,
                        ..outcome
                    };
                }
            };
            if !fresh {
                attempts += 1;
            }
            let index = place.index;
            let over = match (fresh, hedges(backend, prepared, attempts)) {
                (true, _) => Ok((place, Over::Fresh)),
                (false, None) => Ok((place, Over::Kept)),
                (false, Some(after)) => {
                    let bytes = request.bytes();
                    race::race(self, backend, prepared, bytes, place, after)
                        .await
                        .map(|won| (won.place, Over::Asked(Box::new(won.upstream))))
                }
            };
            let (index, asked) = match over {
                Ok((place, over)) => {
                    let (index, prepared, request) = (place.index, &mut *prepared, &mut request);
                    let asked = attempt::attempt(self, backend, prepared, place, over, request);
                    (index, asked.await)
                }
                Err(failed) => {
                    request.was_sent();
                    (index, attempt::failed(self, backend, index, failed))
                }
            };
            let Failed { fault, reused } = match asked {
                Ok(outcome) => {
                    line.room.outgoing = request.into_head();
                    line.room.lines = std::mem::take(&mut prepared.lines);
                    return Outcome {
                        attempts,
                        ..outcome
                    };
                }
                Err(failed) => failed,
            };
            last = Some(fault);
            let attempt = Attempt {
                sent: request.has_sent(),
                reused,
                idempotent: prepared.traits.idempotent,
                replayable: request.restart(),
                number: attempts,
                limit: retries.attempts,
            };
            let verdict = match verdict(&attempt, &fault) {
                Verdict::TryAnother
                    if !backend
                        .kept
                        .budget
                        .retry(self.worker.seconds(), retries.budget_percent) =>
                {
                    Verdict::GiveUp
                }
                verdict => verdict,
            };
            match verdict {
                Verdict::TryFresh => fresh = true,
                Verdict::TryAnother => {
                    tried.push(index);
                    (fresh, last) = (false, Some(fault));
                }
                Verdict::GiveUp => {
                    let keep = prepared.traits.keeps_by_default() && !request.has_body();
                    let answer = Answer {
                        is_head: prepared.traits.is_head,
                        keep,
                        ..Answer::of_fault(fault)
                    };
                    let outcome = self.answer(answer, &line.id).await;
                    return Outcome {
                        attempts,
                        endpoint: Some(index),
                        ..outcome
                    };
                }
            }
        }
    }

    /// Writes an answer of our own.
    pub(crate) async fn answer(&mut self, mut answer: Answer, id: &str) -> Outcome {
        let state = &self.view.state;
        answer.keep &= !self.worker.watch.draining();
        let manner = Manner {
            request_id: id,
            reason_header: state.target.reason_header,
            hsts: self.peer.hsts.as_ref().map(|hsts| hsts.as_str()),
            page: state.pages.find(answer.status, answer.reason),
        };
        let mut out = Vec::new();
        answer::write(&answer, &manner, &mut out);
        let within = state.target.limits.idle_body;
        let written = self.client.write_all(&out, within).await;
        let keep = answer.keep && written.is_ok();
        if written.is_ok() && !keep {
            self.client.linger(LINGER_BYTES, LINGER).await;
        }
        Outcome {
            status: answer.status,
            reason: Some(answer.reason),
            bytes: out.len() as u64,
            backend: None,
            endpoint: None,
            attempts: 0,
            fault: answer.fault,
            keep,
        }
    }
}

/// After how long a second endpoint is asked as well, if at all.
fn hedges(backend: &Backend, prepared: &Prepared, attempts: u32) -> Option<Duration> {
    let after = backend.target.retries.hedge_after?.0;
    let plain = prepared.is_read && !prepared.has_body && prepared.upgrade.is_none();
    // What a bound visitor has left with his endpoint no other has.
    let plain = plain && prepared.bound.is_none();
    (plain && attempts == 1).then_some(after)
}

/// An answer in place of an endpoint's. What is left of a body stands before the next request.
fn refusal(reason: Reason, prepared: &Prepared, has_body: bool) -> Answer {
    Answer {
        status: reason.status(),
        reason,
        content: Content::Page,
        retry_after: None,
        fault: None,
        keep: prepared.traits.keeps_by_default() && !has_body,
        is_head: prepared.traits.is_head,
    }
}
