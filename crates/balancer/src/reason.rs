//! Pure: why the balancer answered by itself. One code for the log, the metric's label and the field
//! `Mainstay-Reason`, so that somebody who sees any of them can find the others and what to look at.

use std::fmt;

use http::{Fault, Kind, Phase, Side};

use crate::route::path::BadPath;

/// Why a request did not get an endpoint's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    UnknownHost,
    NoRoute,
    InternalPath,
    Redirected,
    Answered,
    Maintenance,
    Denied,
    RateLimited,
    TooManyAtOnce,
    NoEndpoint,
    EndpointsTried,
    QueueFull,
    QueueTimeout,
    BreakerOpen,
    ConnectFailed,
    ConnectTimeout,
    TlsFailed,
    ResponseTimeout,
    ResponseEnded,
    BadResponse,
    ResponseTooLarge,
    NotHandled,
    BadRequest,
    BadRequestPath,
    BadRequestHost,
    BadRequestBody,
    RequestTimeout,
    HeadTooLarge,
    BodyTooLarge,
    Unsupported,
    ClientGone,
}

impl Reason {
    pub const ALL: [Self; 31] = [
        Self::UnknownHost,
        Self::NoRoute,
        Self::InternalPath,
        Self::Redirected,
        Self::Answered,
        Self::Maintenance,
        Self::Denied,
        Self::RateLimited,
        Self::TooManyAtOnce,
        Self::NoEndpoint,
        Self::EndpointsTried,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::BreakerOpen,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::TlsFailed,
        Self::ResponseTimeout,
        Self::ResponseEnded,
        Self::BadResponse,
        Self::ResponseTooLarge,
        Self::NotHandled,
        Self::BadRequest,
        Self::BadRequestPath,
        Self::BadRequestHost,
        Self::BadRequestBody,
        Self::RequestTimeout,
        Self::HeadTooLarge,
        Self::BodyTooLarge,
        Self::Unsupported,
        Self::ClientGone,
    ];

    /// Kebab-case; never changes.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// What the client gets, unless a route says otherwise.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// What an operator should look at.
    pub fn advice(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::UnknownHost => (
                "unknown-host",
                421,
                "No route is for this host: compare the Host in the access log with the \
                 site's domains.",
            ),
            Self::NoRoute => (
                "no-route",
                404,
                "Routes of this host are for other paths or conditions: `mainstay \
                 explain URL` says which and why.",
            ),
            Self::InternalPath => (
                "internal-path",
                404,
                "A path between balancer and web servers was asked for from outside: \
                 nothing to do.",
            ),
            Self::Redirected => (
                "redirected",
                308,
                "A route or the HTTP listener sends this request elsewhere: nothing to \
                 do.",
            ),
            Self::Answered => (
                "answered",
                200,
                "A route answers this itself: nothing to do.",
            ),
            Self::Maintenance => (
                "maintenance",
                503,
                "A route is in maintenance: remove it when the work is done.",
            ),
            Self::Denied => (
                "denied",
                403,
                "The route's `allow` and `deny` do not let this client in: check its \
                 address, and `trusted_proxies` if there is a proxy in front.",
            ),
            Self::RateLimited => (
                "rate-limited",
                429,
                "This client asks more often than the route's `rate_limit` allows: \
                 raise it if the client is welcome.",
            ),
            Self::TooManyAtOnce => (
                "too-many-at-once",
                429,
                "This client has as many requests open as the route's `concurrency` \
                 allows.",
            ),
            Self::NoEndpoint => (
                "no-endpoint",
                503,
                "No endpoint of the backend takes requests: `mainstay status` says why \
                 each does not.",
            ),
            Self::EndpointsTried => (
                "endpoints-tried",
                502,
                "Every endpoint was tried for this request and none answered: look at \
                 their logs.",
            ),
            Self::QueueFull => (
                "queue-full",
                503,
                "Endpoints have `max_requests` and the queue is full: the backend is \
                 too slow or too small.",
            ),
            Self::QueueTimeout => (
                "queue-timeout",
                503,
                "A request waited for a free endpoint as long as it may: the backend is \
                 too slow or too small.",
            ),
            Self::BreakerOpen => (
                "breaker-open",
                503,
                "The backend has as many open requests as `breaker` allows: it is too \
                 slow or too small.",
            ),
            Self::ConnectFailed => (
                "connect-failed",
                502,
                "The endpoint does not accept connections: is its process running, is a \
                 firewall between?",
            ),
            Self::ConnectTimeout => (
                "connect-timeout",
                504,
                "No connection to the endpoint in time: is its server up, is a firewall \
                 dropping packets?",
            ),
            Self::TlsFailed => (
                "tls-failed",
                502,
                "No TLS with the endpoint: the fault in the access log says whether its \
                 certificate or its protocol is not what is expected.",
            ),
            Self::ResponseTimeout => (
                "response-timeout",
                504,
                "The endpoint did not answer in time: look for slow requests there, or \
                 raise `response_head`.",
            ),
            Self::ResponseEnded => (
                "response-ended",
                502,
                "The endpoint closed the connection without a whole answer: look for \
                 crashes in its log.",
            ),
            Self::BadResponse => (
                "bad-response",
                502,
                "The endpoint's answer is not valid HTTP: the fault in the access log \
                 says what is wrong.",
            ),
            Self::ResponseTooLarge => (
                "response-too-large",
                502,
                "The head of the endpoint's answer is over the bound: too many or too \
                 long cookies, most often.",
            ),
            Self::NotHandled => (
                "not-handled",
                503,
                "The web server has no application instance that answers: look at the \
                 app's status.",
            ),
            Self::BadRequest => (
                "bad-request",
                400,
                "The request is not valid HTTP: the fault in the access log says what \
                 is wrong.",
            ),
            Self::BadRequestPath => (
                "bad-request-path",
                400,
                "The path has a wrong escape, a control character, or leads above the \
                 root: most often an attack.",
            ),
            Self::BadRequestHost => (
                "bad-request-host",
                400,
                "The Host cannot be put into a redirect or header: most often an \
                 attack.",
            ),
            Self::BadRequestBody => (
                "bad-request-body",
                400,
                "The request's body ended early or is not valid.",
            ),
            Self::RequestTimeout => (
                "request-timeout",
                408,
                "The client did not send its request in time: a slow network, or an \
                 attack with slow clients.",
            ),
            Self::HeadTooLarge => (
                "head-too-large",
                431,
                "The request's head is over the bound: too many or too long cookies, \
                 most often.",
            ),
            Self::BodyTooLarge => (
                "body-too-large",
                413,
                "The request's body is over `request_body`: raise it for the route if \
                 such uploads are wanted.",
            ),
            Self::Unsupported => (
                "unsupported",
                501,
                "The request asks for something this balancer does not do (CONNECT, an \
                 unknown transfer coding).",
            ),
            Self::ClientGone => (
                "client-gone",
                499,
                "The client closed the connection before its answer: nothing to do if \
                 it is rare.",
            ),
        }
    }
}

impl Reason {
    pub fn of_fault(fault: &Fault) -> Self {
        match (fault.side, fault.phase, fault.kind) {
            (Side::Client, _, Kind::Timeout) => Self::RequestTimeout,
            (Side::Client, _, Kind::TooLarge("request body")) => Self::BodyTooLarge,
            (Side::Client, _, Kind::TooLarge(_)) => Self::HeadTooLarge,
            (Side::Client, _, Kind::Unsupported(_)) => Self::Unsupported,
            (Side::Client, Phase::RequestBody, Kind::Malformed(_)) => Self::BadRequestBody,
            (Side::Client, _, Kind::Closed | Kind::Io(_)) => Self::ClientGone,
            (Side::Client, _, Kind::Malformed(_) | Kind::NotHandled) => Self::BadRequest,
            (Side::Upstream, _, Kind::NotHandled) => Self::NotHandled,
            (Side::Upstream, Phase::Connect, Kind::Timeout) => Self::ConnectTimeout,
            (Side::Client, _, Kind::Tls(_)) => Self::ClientGone,
            (Side::Upstream, _, Kind::Tls(_)) => Self::TlsFailed,
            (Side::Upstream, Phase::Connect, _) => Self::ConnectFailed,
            (Side::Upstream, _, Kind::Timeout) => Self::ResponseTimeout,
            (Side::Upstream, _, Kind::TooLarge(_)) => Self::ResponseTooLarge,
            (Side::Upstream, _, Kind::Malformed(_) | Kind::Unsupported(_)) => Self::BadResponse,
            (Side::Upstream, _, Kind::Closed | Kind::Io(_)) => Self::ResponseEnded,
        }
    }
}

impl From<BadPath> for Reason {
    fn from(_: BadPath) -> Self {
        Self::BadRequestPath
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn codes_differ_and_are_kebab_case() {
        let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let code = reason.as_str();
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{code}"
            );
            assert!(reason.advice().ends_with(['.', '?']), "{code}");
        }
    }

    /// A fault and its reason tell the client the same, but for one who is not there to be told.
    #[test]
    fn a_fault_keeps_its_status() {
        let kinds = [
            Kind::Closed,
            Kind::Timeout,
            Kind::Malformed("x"),
            Kind::TooLarge("request body"),
            Kind::TooLarge("x"),
            Kind::Unsupported("x"),
            Kind::NotHandled,
            Kind::Io(ErrorKind::ConnectionRefused),
        ];
        let phases = [
            Phase::RequestHead,
            Phase::RequestBody,
            Phase::Connect,
            Phase::ResponseHead,
            Phase::ResponseBody,
        ];
        for phase in phases {
            for kind in kinds {
                for fault in [Fault::client(phase, kind), Fault::upstream(phase, kind)] {
                    let reason = Reason::of_fault(&fault);
                    if reason != Reason::ClientGone {
                        assert_eq!(reason.status(), fault.status(), "{fault}");
                    }
                }
            }
        }
    }
}
