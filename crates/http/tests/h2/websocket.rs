//! WebSocket over HTTP/2 (RFC 8441), on either side and on both.

use std::net::SocketAddr;

use ::h2::ext::Protocol;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::role::{Role, To, app, app_saying, ask, client, on_a_thread, whole};

/// The example of RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn connect() -> http_types::Request<()> {
    let mut request = ask("CONNECT", "/chat");
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    request
        .headers_mut()
        .insert("sec-websocket-protocol", "chat".parse().unwrap());
    request
}

/// Echoes behind its 101, and says `bye` at the end.
async fn app_echoing() -> SocketAddr {
    app(|mut stream, head| async move {
        assert!(head.starts_with("GET /chat HTTP/1.1\r\n"), "{head}");
        for line in ["Upgrade: websocket", "Connection: upgrade", "sec-websocket-protocol: chat"] {
            assert!(head.contains(line), "{head}");
        }
        assert!(head.contains("Sec-WebSocket-Key: ") || head.contains("sec-websocket-key: "), "{head}");
        let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello";
        stream.write_all(text.as_bytes()).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        tokio::io::copy(&mut reading, &mut writing).await.unwrap();
        writing.write_all(b"bye").await.unwrap();
    })
    .await
}

/// The same with HTTP/2.
async fn app_echoing_two() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut builder = ::h2::server::Builder::new();
        let mut connection = builder
            .enable_connect_protocol()
            .handshake::<_, Bytes>(stream)
            .await
            .unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            assert_eq!(request.method(), "CONNECT");
            assert_eq!(
                request.extensions().get::<Protocol>().unwrap().as_str(),
                "websocket"
            );
            assert_eq!(request.uri().path(), "/chat");
            assert!(request.headers().get("sec-websocket-key").is_none());
            let mut response = http_types::Response::new(());
            response
                .headers_mut()
                .insert("sec-websocket-protocol", "chat".parse().unwrap());
            let mut send = respond.send_response(response, false).unwrap();
            send.send_data(Bytes::from_static(b"hello"), false).unwrap();
            spawn_local(async move {
                let mut body = request.into_body();
                while let Some(Ok(data)) = body.data().await {
                    send.send_data(data, false).unwrap();
                }
                send.send_data(Bytes::from_static(b"bye"), true).unwrap();
            });
        }
    });
    address
}

async fn settled(send: &mut ::h2::client::SendRequest<Bytes>) {
    while !send.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_client_of_http_2_talks_both_ways_until_both_ends() {
    on_a_thread(async |watch| {
        for to in [
            To::One(app_echoing().await),
            To::two(app_echoing_two().await),
        ] {
            let mut send = client(Role::new(&watch, to).listen().await).await;
            settled(&mut send).await;
            let (response, mut up) = send.send_request(connect(), false).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
            assert!(response.headers().get("sec-websocket-accept").is_none());
            let mut down = response.into_body();
            assert_eq!(down.data().await.unwrap().unwrap(), "hello");
            up.send_data(Bytes::from_static(b"ping"), false).unwrap();
            assert_eq!(down.data().await.unwrap().unwrap(), "ping");
            up.send_data(Bytes::new(), true).unwrap();
            let (rest, _) = whole(down).await.unwrap();
            assert_eq!(rest, b"bye");
        }
    });
}

#[test]
fn a_client_of_http_1_reaches_an_upstream_of_http_2() {
    on_a_thread(async |watch| {
        let address = Role::new(&watch, To::two(app_echoing_two().await))
            .listen()
            .await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let text = format!(
            "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut seen = String::new();
        while !seen.ends_with("\r\n\r\nhello") {
            let mut buf = [0; 1000];
            let count = stream.read(&mut buf).await.unwrap();
            assert!(count > 0, "{seen}");
            seen += std::str::from_utf8(&buf[..count]).unwrap();
        }
        assert!(seen.starts_with("HTTP/1.1 101 "), "{seen}");
        assert!(
            seen.contains(&format!("Sec-WebSocket-Accept: {ACCEPT}\r\n")),
            "{seen}"
        );
        stream.write_all(b"ping").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "pingbye");
    });
}

#[test]
fn a_refusal_comes_down_and_never_as_a_success() {
    on_a_thread(async |watch| {
        for (said, status) in [("403 Forbidden", 403), ("200 OK", 502)] {
            let text = format!("HTTP/1.1 {said}\r\nContent-Length: 2\r\n\r\nno");
            let address = Role::new(&watch, To::One(app_saying(text).await))
                .listen()
                .await;
            let mut send = client(address).await;
            settled(&mut send).await;
            let (response, _up) = send.send_request(connect(), false).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), status);
            let (data, _) = whole(response.into_body()).await.unwrap();
            assert_eq!(data, b"no");
        }
    });
}

#[test]
fn other_tunnels_are_refused() {
    on_a_thread(async |watch| {
        let upstream = app(|_, _| async { unreachable!() }).await;
        let mut send = client(Role::new(&watch, To::One(upstream)).listen().await).await;
        settled(&mut send).await;
        let mut plain = http_types::Request::new(());
        *plain.method_mut() = http_types::Method::CONNECT;
        *plain.uri_mut() = "x:443".parse().unwrap();
        let mut other = connect();
        other
            .extensions_mut()
            .insert(Protocol::from_static("connect-udp"));
        for request in [plain, other] {
            let (response, _up) = send.send_request(request, false).unwrap();
            assert_eq!(response.await.unwrap().status(), 501);
        }
    });
}

#[test]
fn an_upstream_that_takes_no_websocket_is_not_asked() {
    on_a_thread(async |watch| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        spawn_local(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = ::h2::server::handshake(stream).await.unwrap();
            assert!(
                connection
                    .accept()
                    .await
                    .is_none_or(|accepted| accepted.is_err())
            );
        });
        let mut send = client(Role::new(&watch, To::two(address)).listen().await).await;
        settled(&mut send).await;
        let (response, _up) = send.send_request(connect(), false).unwrap();
        assert_eq!(response.await.unwrap().status(), 502);
    });
}
