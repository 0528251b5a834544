//! Pure: heads of HTTP/1.1, as `head::write` makes them, as heads of HTTP/2. Values share the head's
//! memory; nothing is copied per field.

use ::h2::ext::Protocol;
use bytes::Bytes;
use http_types::header::{HeaderMap, HeaderName, HeaderValue, TE};
use http_types::uri::{Authority, PathAndQuery, Scheme, Uri};
use http_types::{Method, Request, Response, StatusCode, Version};

use crate::body::{Framing, framing};
use crate::fault::Kind;
use crate::head::forwarded::Hop;
use crate::head::{self, Fields, Storage};
use crate::limits;

/// Fields of a head that `head::write` has added its own to.
type Room<'b> = Storage<'b, { limits::FIELDS + limits::OUR_FIELDS }>;

/// A request, and what its answer's reader has to know.
#[derive(Debug)]
pub(super) struct LiftedRequest {
    pub(super) request: Request<()>,
    pub(super) framing: Framing,
    /// The key of a WebSocket that is asked for.
    pub(super) key: Option<Bytes>,
}

/// A request's head. `scheme`: of the connection it goes to.
pub(super) fn request(bytes: &Bytes, scheme: Scheme) -> Result<LiftedRequest, Kind> {
    let mut storage = Room::with_room();
    let head = head::request(bytes, &mut storage)?;
    let key = websocket_key(&head.fields, bytes)?;
    let framing = framing::of_request(&head)?;
    let method = match key {
        Some(_) => Method::CONNECT,
        None => {
            Method::from_bytes(head.method.as_bytes()).map_err(|_| Kind::Malformed("the method"))?
        }
    };
    let mut fields = fields(head.fields, bytes, key.is_some())?;
    if head.fields.has_token("te", "trailers") {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    let mut parts = http_types::uri::Parts::default();
    let path = PathAndQuery::from_maybe_shared(share(bytes, head.target.as_bytes()));
    parts.path_and_query = Some(path.map_err(|_| Kind::Malformed("the request target"))?);
    let host = head.fields.get("host").unwrap_or_default();
    if !host.is_empty() {
        let authority = Authority::from_maybe_shared(share(bytes, host));
        parts.authority = Some(authority.map_err(|_| Kind::Malformed("the Host"))?);
        parts.scheme = Some(scheme);
    }
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Kind::Malformed("the target"))?;
    *request.method_mut() = method;
    // With HTTP_2 a request that HTTP/1.0 sent without a Host would be an error of ours.
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = fields;
    if key.is_some() {
        let websocket = Protocol::from_static("websocket");
        request.extensions_mut().insert(websocket);
    }
    Ok(LiftedRequest {
        request,
        framing,
        key,
    })
}

/// The key, when a WebSocket is asked for. HTTP/2 has no other way to change the protocol.
fn websocket_key(fields: &Fields<'_, '_>, bytes: &Bytes) -> Result<Option<Bytes>, Kind> {
    if !fields.has_token("connection", "upgrade") {
        return Ok(None);
    }
    match (fields.text("upgrade"), fields.get("sec-websocket-key")) {
        (None, _) => Ok(None),
        (Some(protocol), Some(key)) if protocol.eq_ignore_ascii_case("websocket") => {
            Ok(Some(share(bytes, key)))
        }
        _ => Err(Kind::Unsupported(
            "an upgrade other than to websocket over HTTP/2",
        )),
    }
}

/// A response, and how its body is told in the text behind it.
#[derive(Debug)]
pub(super) struct LiftedResponse {
    pub(super) response: Response<()>,
    pub(super) framing: Framing,
}

/// A response's head. `is_head`: to HEAD. `is_websocket`: to a WebSocket's opening.
pub(super) fn response(
    bytes: &Bytes,
    is_head: bool,
    is_websocket: bool,
) -> Result<LiftedResponse, Kind> {
    let mut storage = Room::with_room();
    let head = head::response(bytes, &mut storage)?;
    let method = if is_head { "HEAD" } else { "" };
    let mut framing = framing::of_response(&head, method)?;
    let status = match (head.status, is_websocket) {
        (101, true) => {
            framing = Framing::UntilClose;
            200
        }
        (101, false) => return Err(Kind::Malformed("101 without a wish to upgrade")),
        // Any 2xx would open the tunnel, which this upstream has not (RFC 8441 section 5).
        (200..=299, true) => 502,
        (status, _) => status,
    };
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(status).map_err(|_| Kind::Malformed("the status"))?;
    *response.headers_mut() = fields(head.fields, bytes, is_websocket)?;
    Ok(LiftedResponse { response, framing })
}

/// The fields that go on: none of this hop, none that HTTP/2 says otherwise.
fn fields(from: Fields<'_, '_>, bytes: &Bytes, is_websocket: bool) -> Result<HeaderMap, Kind> {
    let hop = Hop::of(from);
    let mut fields = HeaderMap::with_capacity(from.iter().count());
    for (name, value) in from.iter() {
        let said_otherwise = match name.len() {
            4 => name.eq_ignore_ascii_case("host"),
            14 => name.eq_ignore_ascii_case("http2-settings"),
            17 => is_websocket && name.eq_ignore_ascii_case("sec-websocket-key"),
            20 => is_websocket && name.eq_ignore_ascii_case("sec-websocket-accept"),
            _ => false,
        };
        if said_otherwise || hop.ends(name) {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Kind::Malformed("a field's name"))?;
        let value = HeaderValue::from_maybe_shared(share(bytes, value))
            .map_err(|_| Kind::Malformed("a field's value"))?;
        fields.append(name, value);
    }
    Ok(fields)
}

/// The trailers in the lines behind a chunked body, up to and with its empty line.
pub(super) fn trailers(lines: &[u8]) -> Result<HeaderMap, Kind> {
    let mut found = [httparse::EMPTY_HEADER; limits::FIELDS];
    let malformed = |_| Kind::Malformed("a trailer");
    let mut fields = HeaderMap::new();
    let parsed = httparse::parse_headers(lines, &mut found).map_err(malformed)?;
    let httparse::Status::Complete((_, found)) = parsed else {
        return Err(Kind::Malformed("the trailers are incomplete"));
    };
    for field in found {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| Kind::Malformed("a trailer's name"))?;
        let value = HeaderValue::from_bytes(field.value)
            .map_err(|_| Kind::Malformed("a trailer's value"))?;
        if super::lower::may_trail(name.as_str()) {
            fields.append(name, value);
        }
    }
    Ok(fields)
}

/// `part` stands in `bytes`.
fn share(bytes: &Bytes, part: &[u8]) -> Bytes {
    bytes.slice_ref(part)
}
