//! Tests of `lower`: every list of fields either is refused or says the same in HTTP/1.1.

use http_types::HeaderName;
use proptest::prelude::*;

use super::*;
use crate::body::{Framing, framing};
use crate::head::{self, Storage};

/// A request as `h2` would hand it over, or `None` where `h2` has refused it.
fn asked(method: &str, uri: &str, fields: &[(&str, &str)]) -> Option<Request<()>> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = uri.parse().ok()?;
    for (name, value) in fields {
        let name = HeaderName::from_lowercase(name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

#[track_caller]
fn text(request: &Request<()>, ended: bool) -> String {
    let lowered = super::request(request, ended, 1).unwrap();
    String::from_utf8(lowered.head).unwrap()
}

#[track_caller]
fn refused(request: Option<Request<()>>, ended: bool) {
    let lowered = super::request(&request.unwrap(), ended, 1);
    assert!(matches!(lowered, Err(Refusal::Malformed(_))), "{lowered:?}");
}

#[test]
fn a_request_becomes_text() {
    let fields = [
        ("cookie", "a=1"),
        ("accept", "*/*"),
        ("cookie", "b=2"),
        ("te", "trailers"),
    ];
    let request = asked("GET", "https://www.foobar.com/a?b=c", &fields).unwrap();
    assert_eq!(
        text(&request, true),
        "GET /a?b=c HTTP/1.1\r\nHost: www.foobar.com\r\naccept: */*\r\nte: trailers\r\n\
         cookie: a=1; b=2\r\n\r\n"
    );
    assert!(text(&request, false).contains("\r\nTransfer-Encoding: chunked\r\n\r\n"));
    let request = asked("POST", "http://x/", &[("content-length", "3")]).unwrap();
    assert_eq!(
        text(&request, false),
        "POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 3\r\n\r\n"
    );
    let request = asked("GET", "/a", &[("host", "x")]).unwrap();
    assert_eq!(text(&request, true), "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
}

#[test]
fn what_has_two_meanings_is_refused() {
    for fields in [
        &[("host", "y")][..],
        &[("host", "x"), ("host", "x")],
        &[("host", "x:80")],
        &[("connection", "close")],
        &[("transfer-encoding", "chunked")],
        &[("keep-alive", "5")],
        &[("proxy-connection", "close")],
        &[("upgrade", "h2c")],
        &[("http2-settings", "AAA")],
        &[("te", "gzip")],
        &[("te", "trailers, gzip")],
        &[("a", " b")],
        &[("a", "b\t")],
        &[("content-length", "+3")],
        &[("content-length", "3, 3")],
        &[("content-length", "")],
        &[("content-length", "3"), ("content-length", "3")],
    ] {
        refused(asked("POST", "https://x/", fields), false);
    }
    refused(
        asked("POST", "https://x/", &[("content-length", "3")]),
        true,
    );
    refused(asked("GET", "https://user@x/", &[]), true);
    refused(asked("GET", "ftp://x/", &[]), true);
    refused(asked("GET", "/", &[]), true);
    refused(asked("GET", "*", &[("host", "x")]), true);
}

#[test]
fn tunnels_other_than_websocket_are_not_offered() {
    let ask = |protocol: Option<&'static str>, ended| {
        let mut request = asked(
            "CONNECT",
            "https://x/chat",
            &[("sec-websocket-key", "mine")],
        )
        .unwrap();
        if let Some(protocol) = protocol {
            request
                .extensions_mut()
                .insert(Protocol::from_static(protocol));
        }
        super::request(&request, ended, 1).map(|lowered| String::from_utf8(lowered.head).unwrap())
    };
    assert_eq!(
        ask(Some("websocket"), false).unwrap(),
        "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAQ==\r\n\r\n"
    );
    assert!(matches!(
        ask(Some("websocket"), true),
        Err(Refusal::Malformed(_))
    ));
    assert!(matches!(
        ask(Some("connect-udp"), false),
        Err(Refusal::Unsupported(_))
    ));
    assert!(matches!(ask(None, false), Err(Refusal::Unsupported(_))));
}

#[test]
fn responses_become_text() {
    let say = |status: u16, fields: &[(&str, &str)], is_head, ended| {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = asked("GET", "/", fields).unwrap().into_parts().0.headers;
        let mut out = Vec::new();
        let question = Question { is_head, key: None };
        let shape = super::response(&response, question, ended, &mut out);
        (shape, String::from_utf8(out).unwrap())
    };
    let (shape, text) = say(200, &[("a", "b")], false, false);
    assert_eq!(shape, Ok(Shape::Chunked));
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\na: b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    // Without a body, and not to HEAD: HTTP/1.1 has to be told.
    let (shape, text) = say(200, &[("grpc-status", "5")], false, true);
    assert_eq!(shape, Ok(Shape::Nothing));
    assert!(text.contains("\r\nContent-Length: 0\r\n"), "{text}");
    let (shape, text) = say(200, &[("content-length", "9")], true, true);
    assert_eq!(
        (shape, text.contains("chunked")),
        (Ok(Shape::Nothing), false)
    );
    let (shape, text) = say(204, &[], false, true);
    assert_eq!(
        (shape, text.contains("Length")),
        (Ok(Shape::Nothing), false)
    );
    let (shape, text) = say(103, &[("link", "</a>")], false, false);
    assert_eq!(shape, Ok(Shape::Nothing));
    assert_eq!(text, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    assert!(say(101, &[], false, false).0.is_err());
    assert!(
        say(200, &[("connection", "close")], false, false)
            .0
            .is_err()
    );
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_.!:\r\n -]{0,6}",
        proptest::sample::select(vec![
            "cookie",
            "host",
            "te",
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
        ])
        .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\t\r\n\0\u{7f}é]{0,8}",
        proptest::sample::select(vec!["x", "trailers", "chunked", "3", "close"])
            .prop_map(str::to_owned),
    ]
}

/// Path, host, and fields but for the framing that is added.
type Said = (String, Vec<(String, Vec<u8>)>);

fn sorted(mut fields: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    // A map keeps no order between names, and HTTP/1.1 asks for none.
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

fn as_asked(request: &Request<()>) -> Said {
    let mut fields: Vec<_> = request
        .headers()
        .iter()
        .filter(|(name, _)| **name != COOKIE && **name != HOST)
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    let crumbs: Vec<_> = request.headers().get_all(COOKIE).iter().collect();
    if !crumbs.is_empty() {
        let crumbs: Vec<_> = crumbs.iter().map(|crumb| crumb.as_bytes()).collect();
        fields.push(("cookie".to_owned(), crumbs.join(&b"; "[..])));
    }
    let host = request.uri().authority().unwrap().as_str();
    fields.push(("Host".to_owned(), host.as_bytes().to_vec()));
    let path = request.uri().path_and_query().unwrap().as_str();
    (path.to_owned(), sorted(fields))
}

proptest! {
    #[test]
    fn every_request_is_refused_or_says_the_same(
        method in "[A-Z]{1,5}|[ -~]{1,4}",
        path in "/[!-~é]{0,10}",
        fields in proptest::collection::vec((name(), value()), 0..5),
        ended in any::<bool>(),
    ) {
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let Some(request) = asked(&method, &format!("https://x{path}"), &fields) else {
            return Ok(());
        };
        let Ok(lowered) = super::request(&request, ended, 1) else {
            return Ok(());
        };
        let mut storage = Storage::new();
        // The parser may refuse what it is shown, but must not see anything else.
        prop_assert_eq!(head::find_end(&lowered.head, 0), Some(lowered.head.len()));
        let Ok(head) = head::request(&lowered.head, &mut storage) else {
            return Ok(());
        };
        prop_assert_eq!(head.method, request.method().as_str());
        let found = head
            .fields
            .iter()
            .filter(|(name, _)| *name != "Transfer-Encoding")
            .map(|(name, value)| (name.to_owned(), value.to_vec()));
        let said = (head.target.to_owned(), sorted(found.collect()));
        prop_assert_eq!(said, as_asked(&request));
        let framed = framing::of_request(&head);
        match lowered.shape {
            Shape::Nothing => prop_assert_eq!(framed, Ok(Framing::None)),
            Shape::Chunked => prop_assert_eq!(framed, Ok(Framing::Chunked)),
            Shape::Plain => {
                let length = matches!(framed, Ok(Framing::Length(_) | Framing::None) | Err(_));
                prop_assert!(length, "{:?}", framed);
            }
        }
    }

    #[test]
    fn what_is_accepted_is_not_refused_by_the_parser(
        value in "[!-~]{1,8}", name in "[a-z][a-z0-9-]{0,8}",
    ) {
        prop_assume!(!OF_CONNECTION.contains(&name.as_str()));
        prop_assume!(!matches!(name.as_str(), "te" | "host" | "content-length"));
        let request = asked("GET", "https://x/", &[(&name, &value)]).unwrap();
        let lowered = super::request(&request, true, 1).unwrap();
        let mut storage = Storage::new();
        prop_assert!(head::request(&lowered.head, &mut storage).is_ok());
    }
}
