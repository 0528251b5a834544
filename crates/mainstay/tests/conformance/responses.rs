//! Responses: RFC 9112 (HTTP/1.1), RFC 9110 (semantics).

use crate::row::{Client, Row};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
const OLD: &str = "GET / HTTP/1.0\r\nHost: x\r\n\r\n";

const fn gets(status: u16, has: &'static [&'static str], lacks: &'static [&'static str]) -> Client {
    Client {
        status,
        has,
        lacks,
        closed: false,
    }
}

const fn closed(
    status: u16,
    has: &'static [&'static str],
    lacks: &'static [&'static str],
) -> Client {
    Client {
        status,
        has,
        lacks,
        closed: true,
    }
}

/// An answer that nobody may understand in two ways is replaced.
const fn bad(section: &'static str, rule: &'static str, answer: &'static str) -> Row {
    Row::response(section, rule, GET, answer, gets(502, &[], &["secret"])).ending()
}

pub(crate) const ROWS: &[Row] = &[
    Row::response(
        "9112 §6.3",
        "a body of a length comes so",
        GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\nhi",
        gets(
            200,
            &["Content-Length: 2\r\n", "A: b\r\n", "\r\n\r\nhi"],
            &[],
        ),
    ),
    Row::response(
        "9112 §7.1",
        "a chunked body comes so",
        GET,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: u\r\n\r\n",
        gets(
            200,
            &[
                "Transfer-Encoding: chunked\r\n",
                "2\r\nhi\r\n0\r\nT: u\r\n\r\n",
            ],
            &["Content-Length"],
        ),
    ),
    Row::response(
        "9112 §7.1",
        "to a 1.0 client without chunks",
        OLD,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        closed(200, &["\r\n\r\nhi"], &["Transfer-Encoding", "2\r\nhi"]),
    ),
    Row::response(
        "9112 §6.3",
        "a body until the end of the connection comes so",
        GET,
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        closed(200, &["Connection: close\r\n", "until the end"], &[]),
    )
    .ending(),
    Row::response(
        "9112 §6.3",
        "the answer to HEAD has no body",
        HEAD,
        "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n",
        gets(200, &["Content-Length: 999\r\n"], &[]),
    ),
    Row::response(
        "9112 §6.3",
        "204 has no body",
        GET,
        "HTTP/1.1 204 No Content\r\n\r\n",
        gets(204, &[], &["Transfer-Encoding"]),
    ),
    Row::response(
        "9112 §6.3",
        "304 has no body, whatever it says",
        GET,
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n",
        gets(304, &["Content-Length: 999\r\n"], &[]),
    ),
    Row::response(
        "9110 §15.2",
        "informational responses come first",
        GET,
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        gets(103, &["Link: </a.css>\r\n", "HTTP/1.1 200 OK"], &[]),
    ),
    Row::response(
        "9110 §15.2",
        "not to a 1.0 client",
        OLD,
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        closed(200, &["\r\n\r\nhi"], &["HTTP/1.1 103"]),
    ),
    Row::response(
        "9110 §7.6.1",
        "fields of the connection end here",
        GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, A\r\nA: b\r\nKeep-Alive: timeout=1\r\n\r\nhi",
        gets(200, &["\r\n\r\nhi"], &["A: b", "Keep-Alive"]),
    ),
    Row::response(
        "9110 §5.3",
        "cookies are not joined",
        GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhi",
        gets(200, &["Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"], &[]),
    ),
    Row::response(
        "9112 §4",
        "a status of three digits goes on, known or not",
        GET,
        "HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nhi",
        gets(299, &["299 Odd"], &[]),
    ),
    Row::response(
        "9112 §8",
        "a body that breaks off is not made to look whole",
        GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        closed(200, &["Content-Length: 9\r\n"], &[]),
    )
    .ending(),
    Row::response(
        "9112 §8",
        "nor is a chunked one",
        GET,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi",
        closed(200, &["Transfer-Encoding: chunked\r\n"], &["\r\n0\r\n"]),
    )
    .ending(),
    bad(
        "9112 §6.1",
        "Content-Length and Transfer-Encoding exclude each other",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nsecret\r\n0\r\n\r\n",
    ),
    bad(
        "9112 §6.3",
        "two lengths are none",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 6\r\n\r\nsecret",
    ),
    bad(
        "9112 §2.2",
        "a bare LF is no line end",
        "HTTP/1.1 200 OK\nContent-Length: 6\n\nsecret",
    ),
    bad(
        "9112 §5.2",
        "a line is not folded",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 6\r\n\r\nsecret",
    ),
    bad(
        "9112 §5.1",
        "no space before the colon",
        "HTTP/1.1 200 OK\r\nContent-Length : 6\r\n\r\nsecret",
    ),
    bad(
        "9112 §4",
        "a status line is one",
        "HTTP/1.1 OK\r\nContent-Length: 6\r\n\r\nsecret",
    ),
    bad(
        "9112 §4",
        "a status is at least 100",
        "HTTP/1.1 099 Odd\r\nContent-Length: 6\r\n\r\nsecret",
    ),
    bad("9112 §2.1", "an answer is HTTP", "SSH-2.0-secret\r\n\r\n"),
    bad(
        "9110 §15.2.2",
        "nobody switches who was not asked to",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nsecret",
    ),
];
