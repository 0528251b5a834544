//! Requests that would mean something else in HTTP/1.1 (RFC 9113 sections 8.2, 8.3, 10.3). None of them
//! may reach the application.

use crate::raw::{self, END_HEADERS, END_STREAM, Raw};
use crate::role::{Role, To, app, on_a_thread};

type Field = (&'static [u8], &'static [u8]);

const METHOD: Field = (b":method", b"POST");
const SCHEME: Field = (b":scheme", b"http");
const AUTHORITY: Field = (b":authority", b"x");
const PATH: Field = (b":path", b"/");

/// How it was refused: by an answer, a reset, or the end of the connection.
#[derive(Debug, PartialEq)]
enum Refused {
    Status(u16),
    Reset(u32),
    Away(u32),
}

async fn refusal(address: std::net::SocketAddr, frames: &[Vec<u8>]) -> Refused {
    let mut raw = Raw::connect(address).await;
    for frame in frames {
        raw.send(frame).await;
    }
    loop {
        let frame = raw.next().await.expect("an answer of some kind");
        match frame.kind {
            raw::HEADERS => return Refused::Status(frame.status()),
            raw::RST_STREAM => return Refused::Reset(frame.code()),
            raw::GOAWAY => return Refused::Away(frame.code()),
            _ => {}
        }
    }
}

fn request(fields: &[Field], ended: bool) -> Vec<u8> {
    let flags = if ended {
        END_HEADERS | END_STREAM
    } else {
        END_HEADERS
    };
    raw::frame(raw::HEADERS, flags, 1, &raw::block(fields))
}

fn with(more: &[Field]) -> Vec<Field> {
    [&[METHOD, SCHEME, AUTHORITY, PATH], more].concat()
}

#[test]
fn what_has_two_meanings_reaches_nobody() {
    on_a_thread(async |watch| {
        let upstream = app(|_, head| async move { panic!("it came through: {head}") }).await;
        let address = Role::new(&watch, To::One(upstream)).listen().await;
        for fields in [
            with(&[(b"a", b"b\r\nGET / HTTP/1.1")]),
            with(&[(b"a", b"b\nc")]),
            with(&[(b"a", b"b\rc")]),
            with(&[(b"a", b"b\0c")]),
            with(&[(b"a\r\nb", b"c")]),
            with(&[(b"a: b", b"c")]),
            with(&[(b"a ", b"c")]),
            with(&[(b"", b"c")]),
            with(&[(b"Accept", b"c")]),
            with(&[(b"a", b" b")]),
            with(&[(b"a", b"b ")]),
            with(&[(b"connection", b"close")]),
            with(&[(b"connection", b"content-length")]),
            with(&[(b"transfer-encoding", b"chunked")]),
            with(&[
                (b"transfer-encoding", b"chunked"),
                (b"content-length", b"3"),
            ]),
            with(&[(b"keep-alive", b"timeout=5")]),
            with(&[(b"proxy-connection", b"close")]),
            with(&[(b"upgrade", b"websocket")]),
            with(&[(b"te", b"gzip")]),
            with(&[(b"host", b"y")]),
            with(&[(b"host", b"x"), (b"host", b"x")]),
            with(&[(b"content-length", b"3"), (b"content-length", b"4")]),
            with(&[(b"content-length", b"3"), (b"content-length", b"3")]),
            with(&[(b"content-length", b"+3")]),
            with(&[(b"content-length", b"3,3")]),
            with(&[(b"content-length", b"99999999999999999999")]),
            with(&[PATH]),
            with(&[(b":status", b"200")]),
            with(&[(b":protocol", b"websocket")]),
            with(&[(b":other", b"x")]),
            vec![(b"a", b"b"), METHOD, SCHEME, AUTHORITY, PATH],
            vec![SCHEME, AUTHORITY, PATH],
            vec![METHOD, AUTHORITY, PATH],
            vec![METHOD, SCHEME, AUTHORITY],
            vec![METHOD, SCHEME, PATH],
            vec![METHOD, METHOD, SCHEME, AUTHORITY, PATH],
            vec![
                (b":method", b"GET /a HTTP/1.1\r\nx: "),
                SCHEME,
                AUTHORITY,
                PATH,
            ],
            vec![(b":method", b"GET x"), SCHEME, AUTHORITY, PATH],
            vec![METHOD, (b":scheme", b"ftp"), AUTHORITY, PATH],
            vec![METHOD, (b":scheme", b"http://evil/?"), AUTHORITY, PATH],
            vec![METHOD, SCHEME, (b":authority", b"user@x"), PATH],
            vec![METHOD, SCHEME, (b":authority", b"x\r\nA: b"), PATH],
            vec![METHOD, SCHEME, (b":authority", b"x y"), PATH],
            vec![METHOD, SCHEME, (b":authority", b"x/y"), PATH],
            vec![METHOD, SCHEME, (b":authority", b""), PATH],
            vec![METHOD, SCHEME, AUTHORITY, (b":path", b"")],
            vec![METHOD, SCHEME, AUTHORITY, (b":path", b"a")],
            vec![METHOD, SCHEME, AUTHORITY, (b":path", b"*")],
            vec![METHOD, SCHEME, AUTHORITY, (b":path", b"http://y/")],
            vec![METHOD, SCHEME, AUTHORITY, (b":path", b"/ HTTP/1.1\r\nA: b")],
            vec![METHOD, SCHEME, AUTHORITY, (b":path", b"/a b")],
            vec![(b":method", b"CONNECT"), (b":authority", b"x:1")],
        ] {
            let shown: Vec<_> = fields
                .iter()
                .map(|(name, value)| {
                    (
                        String::from_utf8_lossy(name),
                        String::from_utf8_lossy(value),
                    )
                })
                .collect();
            let refused = refusal(address, &[request(&fields, false)]).await;
            let expected = matches!(
                refused,
                Refused::Status(400 | 501)
                    | Refused::Reset(raw::PROTOCOL_ERROR)
                    | Refused::Away(raw::PROTOCOL_ERROR | 9)
            );
            assert!(expected, "{refused:?} {shown:?}");
        }
        let length = with(&[(b"content-length", b"3")]);
        let refused = refusal(address, &[request(&length, true)]).await;
        assert_eq!(refused, Refused::Reset(raw::PROTOCOL_ERROR));
    });
}

#[test]
fn a_body_of_another_length_than_announced_is_no_request() {
    on_a_thread(async |watch| {
        // The head may have gone on; the body must not come whole.
        let upstream = app(|mut stream, mut head| async move {
            let mut rest = Vec::new();
            let _end = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
            head += &String::from_utf8(rest).unwrap();
            let (_, body) = head.split_once("\r\n\r\n").unwrap();
            assert!(body.len() < 3 && !body.contains('x'), "{head}");
        })
        .await;
        let address = Role::new(&watch, To::One(upstream)).listen().await;
        let head = request(&with(&[(b"content-length", b"3")]), false);
        for body in [&b"ab"[..], b"abcxGET / HTTP/1.1"] {
            let data = raw::frame(raw::DATA, END_STREAM, 1, body);
            let refused = refusal(address, &[head.clone(), data]).await;
            assert_eq!(refused, Refused::Reset(raw::PROTOCOL_ERROR), "{body:?}");
        }
        let trailers = raw::frame(
            raw::HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &raw::block(&[(b"transfer-encoding", b"chunked")]),
        );
        let head = request(&with(&[]), false);
        let refused = refusal(address, &[head, trailers]).await;
        assert_eq!(refused, Refused::Reset(raw::PROTOCOL_ERROR));
    });
}

#[test]
fn framing_in_a_body_is_data() {
    on_a_thread(async |watch| {
        let upstream = crate::role::app_echoing_heads().await;
        let address = Role::new(&watch, To::One(upstream)).listen().await;
        let mut raw = Raw::connect(address).await;
        raw.send(&request(&with(&[]), false)).await;
        let evil = b"0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n";
        raw.send(&raw::frame(raw::DATA, END_STREAM, 1, evil)).await;
        let mut text = Vec::new();
        loop {
            let data = raw.wait_for(raw::DATA).await.unwrap();
            text.extend(data.payload);
            if data.flags & END_STREAM != 0 {
                break;
            }
        }
        let text = String::from_utf8(text).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let expected = format!(
            "{:x}\r\n{}\r\n0\r\n\r\n",
            evil.len(),
            std::str::from_utf8(evil).unwrap()
        );
        assert!(expected.starts_with(body), "{text}");
    });
}
