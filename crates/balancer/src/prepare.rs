//! Pure: from a request's bytes to what is sent to which backend, or to an answer of our own.

use std::net::IpAddr;
use std::time::Duration;

use http::body::{Framing, framing};
use http::head::traits::{self, Traits};
use http::head::write::{self, Origin};
use http::head::{self, RequestHead, Storage};
use http::{Fault, Kind, Phase};
use site::target::balancer::{Action, Algorithm};

use crate::admit::Admission;
use crate::admit::concurrency::Seat;
use crate::answer::{Answer, Content};
use crate::choose::hash;
use crate::reason::Reason;
use crate::route::{Facts, Matched, Scratch};
use crate::rules::{Does, Route};
use crate::state::State;

/// Paths of our own between balancer and web server; not for visitors.
const INTERNAL: &[u8] = b"/.mainstay/";

/// What the rest of an exchange needs to know of a request.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The head as it goes on, with the body when all of it was there.
    pub(crate) outgoing: Vec<u8>,
    /// Of what is still to be sent.
    pub(crate) framing: Framing,
    /// Bytes of the client's buffer that `outgoing` contains.
    pub(crate) taken: usize,
    pub(crate) traits: Traits,
    pub(crate) upgrade: Option<String>,
    pub(crate) has_body: bool,
    pub(crate) route: usize,
    pub(crate) backend: usize,
    /// For `Algorithm::Hash`.
    pub(crate) key: u64,
    /// To be left when the request has ended.
    pub(crate) seat: Option<Seat>,
}

/// Text for the access log; reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) client: Option<IpAddr>,
    /// Index of the route that took it.
    pub(crate) route: Option<usize>,
    facts: Scratch,
}

impl Line {
    /// Before a request is read.
    pub(crate) fn clear(&mut self) {
        self.method.clear();
        self.target.clear();
        self.host.clear();
        self.client = None;
        self.route = None;
    }
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) state: &'a State,
    pub(crate) client: IpAddr,
    pub(crate) scheme: &'a str,
    /// Port of HTTPS to which every request is sent on.
    pub(crate) redirect_to: Option<u16>,
    /// Since any moment, by a clock that does not go back.
    pub(crate) now: Duration,
}

/// `bytes`: what is buffered, of which `length` is the head.
pub(crate) fn prepare(
    bytes: &[u8],
    length: usize,
    terms: &Terms<'_>,
    line: &mut Line,
    outgoing: Vec<u8>,
) -> Result<Prepared, Answer> {
    let malformed = |kind: Kind| Answer::of_fault(Fault::client(Phase::RequestHead, kind));
    let (head_bytes, rest) = bytes
        .split_at_checked(length)
        .ok_or(malformed(Kind::Malformed("the head")))?;
    let mut storage = Storage::new();
    let head = head::request(head_bytes, &mut storage).map_err(malformed)?;
    let (authority, path) = traits::target(&head);
    replace(&mut line.method, head.method);
    replace(&mut line.target, head.target);
    replace(&mut line.host, authority);
    line.client = Some(terms.client);
    let framing = framing::of_request(&head).map_err(malformed)?;
    let traits = Traits::of(&head);
    let request = Request {
        head,
        authority,
        path,
        framing,
        traits,
        rest,
        length,
    };
    let Line {
        id, facts, route, ..
    } = line;
    let facts =
        Facts::of(&head, terms.client, facts).map_err(|bad| request.refuse(Reason::from(bad)))?;
    request.route(terms, &facts, id, route, outgoing)
}

/// One request, read.
#[derive(Debug, Clone, Copy)]
struct Request<'a> {
    head: RequestHead<'a, 'a>,
    authority: &'a str,
    path: &'a str,
    framing: Framing,
    traits: Traits,
    /// What is buffered behind the head.
    rest: &'a [u8],
    length: usize,
}

impl Request<'_> {
    fn answer(&self, reason: Reason, content: Content) -> Answer {
        Answer {
            status: reason.status(),
            reason,
            content,
            retry_after: None,
            fault: None,
            keep: self.traits.keeps_by_default() && self.framing == Framing::None,
            is_head: self.traits.is_head,
        }
    }

    fn refuse(&self, reason: Reason) -> Answer {
        self.answer(reason, Content::Page)
    }

    fn route(
        &self,
        terms: &Terms<'_>,
        facts: &Facts<'_>,
        id: &str,
        taken_by: &mut Option<usize>,
        outgoing: Vec<u8>,
    ) -> Result<Prepared, Answer> {
        if facts.path.bytes.starts_with(INTERNAL) {
            return Err(self.refuse(Reason::InternalPath));
        }
        let rules = &terms.state.rules;
        let matched = rules.table.find(facts);
        let found = matched.and_then(|matched| Some((matched, rules.routes.get(matched.route)?)));
        let Some((matched, route)) = found else {
            let known = rules.table.knows_host(facts);
            let reason = if known {
                Reason::NoRoute
            } else {
                Reason::UnknownHost
            };
            return Err(self.refuse(reason));
        };
        *taken_by = Some(matched.route);
        let largest = route.target.request_body;
        let largest = largest.unwrap_or(terms.state.target.limits.request_body);
        if matches!(self.framing, Framing::Length(length) if length > largest) {
            return Err(self.refuse(Reason::BodyTooLarge));
        }
        match route.gate.admit(terms.client, facts.fields, terms.now) {
            Admission::Refuse {
                reason,
                retry_after,
            } => Err(Answer {
                retry_after,
                ..self.refuse(reason)
            }),
            Admission::Admit(seat) => match self.act(terms, facts, id, matched, route, outgoing) {
                Ok(prepared) => Ok(Prepared { seat, ..prepared }),
                Err(answer) => {
                    if let Some(seat) = seat {
                        route.gate.leave(seat);
                    }
                    Err(answer)
                }
            },
        }
    }

    fn act(
        &self,
        terms: &Terms<'_>,
        facts: &Facts<'_>,
        id: &str,
        matched: Matched,
        route: &Route,
        outgoing: Vec<u8>,
    ) -> Result<Prepared, Answer> {
        match (&route.target.action, &route.does) {
            (Action::Forward { .. }, Does::Forward(backend)) => {
                self.forward(terms, facts, id, matched, *backend, outgoing)
            }
            (Action::Respond { status, body }, _) => Err(Answer {
                status: *status,
                ..self.answer(Reason::Answered, Content::Text(body.clone()))
            }),
            (Action::Maintenance { retry_after }, _) => Err(Answer {
                retry_after: Some(*retry_after),
                ..self.refuse(Reason::Maintenance)
            }),
            _ => Err(self.refuse(Reason::NoRoute)),
        }
    }

    fn forward(
        &self,
        terms: &Terms<'_>,
        facts: &Facts<'_>,
        id: &str,
        matched: Matched,
        backend: usize,
        mut outgoing: Vec<u8>,
    ) -> Result<Prepared, Answer> {
        let Some(of) = terms.state.backends.get(backend) else {
            return Err(self.refuse(Reason::NoEndpoint));
        };
        let upgrade = traits::upgrade(&self.head);
        let origin = Origin {
            client: terms.client,
            scheme: terms.scheme,
            request_id: id,
        };
        write::outgoing(
            &self.head,
            self.path,
            self.framing,
            upgrade,
            self.authority,
            Some(&origin),
            &mut outgoing,
        );
        // A body that is all here goes along: one write, and the request can be repeated.
        let whole = match self.framing {
            Framing::Length(length) => usize::try_from(length)
                .ok()
                .and_then(|n| self.rest.get(..n)),
            _ => None,
        };
        let (framing, body) = match whole {
            Some(body) => (Framing::None, body),
            None => (self.framing, &[][..]),
        };
        outgoing.extend_from_slice(body);
        Ok(Prepared {
            outgoing,
            framing,
            taken: self.length + body.len(),
            traits: self.traits,
            upgrade: upgrade.map(str::to_owned),
            has_body: self.framing != Framing::None,
            route: matched.route,
            backend,
            key: match of.target.algorithm {
                Algorithm::Hash => hash::key(
                    &of.target.hash_by,
                    terms.client,
                    facts.path.bytes,
                    facts.fields,
                ),
                _ => 0,
            },
            seat: None,
        })
    }
}

fn replace(text: &mut String, with: &str) {
    text.clear();
    text.push_str(with);
}

#[cfg(test)]
pub(crate) mod tests;
