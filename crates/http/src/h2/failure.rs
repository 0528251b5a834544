//! Pure: errors of the `h2` crate as those of a byte stream, with the one difference that matters: has
//! the other side said that it did nothing with the request?

use std::fmt;
use std::io;

use ::h2::{Error, Reason};

/// The upstream refused the stream, or went away before it looked at it: asking again is safe whatever
/// the method (RFC 9113 sections 8.7, 6.8). Inside an `io::Error`; `fault::Kind` knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unprocessed;

impl fmt::Display for Unprocessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upstream did not look at the request")
    }
}

impl std::error::Error for Unprocessed {}

/// An error that says so.
pub(super) fn unprocessed() -> io::Error {
    io::Error::other(Unprocessed)
}

/// Bytes that cannot go on as HTTP/2, or came as what HTTP/1.1 cannot say.
pub(super) fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Of a stream.
pub(super) fn of(e: Error) -> io::Error {
    // With a GOAWAY only those streams fail that the other side has not begun; the others go on, or fail
    // with the end of the connection.
    let untouched = e.is_go_away() || e.is_reset() && e.reason() == Some(Reason::REFUSED_STREAM);
    if e.is_remote() && untouched {
        return unprocessed();
    }
    let of_stream = e.is_reset();
    match e.into_io() {
        Some(e) => e,
        None if of_stream => io::ErrorKind::ConnectionReset.into(),
        None => io::ErrorKind::ConnectionAborted.into(),
    }
}

/// Of a stream that can no longer be written to.
pub(super) fn of_reason(reason: Reason) -> io::Error {
    if reason == Reason::REFUSED_STREAM {
        unprocessed()
    } else {
        io::ErrorKind::ConnectionReset.into()
    }
}
