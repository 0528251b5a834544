//! Pure: from a request's bytes to what is sent to which backend, or to an answer of our own.

use std::net::IpAddr;
use std::time::Duration;

use http::body::{Framing, framing};
use http::head::forwarded::is_forwarding;
use http::head::traits::{self, Traits};
use http::head::write::{self, Edit};
use http::head::{self, RequestHead, Storage};
use http::{Fault, Kind, Phase};
use site::target::balancer::Algorithm;

use crate::admit::Admission;
use crate::admit::concurrency::Seat;
use crate::answer::{Answer, Content};
use crate::choose::hash;
use crate::headers::Values;
use crate::pattern::Groups;
use crate::reason::Reason;
use crate::redirect::{self, goes_to_https, to_https};
use crate::route::facts::{host, split};
use crate::route::{Facts, Matched, Scratch, path};
use crate::rules::{Does, Forward, Route};
use crate::state::State;
use crate::sticky::Bound;
use crate::trace::Trace;
use crate::trusted::{self, Origin};

/// Paths of our own between balancer and web server; not for visitors.
pub(crate) const INTERNAL: &[u8] = b"/.mainstay/";

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
    /// GET or HEAD.
    pub(crate) is_read: bool,
    /// The client came to us, or to the first proxy, over TLS.
    pub(crate) secure: bool,
    pub(crate) route: usize,
    pub(crate) backend: usize,
    /// Backend that gets a copy.
    pub(crate) mirror: Option<usize>,
    /// For `Algorithm::Hash`.
    pub(crate) key: u64,
    /// The endpoint that the visitor's cookie names.
    pub(crate) bound: Option<usize>,
    /// Lines added to the response.
    pub(crate) lines: Vec<u8>,
    /// To be left when the request has ended.
    pub(crate) seat: Option<Seat>,
}

/// Text for the access log, and room for what is made of a request; reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: String,
    /// `HTTP/1.0` or the like; empty when there was no request.
    pub(crate) protocol: &'static str,
    pub(crate) referer: String,
    pub(crate) user_agent: String,
    pub(crate) client: Option<IpAddr>,
    pub(crate) scheme: &'static str,
    /// Index of the route that took it.
    pub(crate) route: Option<usize>,
    pub(crate) room: Room,
}

/// Allocations that are used again.
#[derive(Debug, Default)]
pub(crate) struct Room {
    facts: Scratch,
    pub(crate) outgoing: Vec<u8>,
    pub(crate) lines: Vec<u8>,
    added: Vec<u8>,
    path: Vec<u8>,
}

/// Bytes of a request that are kept room for: a head, and a body that is read with it.
const KEPT: usize = http::limits::BODY_BUFFER;

impl Line {
    /// When it is not used for a while: a body kept for another try may be larger by far.
    pub(crate) fn shrink(&mut self) {
        if self.room.outgoing.capacity() > KEPT {
            self.room.outgoing = Vec::new();
        }
    }

    /// Before a request is read.
    pub(crate) fn clear(&mut self) {
        self.method.clear();
        self.target.clear();
        self.host.clear();
        self.referer.clear();
        self.user_agent.clear();
        self.client = None;
        self.protocol = "";
        self.route = None;
    }
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) state: &'a State,
    /// Whose connection it is.
    pub(crate) peer: IpAddr,
    pub(crate) secure: bool,
    /// It is a stream of HTTP/2.
    pub(crate) is_h2: bool,
    /// Port of HTTPS to which every request is sent on.
    pub(crate) redirect_to: Option<u16>,
    pub(crate) hsts: Option<&'a str>,
    /// Since any moment, by a clock that does not go back.
    pub(crate) now: Duration,
    pub(crate) random: u64,
}

/// `bytes`: what is buffered, of which `length` is the head.
pub(crate) fn prepare(
    bytes: &[u8],
    length: usize,
    terms: &Terms<'_>,
    line: &mut Line,
) -> Result<Prepared, Answer> {
    let malformed = |kind: Kind| Answer::of_fault(Fault::client(Phase::RequestHead, kind));
    let (head_bytes, rest) = bytes
        .split_at_checked(length)
        .ok_or(malformed(Kind::Malformed("the head")))?;
    let mut storage = Storage::new();
    let head = head::request(head_bytes, &mut storage).map_err(malformed)?;
    let (authority, target) = traits::target(&head);
    replace(&mut line.method, head.method);
    replace(&mut line.target, head.target);
    replace(&mut line.host, authority);
    line.protocol = match (terms.is_h2, head.minor) {
        (true, _) => "HTTP/2.0",
        (false, 0) => "HTTP/1.0",
        (false, _) => "HTTP/1.1",
    };
    if terms.state.log.wants_visitor() {
        let field = |name| head.fields.text(name).unwrap_or_default();
        replace(&mut line.referer, field("referer"));
        replace(&mut line.user_agent, field("user-agent"));
    }
    let rules = &terms.state.rules;
    let origin = trusted::origin(&rules.trusted, terms.peer, terms.secure, head.fields);
    line.client = Some(origin.client);
    line.scheme = origin.scheme;
    let framing = framing::of_request(&head).map_err(malformed)?;
    let traits = Traits::of(&head);
    let Line {
        id, room, route, ..
    } = line;
    let Room {
        facts,
        outgoing,
        lines,
        added,
        path,
    } = room;
    let request = Request {
        terms,
        head,
        authority,
        target,
        framing,
        traits,
        rest,
        length,
        origin,
        id,
    };
    let facts =
        Facts::of(&head, origin.client, facts).map_err(|bad| request.refuse(Reason::from(bad)))?;
    let mut into = Into {
        outgoing: std::mem::take(outgoing),
        lines: std::mem::take(lines),
        added,
        path,
    };
    into.outgoing.clear();
    into.lines.clear();
    request.run(&facts, route, into)
}

/// Where the parts of what goes on are written.
#[derive(Debug)]
struct Into<'a> {
    outgoing: Vec<u8>,
    lines: Vec<u8>,
    added: &'a mut Vec<u8>,
    path: &'a mut Vec<u8>,
}

/// One request, read.
#[derive(Debug, Clone, Copy)]
struct Request<'a> {
    terms: &'a Terms<'a>,
    head: RequestHead<'a, 'a>,
    authority: &'a str,
    /// Path and query.
    target: &'a str,
    framing: Framing,
    traits: Traits,
    /// What is buffered behind the head.
    rest: &'a [u8],
    length: usize,
    origin: Origin<'a>,
    id: &'a str,
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

    fn run(
        &self,
        facts: &Facts<'_>,
        taken_by: &mut Option<usize>,
        into: Into<'_>,
    ) -> Result<Prepared, Answer> {
        if facts.path.bytes.starts_with(INTERNAL) {
            return Err(self.refuse(Reason::InternalPath));
        }
        let rules = &self.terms.state.rules;
        if let Some(port) = self.terms.redirect_to
            && self.origin.scheme == "http"
            && goes_to_https(facts.path.bytes)
            && rules.table.knows_host(facts)
        {
            return Err(self.sent_to_https(facts, port));
        }
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
        if matches!(self.framing, Framing::Length(length) if length > route.request_body) {
            return Err(self.refuse(Reason::BodyTooLarge));
        }
        match route.gate.admit(facts.client, facts.fields, self.terms.now) {
            Admission::Refuse {
                reason,
                retry_after,
            } => Err(Answer {
                retry_after,
                ..self.refuse(reason)
            }),
            Admission::Admit(seat) => match self.act(facts, matched, route, into) {
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
        facts: &Facts<'_>,
        matched: Matched,
        route: &Route,
        into: Into<'_>,
    ) -> Result<Prepared, Answer> {
        match &route.does {
            Does::Forward(forward) => self.forward(facts, matched, route, forward, into),
            Does::Redirect(redirect) => {
                let rules = &self.terms.state.rules;
                let groups = rules.table.groups(matched, facts);
                let mut location = Vec::new();
                let answer = match redirect.location(&self.values(facts, groups), &mut location) {
                    Ok(()) => Answer {
                        status: redirect.status,
                        ..self.answer(Reason::Redirected, Content::Location(text(location)))
                    },
                    Err(reason) => self.refuse(reason),
                };
                Err(answer)
            }
            Does::Respond { status, body } => Err(Answer {
                status: *status,
                ..self.answer(Reason::Answered, Content::Text(body.clone()))
            }),
            Does::Maintenance { retry_after } => Err(Answer {
                retry_after: Some(*retry_after),
                ..self.refuse(Reason::Maintenance)
            }),
        }
    }

    fn sent_to_https(&self, facts: &Facts<'_>, port: u16) -> Answer {
        let values = self.values(facts, Groups::default());
        let mut location = Vec::new();
        match to_https(self.head.method, port, &values, &mut location) {
            Ok(status) => Answer {
                status,
                ..self.answer(Reason::Redirected, Content::Location(text(location)))
            },
            Err(reason) => self.refuse(reason),
        }
    }

    fn values<'v>(&'v self, facts: &'v Facts<'_>, groups: Groups) -> redirect::Values<'v> {
        let (path, query) = split(self.target);
        redirect::Values {
            scheme: self.origin.scheme,
            host: host(self.authority),
            path,
            query,
            groups,
            normal_path: facts.path.bytes,
        }
    }

    fn forward(
        &self,
        facts: &Facts<'_>,
        matched: Matched,
        route: &Route,
        forward: &Forward,
        into: Into<'_>,
    ) -> Result<Prepared, Answer> {
        let state = self.terms.state;
        let Some(backend) = state.backends.get(forward.backend) else {
            return Err(self.refuse(Reason::NoEndpoint));
        };
        let Into {
            mut outgoing,
            mut lines,
            added,
            path,
        } = into;
        let values = Values {
            client: facts.client,
            host: host(self.authority),
            scheme: self.origin.scheme,
            request_id: self.id,
            route: &route.name,
        };
        let bad = |_| self.refuse(Reason::BadRequestHost);
        let target = self.target_for_endpoint(facts, matched, forward, path);
        // A route that cuts a prefix off must not make such a path of another one.
        if forward.rewriting.is_some() && is_internal(target) {
            return Err(self.refuse(Reason::InternalPath));
        }
        let upgrade = traits::upgrade(&self.head);
        let keeps_trace = self.head.fields.get("traceparent").is_some() && {
            let trace = Trace::of(self.head.fields, [0; 3]);
            matches!(trace, Trace::Passed { .. })
        };
        let keeps = |name: &str| {
            !(write::is_claim(name)
                || is_forwarding(name)
                || !keeps_trace && is_trace(name)
                || !route.request.keeps(name))
        };
        added.clear();
        self.put_origin(added);
        route.request.append(&values, added).map_err(bad)?;
        let edit = Edit {
            keeps: &keeps,
            added,
        };
        let host = forward.host.as_deref().unwrap_or(self.authority);
        let (head, framing) = (&self.head, self.framing);
        write::outgoing(
            head,
            target,
            framing,
            upgrade,
            host,
            Some(&edit),
            &mut outgoing,
        );
        // A body that is all here goes along: one write, and the request can be repeated.
        let whole = match framing {
            Framing::Length(length) => usize::try_from(length)
                .ok()
                .and_then(|n| self.rest.get(..n)),
            _ => None,
        };
        let (left, body) = match whole {
            Some(body) => (Framing::None, body),
            None => (framing, &[][..]),
        };
        outgoing.extend_from_slice(body);
        self.put_response_lines(&mut lines);
        route.response.append(&values, &mut lines).map_err(bad)?;
        let mirrored = |(_, percent): &(usize, u8)| self.terms.random % 100 < u64::from(*percent);
        let mirror = forward
            .mirror
            .filter(mirrored)
            .filter(|_| framing == Framing::None);
        Ok(Prepared {
            outgoing,
            framing: left,
            taken: self.length + body.len(),
            traits: self.traits,
            upgrade: upgrade.map(str::to_owned),
            has_body: framing != Framing::None,
            is_read: matches!(self.head.method, "GET" | "HEAD"),
            secure: self.origin.scheme == "https",
            route: matched.route,
            backend: forward.backend,
            mirror: mirror.map(|(backend, _)| backend),
            key: match backend.target.algorithm {
                Algorithm::Hash => hash::key(
                    &backend.target.hash_by,
                    facts.client,
                    facts.path.bytes,
                    facts.fields,
                ),
                _ => 0,
            },
            bound: match backend
                .sticky
                .as_ref()
                .map(|sticky| sticky.bound(facts.fields))
            {
                Some(Bound::To(endpoint)) => Some(endpoint),
                _ => None,
            },
            lines,
            seat: None,
        })
    }

    /// Path and query for the endpoint: the client's, or what the route makes of them.
    fn target_for_endpoint<'p>(
        &'p self,
        facts: &Facts<'_>,
        matched: Matched,
        forward: &Forward,
        path: &'p mut Vec<u8>,
    ) -> &'p str {
        let Some(rewriting) = &forward.rewriting else {
            return self.target;
        };
        let groups = self.terms.state.rules.table.groups(matched, facts);
        path.clear();
        rewriting.put(facts.path, &groups, facts.query, path);
        // Percent-encoded: ASCII.
        std::str::from_utf8(path).unwrap_or("/")
    }

    /// Our own account of where the request comes from.
    fn put_origin(&self, out: &mut Vec<u8>) {
        let rules = &self.terms.state.rules;
        let host = self.origin.host.unwrap_or(self.authority);
        out.extend_from_slice(b"X-Forwarded-For: ");
        trusted::put_forwarded_for(&rules.trusted, self.terms.peer, self.head.fields, out);
        for part in [
            "\r\nX-Forwarded-Proto: ",
            self.origin.scheme,
            "\r\nX-Forwarded-Host: ",
            host,
            "\r\nX-Request-Id: ",
            self.id,
            "\r\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn put_response_lines(&self, out: &mut Vec<u8>) {
        for part in ["X-Request-Id: ", self.id, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        if let Some(hsts) = self.terms.hsts {
            for part in ["Strict-Transport-Security: ", hsts, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
}

fn is_internal(target: &str) -> bool {
    let mut scratch = Vec::new();
    path::normal(split(target).0.as_bytes(), &mut scratch)
        .is_ok_and(|path| path.bytes.starts_with(INTERNAL))
}

fn is_trace(name: &str) -> bool {
    name.eq_ignore_ascii_case("traceparent") || name.eq_ignore_ascii_case("tracestate")
}

/// Made of percent-encoded parts and names of hosts.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

fn replace(text: &mut String, with: &str) {
    text.clear();
    text.push_str(with);
}

#[cfg(test)]
pub(crate) mod tests;
