//! Pure: what went wrong in an exchange: whose fault, in which phase, of which kind. From these three a
//! role decides whether another upstream may be tried and what the client is told.

use std::fmt;
use std::io;

use crate::h2;
use crate::tls;

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Upstream,
}

/// How far the exchange had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    RequestHead,
    RequestBody,
    Connect,
    /// Nothing of the response has been seen.
    ResponseHead,
    ResponseBody,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The other side ended the connection where it must not.
    Closed,
    Timeout,
    Malformed(&'static str),
    TooLarge(&'static str),
    Unsupported(&'static str),
    /// The upstream says that it did nothing with the request (`head::forwarded::NOT_HANDLED`, or a
    /// refused stream of HTTP/2).
    NotHandled,
    /// A handshake that failed, or a record that cannot be right.
    Tls(&'static str),
    Io(io::ErrorKind),
}

/// The three together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub side: Side,
    pub phase: Phase,
    pub kind: Kind,
}

impl Fault {
    pub const fn client(phase: Phase, kind: Kind) -> Self {
        Self {
            side: Side::Client,
            phase,
            kind,
        }
    }

    pub const fn upstream(phase: Phase, kind: Kind) -> Self {
        Self {
            side: Side::Upstream,
            phase,
            kind,
        }
    }

    /// The status for a client whose request failed so (RFC 9110 section 15).
    pub fn status(&self) -> u16 {
        match (self.side, self.kind) {
            (Side::Client, Kind::Timeout) => 408,
            (Side::Client, Kind::TooLarge("request body")) => 413,
            (Side::Client, Kind::TooLarge(_)) => 431,
            (Side::Client, Kind::Unsupported(_)) => 501,
            (Side::Client, _) => 400,
            (Side::Upstream, Kind::Timeout) => 504,
            (Side::Upstream, Kind::NotHandled) => 503,
            (Side::Upstream, _) => 502,
        }
    }
}

impl From<io::Error> for Kind {
    fn from(e: io::Error) -> Self {
        if e.get_ref()
            .is_some_and(|inner| inner.is::<h2::Unprocessed>())
        {
            return Self::NotHandled;
        }
        match e.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::InvalidData => {
                tls::reason::of(&e).map_or(Self::Io(io::ErrorKind::InvalidData), Self::Tls)
            }
            kind => Self::Io(kind),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Client => "client",
            Side::Upstream => "upstream",
        };
        let phase = match self.phase {
            Phase::RequestHead => "request head",
            Phase::RequestBody => "request body",
            Phase::Connect => "connect",
            Phase::ResponseHead => "response head",
            Phase::ResponseBody => "response body",
        };
        write!(f, "{side}, {phase}: {}", self.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed the connection"),
            Self::Timeout => f.write_str("took too long"),
            Self::Malformed(what) => write!(f, "malformed: {what}"),
            Self::TooLarge(what) => write!(f, "too large: {what}"),
            Self::NotHandled => f.write_str("could not hand the request on"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Io(kind) => write!(f, "{kind}"),
        }
    }
}
