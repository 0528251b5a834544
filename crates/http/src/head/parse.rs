//! Pure: bytes → head. All strictness against request smuggling stands here.
//!
//! `httparse` finds the pieces; it is lenient where two parties could read differently, so the raw
//! bytes are checked too: every line ends in CRLF (RFC 9112 section 2.2 allows a bare LF; no sender we
//! know sends one), no bare CR, exactly one Host (section 3.2), one way of framing (section 6.1).

use std::mem::MaybeUninit;

use super::Fields;
use crate::fault::Kind;
use crate::limits;

/// Room for the fields of one head, on the caller's stack.
#[derive(Debug)]
pub struct Storage<'b, const ROOM: usize = { limits::FIELDS }>(
    [MaybeUninit<httparse::Header<'b>>; ROOM],
);

impl Storage<'_> {
    pub fn new() -> Self {
        Self::with_room()
    }
}

impl<const ROOM: usize> Storage<'_, ROOM> {
    /// For a head that was written by us and has fields of ours.
    pub fn with_room() -> Self {
        Self([const { MaybeUninit::uninit() }; ROOM])
    }
}

impl Default for Storage<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// A request's head, borrowed from its bytes.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'h, 'b> {
    pub method: &'b str,
    /// As sent; origin-form, `*`, or absolute-form.
    pub target: &'b str,
    /// 0 or 1: HTTP/1.0 or HTTP/1.1.
    pub minor: u8,
    pub fields: Fields<'h, 'b>,
}

/// A response's head, borrowed from its bytes.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'h, 'b> {
    pub status: u16,
    pub reason: &'b str,
    pub minor: u8,
    pub fields: Fields<'h, 'b>,
}

/// Where a head ends: the offset behind its empty line. `from`: an offset up to which no line has
/// ended (0, or the length at the last call), so that a head sent byte by byte is not scanned anew.
pub fn find_end(bytes: &[u8], from: usize) -> Option<usize> {
    // The empty line may have begun before `from`.
    let from = from.saturating_sub(3);
    let tail = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', tail).find_map(|at| match tail.get(at + 1..) {
        Some([b'\n', ..]) => Some(from + at + 2),
        Some([b'\r', b'\n', ..]) => Some(from + at + 3),
        _ => None,
    })
}

/// Reads a complete request head (up to and with its empty line).
pub fn request<'h, 'b, const ROOM: usize>(
    bytes: &'b [u8],
    storage: &'h mut Storage<'b, ROOM>,
) -> Result<RequestHead<'h, 'b>, Kind> {
    check_line_ends(bytes)?;
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(bytes, &mut storage.0) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Kind::Malformed("the head is incomplete")),
        Err(e) => return Err(malformed(e)),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Kind::Malformed("the request line is incomplete"));
    };
    let head = RequestHead {
        method,
        target,
        minor,
        fields: Fields(parsed.headers),
    };
    check_target(&head)?;
    check_host(&head)?;
    Ok(head)
}

/// Reads a complete response head.
pub fn response<'h, 'b, const ROOM: usize>(
    bytes: &'b [u8],
    storage: &'h mut Storage<'b, ROOM>,
) -> Result<ResponseHead<'h, 'b>, Kind> {
    check_line_ends(bytes)?;
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut storage.0) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Kind::Malformed("the head is incomplete")),
        Err(e) => return Err(malformed(e)),
    }
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(Kind::Malformed("the status line is incomplete"));
    };
    if !(100..=599).contains(&status) {
        return Err(Kind::Malformed("the status is not between 100 and 599"));
    }
    let reason = parsed.reason.unwrap_or_default();
    Ok(ResponseHead {
        status,
        reason,
        minor,
        fields: Fields(parsed.headers),
    })
}

fn check_line_ends(bytes: &[u8]) -> Result<(), Kind> {
    let mut before = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\r'), Some(b'\n')) => before = at + 1,
            (Some(b'\n'), _) if at == before && at > 0 => {}
            (Some(b'\n'), _) => return Err(Kind::Malformed("a line ends without CR")),
            _ => return Err(Kind::Malformed("a CR without LF")),
        }
    }
    Ok(())
}

fn malformed(e: httparse::Error) -> Kind {
    match e {
        httparse::Error::TooManyHeaders => Kind::TooLarge("more fields than allowed"),
        httparse::Error::HeaderName => Kind::Malformed("a field's name"),
        httparse::Error::HeaderValue => Kind::Malformed("a field's value"),
        httparse::Error::Version => Kind::Malformed("the version is not HTTP/1.0 or HTTP/1.1"),
        httparse::Error::Status => Kind::Malformed("the status"),
        httparse::Error::Token => Kind::Malformed("the first line"),
        httparse::Error::NewLine => Kind::Malformed("a line end"),
    }
}

fn check_target(head: &RequestHead<'_, '_>) -> Result<(), Kind> {
    let target = head.target.as_bytes();
    let shaped = match target {
        [b'/', ..] => true,
        [b'*'] => head.method == "OPTIONS",
        _ if head.method == "CONNECT" => return Err(Kind::Unsupported("CONNECT")),
        _ => absolute(head.target).is_some_and(|(authority, _)| is_host(authority.as_bytes())),
    };
    let clean = !target
        .iter()
        .any(|b| *b <= b' ' || *b == 0x7f || *b == b'#');
    if shaped && clean {
        Ok(())
    } else {
        Err(Kind::Malformed("the request target"))
    }
}

/// Authority and path of an absolute-form target (RFC 9112 section 3.2.2).
pub fn absolute(target: &str) -> Option<(&str, &str)> {
    let scheme = target
        .get(..7)
        .filter(|s| s.eq_ignore_ascii_case("http://"));
    let rest = match scheme {
        Some(_) => target.get(7..)?,
        None => {
            target
                .get(..8)
                .filter(|s| s.eq_ignore_ascii_case("https://"))?;
            target.get(8..)?
        }
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    (!authority.is_empty()).then_some((authority, path))
}

fn check_host(head: &RequestHead<'_, '_>) -> Result<(), Kind> {
    let mut hosts = head.fields.all("host");
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(Kind::Malformed("more than one Host")),
        (Some(host), None) => host,
        (None, None) if head.minor == 0 => return Ok(()),
        (None, None) => return Err(Kind::Malformed("no Host")),
    };
    if is_host(host) {
        Ok(())
    } else {
        Err(Kind::Malformed("the Host"))
    }
}

/// reg-name, IPv4, [IPv6] and port of RFC 3986; also `_`, which Docker networks use in names. No `@`: what
/// stands before it would be taken for the host by some (RFC 9110 section 4.2.4). No comma: it may be two
/// hosts that somebody joined.
fn is_host(bytes: &[u8]) -> bool {
    let valid = |b: &u8| b.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+;=".contains(b);
    bytes.iter().all(valid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(bytes: &str) -> Kind {
        let mut storage = Storage::new();
        request(bytes.as_bytes(), &mut storage)
            .map(|head| format!("{head:?}"))
            .unwrap_err()
    }

    #[test]
    fn a_plain_request_is_read() {
        let bytes = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-A:  v \r\n\r\n";
        let mut storage = Storage::new();
        let head = request(bytes, &mut storage).unwrap();
        assert_eq!((head.method, head.target, head.minor), ("GET", "/a?b=c", 1));
        assert_eq!(head.fields.text("x-a"), Some("v"));
    }

    #[test]
    fn ambiguous_requests_are_refused() {
        for bytes in [
            "GET / HTTP/1.1\nHost: x\n\n",
            "GET / HTTP/1.1\r\nHost: x\r\nA: b\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
            "GET x HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /#f HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET http://x>80/y HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET http://a@b/ HTTP/1.1\r\nHost: x\r\n\r\n",
            "G\u{0}T / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nA: \u{0}\r\n\r\n",
        ] {
            assert!(matches!(refused(bytes), Kind::Malformed(_)), "{bytes:?}");
        }
        assert_eq!(
            refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
            Kind::Unsupported("CONNECT")
        );
    }

    #[test]
    fn too_many_fields_are_refused() {
        let mut bytes = "GET / HTTP/1.1\r\nHost: x\r\n".to_owned();
        bytes.push_str(&"a: b\r\n".repeat(limits::FIELDS));
        bytes.push_str("\r\n");
        assert!(matches!(refused(&bytes), Kind::TooLarge(_)));
    }

    #[test]
    fn the_end_is_found_wherever_the_scan_begins() {
        let bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nbody\r\n\r\n";
        let end = 27;
        for from in 0..end {
            assert_eq!(find_end(bytes, from), Some(end), "{from}");
        }
        assert_eq!(find_end(b"GET / HTTP/1.1\n\nx", 0), Some(16));
        assert_eq!(find_end(b"GET / HTTP/1.1\r\nHost: x\r\n", 0), None);
    }

    #[test]
    fn absolute_form_is_taken_apart() {
        assert_eq!(absolute("http://a.b:1/c?d"), Some(("a.b:1", "/c?d")));
        assert_eq!(absolute("HTTPS://a"), Some(("a", "")));
        assert_eq!(absolute("ftp://a/"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut storage = Storage::new();
            let as_request = request(&bytes, &mut storage).is_ok();
            let mut storage = Storage::new();
            let as_response = response(&bytes, &mut storage).is_ok();
            prop_assert!(!(as_request && as_response));
            prop_assert!(find_end(&bytes, bytes.len() / 2).is_none_or(|end| end <= bytes.len()));
        }

        #[test]
        fn what_is_accepted_has_crlf_line_ends_only(
            lines in proptest::collection::vec("[ -~\r\n]{0,20}", 0..6)
        ) {
            let text = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", lines.join("\r\n"));
            let mut storage = Storage::new();
            if request(text.as_bytes(), &mut storage).is_ok() {
                prop_assert_eq!(text.replace("\r\n", "").find(['\r', '\n']), None);
            }
        }
    }
}
