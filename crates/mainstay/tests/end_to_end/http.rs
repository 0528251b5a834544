//! HTTP/1.1 through balancer and web server to an application.

use std::collections::HashMap;

use crate::client::{Client, HOST};
use crate::harness::{Prepared, Site, TWO_APP_SERVERS};

fn site() -> Site {
    Prepared::new(TWO_APP_SERVERS).up()
}

#[test]
fn requests_go_through_whatever_their_shape() {
    let site = site();
    let address = site.http();

    shares_are_equal(&address);
    bodies_go_both_ways(&address);
    responses_keep_their_framing(&address);
    a_pipeline_is_answered_in_order(&address);
    upgrades_become_tunnels(&address);
    the_application_is_told_who_asks(&address);
    broken_answers_become_errors(&address);
    bad_requests_are_refused(&address);
    old_clients_are_served(&address);
}

fn shares_are_equal(address: &str) {
    let mut shares: HashMap<String, u32> = HashMap::new();
    for _ in 0..100 {
        let who = Client::connect(address).get("/who").text();
        let server = who.split('/').next().unwrap().to_owned();
        *shares.entry(server).or_default() += 1;
    }
    assert_eq!(shares.get("app-1"), Some(&50), "{shares:?}");
    assert_eq!(shares.get("app-2"), Some(&50), "{shares:?}");
}

fn bodies_go_both_ways(address: &str) {
    let mut client = Client::connect(address);
    let post = |fields: &str, body: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n{body}")
    };
    let echoed = client
        .send(post("Content-Length: 5\r\n", "hello"))
        .response();
    assert_eq!((echoed.status, echoed.text().as_str()), (200, "hello"));

    let chunked = "5\r\nhello\r\n6;x=y\r\n there\r\n0\r\nX: y\r\n\r\n";
    let echoed = client
        .send(post("Transfer-Encoding: chunked\r\n", chunked))
        .response();
    assert_eq!(
        (echoed.status, echoed.text().as_str()),
        (200, "hello there")
    );

    // Larger than every buffer on the way.
    let large = "0123456789abcdef".repeat(1 << 16);
    let fields = format!("Content-Length: {}\r\n", large.len());
    let echoed = client.send(post(&fields, &large)).response();
    assert!(
        echoed.text() == large,
        "{} bytes of {}",
        echoed.body.len(),
        large.len()
    );

    let fields = "Content-Length: 4\r\nExpect: 100-continue\r\n";
    let waiting = client.send(post(fields, "")).response();
    assert_eq!(waiting.status, 100);
    let echoed = client.send("wait").response();
    assert_eq!((echoed.status, echoed.text().as_str()), (200, "wait"));

    // An application that answers without reading: its answer arrives, not a reset.
    let fields = format!("Content-Length: {}\r\n", large.len());
    let early = format!(
        "POST /early HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n{}",
        &large[..300_000]
    );
    let refused = Client::connect(address).send(early).response();
    assert_eq!(refused.status, 403);
}

fn responses_keep_their_framing(address: &str) {
    let mut client = Client::connect(address);
    let chunked = client.get("/chunked");
    assert_eq!(chunked.text(), "hello, world");
    assert!(chunked.field("transfer-encoding").is_some());

    let big = client.get("/big?bytes=3000000");
    assert_eq!(big.body.len(), 3_000_000);

    let hints = client.get("/hints");
    assert_eq!(hints.status, 103);
    assert_eq!(client.response().text(), "after hints");

    let head = format!("HEAD /headers HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let answer = client.send(head).try_response("HEAD").unwrap();
    assert_ne!(answer.field("content-length").unwrap(), "0");
    assert_eq!(
        client.get("/").text(),
        "hello",
        "nothing of a body stood in the way"
    );

    let ended = client.get("/until-close");
    assert_eq!(ended.text(), "to the end");
    assert!(client.is_closed());
}

fn a_pipeline_is_answered_in_order(address: &str) {
    let mut client = Client::connect(address);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    client.send(get("/slow?ms=50") + &get("/chunked") + &get("/"));
    assert_eq!(client.response().text(), "slow");
    assert_eq!(client.response().text(), "hello, world");
    assert_eq!(client.response().text(), "hello");
}

fn upgrades_become_tunnels(address: &str) {
    let mut client = Client::connect(address);
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    let switched = client.send(upgrade).response();
    assert_eq!(switched.status, 101);
    assert_eq!(switched.field("upgrade").as_deref(), Some("websocket"));
    assert_eq!(switched.field("sec-websocket-accept").as_deref(), Some("x"));
    assert_eq!(client.take(3).unwrap(), b"hi ");
    client.send("over and over");
    assert_eq!(client.take(13).unwrap(), b"over and over");
}

fn the_application_is_told_who_asks(address: &str) {
    let mut client = Client::connect(address);
    let lies = "X-Forwarded-For: 6.6.6.6\r\nX-Request-Id: mine\r\nX_Forwarded_For: 6.6.6.6\r\n";
    let answer = client
        .send(format!(
            "GET /headers HTTP/1.1\r\nHost: {HOST}\r\n{lies}\r\n"
        ))
        .response();
    let seen = answer.text();
    assert!(seen.contains("X-Forwarded-For: 127.0.0.1\r\n"), "{seen}");
    assert!(seen.contains("X-Forwarded-Proto: http\r\n"), "{seen}");
    assert!(
        seen.contains(&format!("X-Forwarded-Host: {HOST}\r\n")),
        "{seen}"
    );
    assert!(!seen.contains("6.6.6.6"), "{seen}");
    let id = answer.field("x-request-id").unwrap();
    assert!(seen.contains(&format!("X-Request-Id: {id}\r\n")), "{seen}");
    assert_ne!(id, "mine");
    // Nothing of the operator's shell gets to the application.
    let names = client.get("/env").text();
    assert!(!names.contains("CARGO"), "{names}");
    assert!(names.contains("MAINSTAY_INSTANCE"), "{names}");
}

fn broken_answers_become_errors(address: &str) {
    let mut client = Client::connect(address);
    assert_eq!(client.get("/garbage").status, 502);
    // A response that broke off must not look whole.
    let cut = client
        .send(format!("GET /cut HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))
        .try_response("GET");
    assert_eq!(cut.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(Client::connect(address).get("/").text(), "hello");
}

fn bad_requests_are_refused(address: &str) {
    let host = format!("Host: {HOST}\r\n");
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), 400),
        (format!("GET / HTTP/1.1\n{host}\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}A : b\r\n\r\n"), 400),
        (
            format!(
                "POST / HTTP/1.1\r\n{host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            400,
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: gzip\r\n\r\n"),
            400,
        ),
        (
            format!("POST /echo HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nZZ\r\n"),
            400,
        ),
        (
            format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(40_000)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}{}\r\n", "A: b\r\n".repeat(200)),
            431,
        ),
        (
            format!("POST / HTTP/1.1\r\n{host}Content-Length: 99999999999999\r\n\r\n"),
            413,
        ),
        (
            "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n".to_owned(),
            421,
        ),
        (format!("GET /.mainstay/health HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("CONNECT a:1 HTTP/1.1\r\n{host}\r\n"), 501),
    ] {
        let mut client = Client::connect(address);
        let got = client.send(&request).response();
        let shown = request.chars().take(80).collect::<String>();
        assert_eq!(got.status, status, "{shown:?}: {}", got.head);
    }
}

fn old_clients_are_served(address: &str) {
    let mut client = Client::connect(address);
    let chunked = client
        .send(format!("GET /chunked HTTP/1.0\r\nHost: {HOST}\r\n\r\n"))
        .response();
    assert!(chunked.field("transfer-encoding").is_none());
    assert_eq!(chunked.text(), "hello, world");
    let mut client = Client::connect(address);
    let keep = format!("GET / HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n");
    let kept = client.send(keep).response();
    assert_eq!(kept.field("connection").as_deref(), Some("keep-alive"));
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn an_application_may_listen_on_a_port() {
    let site_file = TWO_APP_SERVERS.replace("instances", "listen = \"port\"\ninstances");
    let site = Prepared::new(&site_file).up();
    let mut client = Client::connect(&site.http());
    let names: std::collections::BTreeSet<String> =
        (0..8).map(|_| client.get("/who").text()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}
