//! The life of a request, top to bottom: read, prepare, choose, send, wait, relay; on failure, again.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::copy::Copy;
use http::limits::{LINGER, LINGER_BYTES};
use http::retry::{Attempt, Verdict, verdict};
use http::server::Connection;
use http::{Fault, Kind, Phase, Side};

use crate::answer::{self, Answer, Content, Manner};
use crate::attempt::{self, Failed};
use crate::backend::Backend;
use crate::choose::Choice;
use crate::prepare::{Line, Prepared, Terms, prepare};
use crate::reason::Reason;
use crate::record::{self, Outcome};
use crate::worker::{Peer, View, Worker};

/// Serves a client's connection until it ends.
pub(crate) async fn serve(worker: &Rc<Worker>, mut client: Connection, peer: Peer) {
    let mut line = Line::default();
    let mut scratch = Vec::new();
    loop {
        let (keep_alive, whole_head) = worker.head_times();
        let length = match client.read_head(keep_alive, whole_head).await {
            Ok(None) => break,
            Ok(Some(length)) => Ok(length),
            Err(fault) if fault.kind == Kind::Closed => break,
            Err(fault) => Err(fault),
        };
        let view = worker.view();
        let started = Instant::now();
        line.clear();
        worker.request_id(&mut line.id);
        let mut exchange = Exchange {
            worker,
            view: &view,
            client: &mut client,
            peer: &peer,
        };
        let outcome = match length {
            Ok(length) => exchange.run(length, &mut line, &mut scratch).await,
            Err(why) => exchange.answer(Answer::of_fault(why), &line.id).await,
        };
        record::record(worker, &view, &peer, &line, &outcome, started);
        if !outcome.keep || worker.watch.draining() {
            break;
        }
    }
    // A TLS client is told that this is the end and not a cut (RFC 8446 section 6.1).
    if peer.secure {
        client.linger(0, LINGER).await;
    }
}

/// What every step of an exchange needs.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) view: &'a Rc<View>,
    pub(crate) client: &'a mut Connection,
    pub(crate) peer: &'a Peer,
}

impl Exchange<'_> {
    /// One request, whose head of `length` bytes is in the buffer.
    async fn run(&mut self, length: usize, line: &mut Line, scratch: &mut Vec<u8>) -> Outcome {
        let terms = Terms {
            state: &self.view.state,
            client: self.peer.address.ip(),
            scheme: self.peer.scheme(),
            redirect_to: self.peer.redirect_to,
            now: self.worker.since_start(),
        };
        let bytes = self.client.buffer.filled();
        match prepare(bytes, length, &terms, line, std::mem::take(scratch)) {
            Ok(mut prepared) => {
                self.client.buffer.consume(prepared.taken);
                let (route, seat) = (prepared.route, prepared.seat.take());
                let mut outcome = self.forward(prepared, &line.id, scratch).await;
                if let (Some(route), Some(seat)) = (self.view.state.rules.routes.get(route), seat) {
                    route.gate.leave(seat);
                }
                // A client whose connection is to end with this process is told so by its last answer.
                outcome.keep &= !self.worker.watch.draining();
                outcome
            }
            Err(answer) => {
                self.client.buffer.consume(length);
                self.answer(answer, &line.id).await
            }
        }
    }

    /// Sends the request to one endpoint after the other until one answers or no more may be asked.
    async fn forward(&mut self, prepared: Prepared, id: &str, scratch: &mut Vec<u8>) -> Outcome {
        let view = Rc::clone(self.view);
        let Some(backend) = view.backend(prepared.backend) else {
            let answer = self.refusal(Reason::NoEndpoint, &prepared, false);
            return self.answer(answer, id).await;
        };
        if !backend.kept.open.enter(backend.target.breaker) {
            let answer = self.refusal(Reason::BreakerOpen, &prepared, false);
            return self.answer(answer, id).await;
        }
        backend.kept.budget.request(self.worker.seconds());
        let outcome = self.try_endpoints(backend, prepared, id, scratch).await;
        backend.kept.open.leave();
        outcome
    }

    async fn try_endpoints(
        &mut self,
        backend: &Backend,
        mut prepared: Prepared,
        id: &str,
        scratch: &mut Vec<u8>,
    ) -> Outcome {
        let route = self.view.state.rules.routes.get(prepared.route);
        let limit = route.and_then(|route| route.target.request_body);
        let limit = limit.unwrap_or(self.view.state.target.limits.request_body);
        let outgoing = std::mem::take(&mut prepared.outgoing);
        let mut request =
            Copy::new(outgoing, prepared.framing, limit).keeping(backend.target.retries.body);
        let mut tried = Vec::new();
        let (mut attempts, mut fresh) = (0, false);
        loop {
            let Choice::Endpoint(index) = self.choose(backend, &prepared, &tried) else {
                let reason = match attempts {
                    0 => Reason::NoEndpoint,
                    _ => Reason::EndpointsTried,
                };
                let answer = self.refusal(reason, &prepared, request.has_body());
                return Outcome {
                    attempts,
                    backend: Some(prepared.backend),
                    ..self.answer(answer, id).await
                };
            };
            if !fresh {
                attempts += 1;
            }
            let asked = attempt::attempt(self, backend, &prepared, index, fresh, &mut request, id);
            let Failed { fault, reused } = match asked.await {
                Ok(outcome) => {
                    *scratch = request.into_head();
                    return Outcome {
                        attempts,
                        ..outcome
                    };
                }
                Err(failed) => failed,
            };
            let attempt = Attempt {
                sent: request.has_sent(),
                reused,
                idempotent: prepared.traits.idempotent,
                replayable: request.restart(),
                number: attempts,
                limit: backend.target.retries.attempts,
            };
            let mut verdict = verdict(&attempt, &fault);
            let percent = backend.target.retries.budget_percent;
            if verdict == Verdict::TryAnother
                && !backend.kept.budget.retry(self.worker.seconds(), percent)
            {
                verdict = Verdict::GiveUp;
            }
            match verdict {
                Verdict::TryFresh => fresh = true,
                Verdict::TryAnother => {
                    tried.push(index);
                    fresh = false;
                }
                Verdict::GiveUp => {
                    let has_body = request.has_body();
                    let answer = Answer {
                        is_head: prepared.traits.is_head,
                        keep: prepared.traits.keeps_by_default() && !has_body,
                        ..Answer::of_fault(fault)
                    };
                    return Outcome {
                        attempts,
                        backend: Some(prepared.backend),
                        endpoint: Some(index),
                        ..self.answer(answer, id).await
                    };
                }
            }
        }
    }

    /// Who is asked next; a place at that endpoint is taken.
    fn choose(&self, backend: &Backend, prepared: &Prepared, tried: &[usize]) -> Choice {
        backend.choose(self.worker, prepared.key, None, tried)
    }

    /// An answer in place of an endpoint's. What is left of a body stands before the next request.
    fn refusal(&self, reason: Reason, prepared: &Prepared, has_body: bool) -> Answer {
        let fault = match reason {
            Reason::EndpointsTried => Some(Fault::upstream(Phase::Connect, Kind::Closed)),
            _ => None,
        };
        Answer {
            status: reason.status(),
            reason,
            content: Content::Page,
            retry_after: None,
            fault,
            keep: prepared.traits.keeps_by_default() && !has_body && !prepared.has_body,
            is_head: prepared.traits.is_head,
        }
    }

    /// Writes an answer of our own.
    pub(crate) async fn answer(&mut self, mut answer: Answer, id: &str) -> Outcome {
        let state = &self.view.state;
        answer.keep &= !self.worker.watch.draining();
        let manner = Manner {
            request_id: id,
            reason_header: state.target.reason_header,
            hsts: self.peer.hsts.as_deref(),
            page: None,
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

/// Whether a fault says something about the endpoint.
pub(crate) fn blames_endpoint(fault: &Fault) -> bool {
    fault.side == Side::Upstream
}

/// How long an exchange took, for the speed of an endpoint.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
