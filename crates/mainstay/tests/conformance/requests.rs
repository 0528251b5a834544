//! Requests: RFC 9112 (HTTP/1.1), RFC 9110 (semantics).

use crate::row::{Client, Endpoint, OK, Row};

const fn refused(section: &'static str, rule: &'static str, sent: &'static str) -> Row {
    Row::refused(section, rule, sent, 400)
}

const fn passed(
    section: &'static str,
    rule: &'static str,
    sent: &'static str,
    has: &'static [&'static str],
    lacks: &'static [&'static str],
) -> Row {
    Row::passed(section, rule, sent, has, lacks)
}

pub(crate) const ROWS: &[Row] = &[
    // Lines.
    passed(
        "9112 §2.2",
        "an empty line before a request is ignored",
        "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &["GET / HTTP/1.1\r\n"],
        &[],
    ),
    refused(
        "9112 §2.2",
        "a bare LF is no line end",
        "GET / HTTP/1.1\nHost: x\n\n",
    ),
    refused(
        "9112 §2.2",
        "a bare LF in a field is no line end",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n",
    ),
    refused(
        "9112 §2.2",
        "a bare CR is not part of a line",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n",
    ),
    refused(
        "9112 §2.2",
        "whitespace before the first field is not skipped",
        "GET / HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n",
    ),
    // Request line.
    refused(
        "9112 §3",
        "there is one space between the parts",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    refused(
        "9112 §3",
        "a tab is no space",
        "GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    refused(
        "9112 §3",
        "nothing stands behind the version",
        "GET / HTTP/1.1 x\r\nHost: x\r\n\r\n",
    ),
    refused("9112 §2.3", "HTTP/0.9 is not spoken", "GET /\r\n\r\n"),
    refused(
        "9112 §2.3",
        "other versions are not spoken",
        "GET / HTTP/3.1\r\nHost: x\r\n\r\n",
    ),
    refused(
        "9112 §2.3",
        "a version has one digit on each side",
        "GET / HTTP/1.10\r\nHost: x\r\n\r\n",
    ),
    refused(
        "9110 §9.1",
        "a method is a token",
        "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    passed(
        "9110 §9.1",
        "methods are told apart by case, and unknown ones go on",
        "get / HTTP/1.1\r\nHost: x\r\n\r\n",
        &["get / HTTP/1.1\r\n"],
        &[],
    ),
    refused(
        "9112 §3.2",
        "a target has no control characters",
        "GET /\u{1} HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    refused(
        "9112 §3.2.1",
        "a path begins with a slash",
        "GET x HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    passed(
        "9112 §3.2.2",
        "of an absolute target the authority counts",
        "GET http://x/a?b HTTP/1.1\r\nHost: other\r\n\r\n",
        &["GET /a?b HTTP/1.1\r\nHost: x\r\n"],
        &["other"],
    ),
    passed(
        "9112 §3.2.2",
        "an absolute target may have no path",
        "GET http://x?b HTTP/1.1\r\nHost: x\r\n\r\n",
        &["GET /?b HTTP/1.1\r\n"],
        &[],
    ),
    refused(
        "9112 §3.2.2",
        "its authority has no user",
        "GET http://a@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    passed(
        "9112 §3.2.4",
        "`*` is for OPTIONS",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        &["OPTIONS * HTTP/1.1\r\n"],
        &[],
    ),
    refused(
        "9112 §3.2.4",
        "and for nothing else",
        "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    Row::refused(
        "9110 §9.3.6",
        "CONNECT is not for this proxy",
        "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
        501,
    ),
    // Host.
    refused("9112 §3.2", "Host is there", "GET / HTTP/1.1\r\n\r\n"),
    refused(
        "9112 §3.2",
        "Host is there once",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    ),
    refused(
        "9112 §3.2",
        "Host is a host",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    ),
    refused(
        "9112 §3.2",
        "Host is one host",
        "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
    ),
    refused(
        "9112 §3.2",
        "Host has no path",
        "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
    ),
    // Fields.
    refused(
        "9112 §5.1",
        "no space before the colon",
        "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
    ),
    refused(
        "9112 §5.1",
        "not in the name of a framing field either",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc",
    ),
    refused(
        "9112 §5.2",
        "a line is not folded",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    ),
    refused(
        "9110 §5.1",
        "a field has a name",
        "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
    ),
    refused(
        "9110 §5.1",
        "a name is a token",
        "GET / HTTP/1.1\r\nHost: x\r\nA(b): c\r\n\r\n",
    ),
    refused(
        "9112 §5",
        "a line has a colon",
        "GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    ),
    refused(
        "9110 §5.5",
        "a value has no NUL",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    ),
    passed(
        "9110 §5.5",
        "a value may have bytes above 127",
        "GET / HTTP/1.1\r\nHost: x\r\nA: é\r\n\r\n",
        &["A: é\r\n"],
        &[],
    ),
    passed(
        "9112 §5",
        "space around a value is not part of it",
        "GET / HTTP/1.1\r\nHost: x\r\nA:\t b \t\r\n\r\n",
        &["A: b\r\n"],
        &[],
    ),
    passed(
        "9110 §5.2",
        "fields of one name keep their order",
        "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nA: 3\r\n\r\n",
        &["A: 1\r\nB: 2\r\nA: 3\r\n"],
        &[],
    ),
    // Framing.
    refused(
        "9112 §6.1",
        "Content-Length and Transfer-Encoding exclude each other",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "9112 §6.3",
        "two lengths are none",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    ),
    refused(
        "9112 §6.3",
        "the same length twice is one too many",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    ),
    refused(
        "9112 §6.3",
        "a list of lengths is none",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc",
    ),
    refused(
        "9110 §8.6",
        "a length has no sign",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    ),
    refused(
        "9110 §8.6",
        "a length is not negative",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ),
    refused(
        "9110 §8.6",
        "a length is decimal",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc",
    ),
    refused(
        "9110 §8.6",
        "a length is there",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
    ),
    refused(
        "9110 §8.6",
        "a length fits",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ),
    Row::refused(
        "9110 §15.5.14",
        "a body over the limit is refused",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n",
        413,
    ),
    Row::refused(
        "9112 §6.1",
        "unknown transfer codings are refused",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    refused(
        "9112 §6.1",
        "chunked is the last coding",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "9112 §6.1",
        "chunked is said once",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "9112 §6.1",
        "in one field",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "9112 §6.1",
        "nothing that only looks like chunked",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "9112 §6.1",
        "a 1.0 client has no transfer codings",
        "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    passed(
        "9112 §6.3",
        "a body of a length goes on",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        &["Content-Length: 3\r\n", "\r\n\r\nabc"],
        &[],
    ),
    passed(
        "9112 §7.1",
        "a chunked body goes on as one",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        &["Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"],
        &["Content-Length"],
    ),
    passed(
        "9112 §7.1.2",
        "trailers go on",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
        &["0\r\nA: b\r\n\r\n"],
        &[],
    ),
    passed(
        "9110 §7.6.1",
        "fields of the connection end here",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, A\r\nKeep-Alive: 5\r\nA: b\r\nProxy-Connection: x\r\nTE: gzip\r\n\r\n",
        &["GET / "],
        &["Keep-Alive", "A: b", "Proxy-Connection", "TE: gzip"],
    ),
    passed(
        "9110 §7.6.1",
        "what a message means cannot be named away",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Host, Cookie\r\nCookie: a=b\r\n\r\n",
        &["Host: x\r\n", "Cookie: a=b\r\n"],
        &[],
    ),
    passed(
        "9110 §7.8",
        "h2c is not asked for",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        &["GET / "],
        &["Upgrade", "HTTP2-Settings"],
    ),
    passed(
        "7239 §8.1",
        "a client cannot say where it comes from",
        "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n",
        &["X-Forwarded-For: 127.0.0.1\r\n"],
        &["1.2.3.4"],
    ),
    // Connections.
    passed(
        "9112 §9.6",
        "close is kept",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        &["GET / "],
        &["Connection: close"],
    )
    .closing(),
    passed(
        "9112 §9.3",
        "a 1.0 connection ends",
        "GET / HTTP/1.0\r\nHost: x\r\n\r\n",
        &["GET / HTTP/1.1\r\n"],
        &[],
    )
    .closing(),
    Row {
        section: "9112 §9.3.2",
        rule: "requests may follow each other at once",
        sent: "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
        answer: OK,
        ends: false,
        client: Client {
            status: 200,
            has: &[],
            lacks: &[],
            closed: false,
        },
        endpoint: Endpoint::Several(2),
    },
    Row {
        section: "9112 §6.3",
        rule: "what follows a body is the next request",
        sent: "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
        answer: OK,
        ends: false,
        client: Client {
            status: 200,
            has: &[],
            lacks: &[],
            closed: false,
        },
        endpoint: Endpoint::Several(2),
    },
    Row::refused(
        "9110 §15.5.9",
        "a head that does not come to its end is given up",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b",
        408,
    ),
    // Paths.
    refused(
        "3986 §2.1",
        "an escape has two digits",
        "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .keeping(),
    refused(
        "3986 §5.2.4",
        "nothing is above the root",
        "GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .keeping(),
    passed(
        "3986 §3.3",
        "a path goes on as it is",
        "GET /a%2Fb/./c HTTP/1.1\r\nHost: x\r\n\r\n",
        &["GET /a%2Fb/./c HTTP/1.1\r\n"],
        &[],
    ),
];
