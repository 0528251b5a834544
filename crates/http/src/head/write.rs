//! Pure: heads as they go on: what is removed, added and rewritten on each way.

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;

use super::fields::list_has;
use super::forwarded::{Hop, NOT_HANDLED, is_disguised, is_forwarding};
use super::{RequestHead, ResponseHead};
use crate::body::Framing;

/// What is changed of a message on its way, besides what the connection asks for.
#[derive(Clone, Copy)]
pub struct Edit<'a> {
    /// Whether a field of the message goes on.
    pub keeps: &'a dyn Fn(&str) -> bool,
    /// Whole lines, each with its end, put behind the fields.
    pub added: &'a [u8],
}

impl fmt::Debug for Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("added", &String::from_utf8_lossy(self.added))
            .finish_non_exhaustive()
    }
}

/// Where a request comes from, as we tell those behind us.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub client: IpAddr,
    pub scheme: &'a str,
    pub host: &'a str,
    pub request_id: &'a str,
}

impl Origin<'_> {
    /// Our own account of where a request comes from, in place of what the sender says (`is_claim`).
    pub fn put(&self, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        write!(out, "X-Forwarded-For: {}\r\n", self.client).unwrap_or_default();
        put(out, &[b"X-Forwarded-Proto: ", self.scheme.as_bytes()]);
        put(out, &[b"\r\nX-Forwarded-Host: ", self.host.as_bytes()]);
        put(out, &[b"\r\nX-Request-Id: ", self.request_id.as_bytes()]);
        put(out, &[b"\r\n"]);
    }
}

/// Fields by which a sender says where a request comes from.
pub fn is_claim(name: &str) -> bool {
    name.eq_ignore_ascii_case("x-request-id") || is_forwarding(name)
}

/// Writes the request head for an upstream: always HTTP/1.1, origin-form, one Host. Without an edit, what
/// a trusted sender (our balancer) says of the request's origin goes on.
pub fn outgoing(
    head: &RequestHead<'_, '_>,
    path: &str,
    framing: Framing,
    upgrade: Option<&str>,
    host: &str,
    edit: Option<&Edit<'_>>,
    out: &mut Vec<u8>,
) {
    // `http://host?query` has an empty path, which origin-form writes as `/`.
    let slash: &[u8] = if path.starts_with('?') { b"/" } else { b"" };
    put(out, &[head.method.as_bytes(), b" ", slash, path.as_bytes()]);
    put(out, &[b" HTTP/1.1\r\nHost: ", host.as_bytes(), b"\r\n"]);
    let hop = Hop::of(head.fields);
    let mut takes_trailers = false;
    for (name, value) in head.fields.iter() {
        takes_trailers |= name.eq_ignore_ascii_case("te") && list_has(value, "trailers");
        let ours = name.eq_ignore_ascii_case("host")
            || is_disguised(name)
            || hop.ends(name)
            || edit.is_some_and(|edit| !(edit.keeps)(name));
        if !ours {
            put(out, &[name.as_bytes(), b": ", value, b"\r\n"]);
        }
    }
    if framing == Framing::Chunked {
        put(out, &[b"Transfer-Encoding: chunked\r\n"]);
    }
    if let Some(protocol) = upgrade {
        put(
            out,
            &[
                b"Connection: upgrade\r\nUpgrade: ",
                protocol.as_bytes(),
                b"\r\n",
            ],
        );
    } else if takes_trailers {
        // We pass trailers on, so the client's wish holds for this hop too (RFC 9110 section 10.1.4);
        // gRPC asks for it.
        put(out, &[b"TE: trailers\r\nConnection: TE\r\n"]);
    }
    put(out, &[edit.map_or(&[][..], |edit| edit.added)]);
    put(out, &[b"\r\n"]);
}

/// How the connection to the client goes on after this response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// HTTP/1.1's default: nothing need be said.
    Keep,
    /// An HTTP/1.0 client has asked for it.
    KeepOld,
    Close,
}

/// Writes the response head for the client.
pub fn incoming(
    head: &ResponseHead<'_, '_>,
    chunked: bool,
    after: After,
    edit: Option<&Edit<'_>>,
    out: &mut Vec<u8>,
) {
    let hop = Hop::of(head.fields);
    put(out, &[b"HTTP/1.1 ", &digits(head.status), b" "]);
    put(out, &[head.reason.as_bytes(), b"\r\n"]);
    for (name, value) in head.fields.iter() {
        let replaced = edit.is_some_and(|edit| !(edit.keeps)(name));
        if !replaced && !name.eq_ignore_ascii_case(NOT_HANDLED) && !hop.ends(name) {
            put(out, &[name.as_bytes(), b": ", value, b"\r\n"]);
        }
    }
    if chunked {
        put(out, &[b"Transfer-Encoding: chunked\r\n"]);
    }
    match after {
        After::Keep => {}
        After::KeepOld => put(out, &[b"Connection: keep-alive\r\n"]),
        After::Close => put(out, &[b"Connection: close\r\n"]),
    }
    put(out, &[edit.map_or(&[][..], |edit| edit.added)]);
    put(out, &[b"\r\n"]);
}

/// Writes `101 Switching Protocols`, or another informational response, as it came but for the fields
/// of the connection behind us.
pub fn informational(head: &ResponseHead<'_, '_>, upgrade: Option<&str>, out: &mut Vec<u8>) {
    let hop = Hop::of(head.fields);
    put(out, &[b"HTTP/1.1 ", &digits(head.status), b" "]);
    put(out, &[head.reason.as_bytes(), b"\r\n"]);
    for (name, value) in head.fields.iter() {
        if !hop.ends(name) {
            put(out, &[name.as_bytes(), b": ", value, b"\r\n"]);
        }
    }
    if let Some(protocol) = upgrade {
        put(
            out,
            &[
                b"Connection: upgrade\r\nUpgrade: ",
                protocol.as_bytes(),
                b"\r\n",
            ],
        );
    }
    put(out, &[b"\r\n"]);
}

/// A status has three digits (checked when it was read).
fn digits(status: u16) -> [u8; 3] {
    let digit = |power: u16| b'0' + u8::try_from(status / power % 10).unwrap_or_default();
    [digit(100), digit(10), digit(1)]
}

fn put(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Storage, request, response};

    const ORIGIN: Origin<'_> = Origin {
        client: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
        scheme: "https",
        host: "www.foobar.com",
        request_id: "abc",
    };

    #[test]
    fn a_client_cannot_claim_where_it_comes_from() {
        let bytes = b"GET / HTTP/1.1\r\nHost: www.foobar.com\r\nX-Forwarded-For: 1.2.3.4\r\n\
            X_Forwarded_For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n\
            Connection: close, X-Secret\r\nX-Secret: 1\r\nX-Request-Id: mine\r\nAccept: */*\r\n\r\n";
        let mut storage = Storage::new();
        let head = request(bytes, &mut storage).unwrap();
        let (mut out, mut added) = (Vec::new(), Vec::new());
        ORIGIN.put(&mut added);
        let edit = Edit {
            keeps: &|name| !is_claim(name),
            added: &added,
        };
        let host = "www.foobar.com";
        outgoing(&head, "/", Framing::None, None, host, Some(&edit), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "GET / HTTP/1.1\r\nHost: www.foobar.com\r\nAccept: */*\r\n\
             X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: www.foobar.com\r\nX-Request-Id: abc\r\n\r\n"
        );
    }

    #[test]
    fn a_client_that_takes_trailers_is_known_to_the_upstream() {
        let ask = |fields: &str, upgrade| {
            let text = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            let mut storage = Storage::new();
            let head = request(text.as_bytes(), &mut storage).unwrap();
            let mut out = Vec::new();
            outgoing(&head, "/", Framing::None, upgrade, "x", None, &mut out);
            String::from_utf8(out).unwrap()
        };
        let text = ask("te: gzip;q=0.5, Trailers\r\n", None);
        assert!(
            text.ends_with("\r\nTE: trailers\r\nConnection: TE\r\n\r\n"),
            "{text}"
        );
        assert!(!ask("TE: gzip\r\n", None).contains("TE"));
        let text = ask("TE: trailers\r\n", Some("websocket"));
        assert!(!text.contains("TE"), "{text}");
    }

    #[test]
    fn a_response_keeps_its_fields_and_gets_our_connection() {
        let bytes = b"HTTP/1.1 200 OK\r\nServer: x\r\nConnection: keep-alive\r\n\
            Keep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n";
        let mut storage = Storage::new();
        let head = response(bytes, &mut storage).unwrap();
        let mut out = Vec::new();
        let edit = Edit {
            keeps: &|name| !name.eq_ignore_ascii_case("server"),
            added: b"X-Request-Id: abc\r\n",
        };
        incoming(&head, true, After::Close, Some(&edit), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\nX-Request-Id: abc\r\n\r\n"
        );
    }
}
