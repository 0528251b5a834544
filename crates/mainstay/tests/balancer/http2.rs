//! HTTP/2 on both sides, gRPC, WebSockets, and how connections end when the balancer does.

use std::sync::Arc;

use bytes::Bytes;
use h2::ext::Protocol;

use crate::authority::client;
use crate::client::{Client, HOST, get};
use crate::endpoint::{Endpoint, Gate, Reply};
use crate::running::{Balancer, UNCHECKED, own_address, wait};
use crate::two::{self, ask, call, conversation, endpoint};

fn site(lines: &str, address: &str, of_backend: &str) -> String {
    format!(
        "[site]\nname = \"test\"\ndomains = [\"{HOST}\"]\n[tls]\nauthority = \"local\"\n\
         redirect = false\n[balancer]\nreason-header = true\n{lines}\n[backends.app]\n\
         endpoints = [\"{address}\"]\n{UNCHECKED}\n{of_backend}\n"
    )
}

/// Says what it was asked, and the body.
fn echoing() -> Endpoint {
    Endpoint::new(|seen| {
        let said = |name| seen.field(name).unwrap_or_default();
        let origin = format!("{} {}", said("host"), said("x-forwarded-proto"));
        let body = String::from_utf8_lossy(&seen.body);
        Reply::ok(&format!(
            "{} {} {origin} {body}",
            seen.method(),
            seen.path()
        ))
    })
}

#[test]
fn clients_of_http_2_reach_endpoints_of_http_1() {
    let app = echoing();
    let balancer = Balancer::up(&site("", &app.address, ""));
    conversation(async {
        let config = client(&balancer.authority());
        for (scheme, mut send) in [
            ("https", two::secure(&balancer.https, HOST, config).await),
            ("http", two::plain(&balancer.http).await),
        ] {
            let url = |path: &str| format!("{scheme}://{HOST}{path}");
            let answer = call(&mut send, ask("GET", &url("/a?b")), b"")
                .await
                .unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!(answer.text(), format!("GET /a?b {HOST} {scheme} "));
            assert!(answer.headers.get("connection").is_none());

            let large = "0123456789abcdef".repeat(3000);
            let mut post = ask("POST", &url("/post"));
            let length = large.len().to_string().parse().unwrap();
            post.headers_mut().insert("content-length", length);
            let answer = call(&mut send, post, large.as_bytes()).await.unwrap();
            assert_eq!(answer.text(), format!("POST /post {HOST} {scheme} {large}"));

            let many = (0..50).map(|number| {
                let mut send = send.clone();
                let request = ask("GET", &url(&format!("/{number}")));
                tokio::task::spawn_local(async move {
                    send = send.ready().await.unwrap();
                    (number, call(&mut send, request, b"").await.unwrap())
                })
            });
            for one in many.collect::<Vec<_>>() {
                let (number, answer) = one.await.unwrap();
                assert!(answer.text().starts_with(&format!("GET /{number} ")));
            }
            let other = ask("GET", &format!("{scheme}://other.example/"));
            let refused = call(&mut send, other, b"").await.unwrap();
            assert_eq!(refused.status, 421);
            assert_eq!(refused.headers["mainstay-reason"], "unknown-host");
        }
    });
}

#[test]
fn streams_of_every_shape_go_through() {
    let large = "0123456789abcdef".repeat(1 << 16);
    let body = large.clone();
    let app = Endpoint::new(move |seen| match seen.path() {
        "/large" => Reply::ok(&body),
        "/chunked" => Reply::Raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
             5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n"
                .to_owned(),
        ),
        "/until-end" => Reply::Raw("HTTP/1.1 200 OK\r\n\r\nto the end".to_owned()),
        "/empty" => Reply::Raw("HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        "/cut" => Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut".to_owned()),
        _ => Reply::ok("other"),
    });
    let balancer = Balancer::up(&site("", &app.address, ""));
    conversation(async {
        let mut send = two::plain(&balancer.http).await;
        let url = |path: &str| format!("http://{HOST}{path}");
        for (path, status, text) in [
            ("/large", 200, large.as_str()),
            ("/chunked", 200, "hello"),
            ("/until-end", 200, "to the end"),
            ("/empty", 204, ""),
        ] {
            let answer = call(&mut send, ask("GET", &url(path)), b"").await.unwrap();
            assert_eq!(answer.status, status, "{path}");
            assert!(answer.text() == text, "{path}: {} bytes", answer.body.len());
        }
        let head = call(&mut send, ask("HEAD", &url("/large")), b"")
            .await
            .unwrap();
        assert_eq!(
            head.headers["content-length"],
            large.len().to_string().as_str()
        );
        assert!(head.body.is_empty());
        // What broke off must not look whole.
        let cut = call(&mut send, ask("GET", &url("/cut")), b"").await;
        assert!(cut.unwrap_err().is_reset());
        assert_eq!(
            call(&mut send, ask("GET", &url("/")), b"")
                .await
                .unwrap()
                .status,
            200
        );
    });
}

#[test]
fn without_http_2_nobody_gets_it() {
    let app = echoing();
    let balancer = Balancer::up(&site("http2 = false", &app.address, ""));
    let mut config = client(&balancer.authority());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let (_, connection) = crate::client::shake_hands(&balancer.https, HOST, &config).unwrap();
    assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let refused = balancer.client().send(preface).response();
    assert!(matches!(refused.status, 400 | 505), "{}", refused.head);
    assert_eq!(balancer.client().get("/").status, 200);
}

#[test]
fn endpoints_of_http_2_are_spoken_to_in_it() {
    let address = endpoint(|(request, mut respond)| async move {
        let said = format!("{} {}", request.method(), request.uri().path());
        let authority = request.uri().authority().unwrap().to_string();
        let body = two::body(request.into_body()).await;
        let head = http_types::Response::builder().header("x-two", "yes");
        let mut send = respond
            .send_response(head.body(()).unwrap(), false)
            .unwrap();
        let text = format!("{said} {authority} {}", body.len());
        send.send_data(text.into(), true).unwrap();
    });
    let balancer = Balancer::up(&site("", &address, "protocol = \"h2\""));
    let mut client = balancer.client();
    for _ in 0..3 {
        let answer = client.get("/x");
        assert_eq!(answer.text(), format!("GET /x {HOST} 0"));
        assert_eq!(answer.field("x-two").unwrap(), "yes");
    }
    let large = "x".repeat(200_000);
    assert_eq!(
        client.post("/post", &large).text(),
        format!("POST /post {HOST} 200000")
    );
    let chunked = "POST /c HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(
        client.send(chunked).response().text(),
        format!("POST /c {HOST} 3")
    );
}

/// A server of gRPC: `/shop.Shop/Unary` answers once, `/shop.Shop/Chat` answers each message at once.
fn grpc() -> String {
    endpoint(|(request, mut respond)| async move {
        assert_eq!(request.headers()["content-type"], "application/grpc");
        assert_eq!(request.headers()["te"], "trailers");
        let path = request.uri().path().to_owned();
        let mut body = request.into_body();
        if path == "/shop.Shop/Fail" {
            // An answer of trailers alone.
            let mut head = two::grpc_head();
            head.headers_mut().extend(two::grpc_status("5"));
            respond.send_response(head, true).unwrap();
            return;
        }
        let mut send = respond.send_response(two::grpc_head(), false).unwrap();
        while let Some(Ok(data)) = body.data().await {
            body.flow_control().release_capacity(data.len()).unwrap();
            send.send_data(data, false).unwrap();
        }
        send.send_trailers(two::grpc_status("0")).unwrap();
    })
}

#[test]
fn grpc_goes_both_ways_with_its_trailers() {
    let address = grpc();
    let balancer = Balancer::up(&site("", &address, "protocol = \"h2\""));
    let request = |path: &str| {
        let mut request = ask("POST", &format!("http://{HOST}/shop.Shop/{path}"));
        let headers = request.headers_mut();
        headers.insert("content-type", "application/grpc".parse().unwrap());
        headers.insert("te", "trailers".parse().unwrap());
        request
    };
    conversation(async {
        let mut send = two::plain(&balancer.http).await;
        let message = two::message(b"one");
        let unary = call(&mut send, request("Unary"), &message).await.unwrap();
        assert_eq!((unary.status, &unary.body[..]), (200, &message[..]));
        assert_eq!(unary.headers["content-type"], "application/grpc");
        assert_eq!(unary.trailers.unwrap()["grpc-status"], "0");

        let failed = call(&mut send, request("Fail"), &message).await.unwrap();
        assert_eq!(failed.status, 200);
        assert_eq!(failed.headers["grpc-status"], "5");

        // Each message is answered before the next is sent.
        let (response, mut up) = send.send_request(request("Chat"), false).unwrap();
        let mut down = None;
        let mut response = Some(response);
        for text in [&b"first"[..], b"second", b"third"] {
            let message = two::message(text);
            up.send_data(message.clone(), false).unwrap();
            if let Some(response) = response.take() {
                down = Some(response.await.unwrap().into_body());
            }
            let down = down.as_mut().unwrap();
            let mut got = Vec::new();
            while got.len() < message.len() {
                got.extend_from_slice(&down.data().await.unwrap().unwrap());
            }
            assert_eq!(got, message);
        }
        up.send_data(Bytes::new(), true).unwrap();
        let mut down = down.unwrap();
        assert!(down.data().await.is_none());
        assert_eq!(down.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    });
}

/// Switches to a WebSocket whose bytes come back.
fn websocket() -> Endpoint {
    Endpoint::new(|seen| {
        assert_eq!(seen.field("upgrade").unwrap().to_lowercase(), "websocket");
        assert!(seen.field("sec-websocket-key").is_some());
        Reply::Echo(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: x\r\n\r\nhello"
                .to_owned(),
        )
    })
}

#[test]
fn websockets_go_through_from_either_version() {
    let app = websocket();
    let balancer = Balancer::up(&site("", &app.address, ""));
    let mut one = balancer.client();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\
                   Sec-WebSocket-Version: 13\r\n";
    let switched = one.get_with("/chat", upgrade);
    assert_eq!(switched.status, 101);
    assert_eq!(switched.field("sec-websocket-accept").unwrap(), "x");
    assert_eq!(one.take(5).unwrap(), b"hello");
    one.send("over and over");
    assert_eq!(one.take(13).unwrap(), b"over and over");

    conversation(async {
        let mut send = two::plain(&balancer.http).await;
        while !send.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let mut connect = ask("CONNECT", &format!("http://{HOST}/chat"));
        connect
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
        connect
            .headers_mut()
            .insert("sec-websocket-version", "13".parse().unwrap());
        let (response, mut up) = send.send_request(connect, false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let mut down = response.into_body();
        assert_eq!(down.data().await.unwrap().unwrap(), "hello");
        up.send_data(Bytes::from_static(b"ping"), false).unwrap();
        assert_eq!(down.data().await.unwrap().unwrap(), "ping");
        up.send_data(Bytes::new(), true).unwrap();
        assert!(
            down.data()
                .await
                .is_none_or(|data| data.is_ok_and(|data| data.is_empty()))
        );
    });
}

#[test]
fn who_is_served_is_served_to_the_end_when_the_balancer_stops() {
    let gate = Gate::default();
    let held = gate.clone();
    let app = Endpoint::new(move |seen| {
        if seen.path().starts_with("/held") {
            held.pass();
        }
        Reply::ok("to the end")
    });
    let mut balancer = Balancer::up(&site("", &app.address, ""));
    let (mut idle, mut busy) = (balancer.client(), balancer.client());
    let kept = idle.get("/");
    assert_ne!(kept.field("connection").as_deref(), Some("close"));
    busy.send(get("/held", ""));
    let address = balancer.http.clone();
    let other = std::thread::spawn(move || {
        conversation(async {
            let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            let (send, connection) = h2::client::handshake(stream).await.unwrap();
            let ended = tokio::task::spawn_local(connection);
            let mut send = send.ready().await.unwrap();
            let request = ask("GET", &format!("http://{HOST}/held/two"));
            let answer = call(&mut send, request, b"").await.unwrap();
            // GOAWAY without an error, then the end, though the client would stay.
            ended.await.unwrap().unwrap();
            answer.text()
        })
    });
    wait("both are there", || (app.count() == 3).then_some(()));
    let stopping = std::thread::spawn(move || {
        balancer.down();
        balancer
    });
    assert!(idle.is_closed(), "who is idle is let go at once");
    gate.open();
    let answer = busy.response();
    assert_eq!(answer.text(), "to the end");
    assert_eq!(answer.field("connection").unwrap(), "close");
    assert!(busy.is_closed());
    assert_eq!(other.join().unwrap(), "to the end");
    let balancer = stopping.join().unwrap();
    assert!(Client::try_connect(&balancer.http).is_err());
}

#[test]
fn who_does_not_end_is_cut_when_the_time_is_over() {
    let echo = Endpoint::raw(&own_address(), |stream| {
        // Ends with its client.
        let _count = std::io::copy(&mut &stream, &mut &stream);
    });
    let listen = own_address();
    let mut balancer = Balancer::up(&format!(
        "[balancer.limits]\ndrain = \"1s\"\n[backends.app]\nmode = \"tcp\"\n\
         listen = \"{listen}\"\nendpoints = [\"{}\"]\n{UNCHECKED}\n",
        echo.address
    ));
    let mut client = Client::connect(&listen);
    assert_eq!(client.send("hello\n").line().unwrap(), "hello");
    balancer.down();
    assert!(client.is_closed());
}
