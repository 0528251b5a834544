//! Pure: heads of HTTP/2 as text of HTTP/1.1, strictly: what cannot be said in HTTP/1.1 without a second
//! meaning is refused (RFC 9113 sections 8.2, 8.3, 10.3). What passes is read again by `head`, which has
//! the rules for Host, target, framing and size.

use ::h2::ext::Protocol;
use http_types::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue};
use http_types::{Method, Request, Response, StatusCode};

use super::inflow::Shape;
use super::websocket;

/// Why a request is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A stream error (RFC 9113 section 8.1.1).
    Malformed(&'static str),
    /// Well-formed, and nothing we do.
    Unsupported(&'static str),
}

/// A request as text, and what its answer's reader has to know.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) head: Vec<u8>,
    pub(super) shape: Shape,
    pub(super) is_head: bool,
    pub(super) is_websocket: bool,
}

/// Fields of one connection only; HTTP/2 has none (RFC 9113 section 8.2.2).
const OF_CONNECTION: [&str; 6] = [
    "connection",
    "transfer-encoding",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "http2-settings",
];

/// Fields that mean something before the body only: framing, routing, who asks, what the content is
/// (RFC 9110 section 6.5.1). As trailers they are dropped, either way.
const NOT_BEHIND: [&str; 16] = [
    "connection",
    "transfer-encoding",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "te",
    "trailer",
    "host",
    "content-length",
    "content-encoding",
    "content-range",
    "content-type",
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];

/// Whether a trailer is passed on. `name` is in lower case.
pub(super) fn may_trail(name: &str) -> bool {
    !NOT_BEHIND.contains(&name)
}

/// A request. `ended`: nothing follows its head. `nonce`: for a WebSocket's key.
pub(super) fn request<B>(
    request: &Request<B>,
    ended: bool,
    nonce: u128,
) -> Result<Lowered, Refusal> {
    let fields = request.headers();
    let is_websocket = websocket_asked(request, ended)?;
    let method = match is_websocket {
        true => "GET",
        false => request.method().as_str(),
    };
    let mut out = Vec::with_capacity(512);
    put(
        &mut out,
        &[method.as_bytes(), b" ", path(request)?.as_bytes()],
    );
    put(
        &mut out,
        &[b" HTTP/1.1\r\nHost: ", authority(request)?, b"\r\n"],
    );
    for (name, value) in fields {
        let (text, value) = (name.as_str(), value.as_bytes());
        check_field(text, value)?;
        let written_elsewhere = name == HOST
            || name == COOKIE
            || is_websocket && matches!(text, "sec-websocket-key" | "sec-websocket-accept");
        if !written_elsewhere {
            put(&mut out, &[text.as_bytes(), b": ", value, b"\r\n"]);
        }
    }
    put_cookies(&mut out, fields);
    let length = announced(fields)?;
    let shape = match (is_websocket, ended, length) {
        (true, _, Some(_)) => return Err(Refusal::Malformed("a tunnel with Content-Length")),
        (true, _, None) => {
            let key = websocket::key(nonce);
            let fields = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ";
            put(&mut out, &[fields, key.as_bytes(), b"\r\n"]);
            Shape::Plain
        }
        (false, true, None | Some(0)) => Shape::Nothing,
        (false, true, Some(_)) => return Err(Refusal::Malformed("a body that is not there")),
        (false, false, Some(_)) => Shape::Plain,
        (false, false, None) => {
            put(&mut out, &[b"Transfer-Encoding: chunked\r\n"]);
            Shape::Chunked
        }
    };
    put(&mut out, &[b"\r\n"]);
    Ok(Lowered {
        head: out,
        shape,
        is_head: request.method() == Method::HEAD,
        is_websocket,
    })
}

/// Extended CONNECT (RFC 8441 section 4) is how a WebSocket begins. Other tunnels are not offered.
fn websocket_asked<B>(request: &Request<B>, ended: bool) -> Result<bool, Refusal> {
    let protocol = request.extensions().get::<Protocol>();
    match (request.method() == Method::CONNECT, protocol) {
        (false, None) => Ok(false),
        (false, Some(_)) => Err(Refusal::Malformed(":protocol without CONNECT")),
        (true, None) => Err(Refusal::Unsupported("CONNECT")),
        (true, Some(protocol)) if protocol.as_str() != "websocket" => {
            Err(Refusal::Unsupported("a protocol other than websocket"))
        }
        (true, Some(_)) if ended => Err(Refusal::Malformed("a tunnel that has ended")),
        (true, Some(_)) => Ok(true),
    }
}

fn path<B>(request: &Request<B>) -> Result<&str, Refusal> {
    let path = request.uri().path_and_query().map(|path| path.as_str());
    match path {
        Some("*") if request.method() == Method::OPTIONS => Ok("*"),
        Some(path) if path.starts_with('/') => Ok(path),
        _ => Err(Refusal::Malformed(":path")),
    }
}

/// `:authority`, or Host; both must say the same (RFC 9113 section 8.3.1).
fn authority<B>(request: &Request<B>) -> Result<&[u8], Refusal> {
    let uri = request.uri();
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return Err(Refusal::Malformed(":scheme"));
    }
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let mut hosts = request.headers().get_all(HOST).iter();
    let found = match (
        authority,
        hosts.next().map(HeaderValue::as_bytes),
        hosts.next(),
    ) {
        (_, _, Some(_)) => return Err(Refusal::Malformed("more than one Host")),
        (Some(authority), Some(host), None) if !authority.eq_ignore_ascii_case(host) => {
            return Err(Refusal::Malformed("Host differs from :authority"));
        }
        (Some(found), _, None) | (None, Some(found), None) => found,
        (None, None, None) => return Err(Refusal::Malformed("no :authority")),
    };
    if found.is_empty() || found.contains(&b'@') {
        return Err(Refusal::Malformed(":authority"));
    }
    Ok(found)
}

fn check_field(name: &str, value: &[u8]) -> Result<(), Refusal> {
    if OF_CONNECTION.contains(&name) || name == "te" && value != b"trailers" {
        return Err(Refusal::Malformed("a field of one connection"));
    }
    // HTTP/1.1 would read such a value without its margins (RFC 9113 section 8.2.1).
    let is_margin = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if is_margin(value.first()) || is_margin(value.last()) {
        return Err(Refusal::Malformed(
            "a value that begins or ends with a space",
        ));
    }
    // `HeaderValue` has none of these; this line is what smuggling would need to pass.
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(Refusal::Malformed("a control character"));
    }
    Ok(())
}

/// Cookies may come in pieces, to be compressed better (RFC 9113 section 8.2.3).
fn put_cookies(out: &mut Vec<u8>, fields: &HeaderMap) {
    let mut between: &[u8] = b"cookie: ";
    for crumb in fields.get_all(COOKIE) {
        put(out, &[between, crumb.as_bytes()]);
        between = b"; ";
    }
    if fields.contains_key(COOKIE) {
        put(out, &[b"\r\n"]);
    }
}

/// The announced length. Whether DATA keeps to it is seen by `h2`.
fn announced(fields: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let mut lines = fields.get_all(CONTENT_LENGTH).iter();
    let value = match (lines.next(), lines.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().unwrap_or_default(),
        (Some(_), Some(_)) => return Err(Refusal::Malformed("more than one Content-Length")),
    };
    // `parse` would take a plus sign.
    match value.parse() {
        Ok(length) if value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(length)),
        _ => Err(Refusal::Malformed("Content-Length")),
    }
}

/// What an answer was asked with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) is_head: bool,
    /// The key of a WebSocket that was asked for.
    pub(super) key: Option<&'a [u8]>,
}

/// A response. `ended`: nothing follows its head.
pub(super) fn response<B>(
    response: &Response<B>,
    question: Question<'_>,
    ended: bool,
    out: &mut Vec<u8>,
) -> Result<Shape, &'static str> {
    let status = response.status();
    let switched = question.key.filter(|_| status.is_success());
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err("status 101 in HTTP/2");
    }
    if let Some(key) = switched {
        put(out, &[b"HTTP/1.1 101 Switching Protocols\r\n"]);
        put_fields(out, response.headers())?;
        put(out, &[b"Connection: Upgrade\r\nUpgrade: websocket\r\n"]);
        let accept = websocket::accept(key);
        put(
            out,
            &[b"Sec-WebSocket-Accept: ", accept.as_bytes(), b"\r\n\r\n"],
        );
        return Ok(Shape::Plain);
    }
    let reason = status.canonical_reason().unwrap_or_default();
    put(out, &[b"HTTP/1.1 ", status.as_str().as_bytes(), b" "]);
    put(out, &[reason.as_bytes(), b"\r\n"]);
    put_fields(out, response.headers())?;
    if status.is_informational() {
        put(out, &[b"\r\n"]);
        return Ok(Shape::Nothing);
    }
    let announced = response.headers().contains_key(CONTENT_LENGTH);
    let bodiless = question.is_head || matches!(status.as_u16(), 204 | 304);
    let shape = match (bodiless, ended, announced) {
        (true, ..) => Shape::Nothing,
        (false, true, true) => Shape::Nothing,
        (false, true, false) => {
            put(out, &[b"Content-Length: 0\r\n"]);
            Shape::Nothing
        }
        (false, false, true) => Shape::Plain,
        (false, false, false) => {
            put(out, &[b"Transfer-Encoding: chunked\r\n"]);
            Shape::Chunked
        }
    };
    // Of this byte stream, which is over then. The pool keeps links, not streams.
    put(out, &[b"Connection: close\r\n\r\n"]);
    Ok(shape)
}

fn put_fields(out: &mut Vec<u8>, fields: &HeaderMap) -> Result<(), &'static str> {
    for (name, value) in fields {
        if OF_CONNECTION.contains(&name.as_str()) {
            return Err("a field of one connection in HTTP/2");
        }
        put(
            out,
            &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"],
        );
    }
    Ok(())
}

/// The last chunk and the trailers behind it.
pub(super) fn trailers(fields: &HeaderMap, out: &mut Vec<u8>) {
    put(out, &[b"0\r\n"]);
    for (name, value) in fields {
        if may_trail(name.as_str()) {
            put(
                out,
                &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"],
            );
        }
    }
    put(out, &[b"\r\n"]);
}

fn put(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests;
