//! One request after the other, through the role, to an application with HTTP/1.1.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::role::{
    Role, To, app, app_echoing_heads, app_saying, ask, client, get, on_a_thread, whole,
};

#[test]
fn both_versions_are_spoken_on_one_listener() {
    on_a_thread(async |watch| {
        let address = Role::new(&watch, To::One(app_echoing_heads().await))
            .listen()
            .await;
        let mut old = TcpStream::connect(address).await.unwrap();
        old.write_all(b"P").await.unwrap();
        old.write_all(b"UT /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut text = String::new();
        old.read_to_string(&mut text).await.unwrap();
        assert!(
            text.contains("\r\n\r\nPUT /a HTTP/1.1\r\nHost: x\r\n"),
            "{text}"
        );

        let mut send = client(address).await;
        for path in ["/a", "/b?c=d"] {
            let (response, _) = send.send_request(get(path), true).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            let (body, _) = whole(response.into_body()).await.unwrap();
            let text = String::from_utf8(body).unwrap();
            assert_eq!(
                text,
                format!("GET {path} HTTP/1.1\r\nHost: www.foobar.com\r\n\r\n")
            );
        }
    });
}

#[test]
fn fields_bodies_and_trailers_go_up() {
    on_a_thread(async |watch| {
        let address = Role::new(&watch, To::One(app_echoing_heads().await))
            .listen()
            .await;
        let mut send = client(address).await;
        let mut request = ask("POST", "/");
        let fields = request.headers_mut();
        fields.append("cookie", "a=1".parse().unwrap());
        fields.append("cookie", "b=2".parse().unwrap());
        fields.append("te", "trailers".parse().unwrap());
        let (response, mut body) = send.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"hello"), false).unwrap();
        let mut trailers = http_types::HeaderMap::new();
        trailers.insert("checksum", "5".parse().unwrap());
        trailers.insert("content-length", "7".parse().unwrap());
        body.send_trailers(trailers).unwrap();
        let (text, _) = whole(response.await.unwrap().into_body()).await.unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "POST / HTTP/1.1\r\nHost: www.foobar.com\r\ncookie: a=1; b=2\r\n\
             Transfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n\r\n\
             5\r\nhello\r\n0\r\nchecksum: 5\r\n\r\n"
        );
    });
}

#[test]
fn responses_come_down_in_every_framing() {
    on_a_thread(async |watch| {
        for (text, method, status, body) in [
            ("200 OK\r\nContent-Length: 2\r\n\r\nhi", "GET", 200, "hi"),
            ("200 OK\r\n\r\nhi", "GET", 200, "hi"),
            (
                "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
                "GET",
                200,
                "hi",
            ),
            (
                "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "GET",
                200,
                "",
            ),
            ("200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD", 200, ""),
            ("204 No Content\r\n\r\n", "GET", 204, ""),
            (
                "304 Not Modified\r\nContent-Length: 2\r\n\r\n",
                "GET",
                304,
                "",
            ),
            ("200 OK\r\nContent-Length: 0\r\n\r\n", "GET", 200, ""),
            (
                "404 Nope\r\nConnection: close, X-A\r\nX-A: b\r\nContent-Length: 2\r\n\r\nno",
                "GET",
                404,
                "no",
            ),
        ] {
            let upstream = app_saying(format!("HTTP/1.1 {text}")).await;
            let mut send = client(Role::new(&watch, To::One(upstream)).listen().await).await;
            let (response, _) = send.send_request(ask(method, "/"), true).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), status, "{text:?}");
            assert!(response.headers().get("x-a").is_none());
            assert!(response.headers().get("connection").is_none());
            if method == "HEAD" || status == 304 {
                assert_eq!(response.headers()["content-length"], "2");
                assert!(response.body().is_end_stream());
            }
            let (data, _) = whole(response.into_body()).await.unwrap();
            assert_eq!(String::from_utf8(data).unwrap(), body, "{text:?}");
        }
    });
}

#[test]
fn trailers_come_down() {
    on_a_thread(async |watch| {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\
            Checksum: 7\r\nContent-Length: 9\r\n\r\n";
        for step in [1, 3, 8, text.len()] {
            let upstream = app(move |mut stream, _| async move {
                stream.set_nodelay(true).unwrap();
                for piece in text.as_bytes().chunks(step) {
                    stream.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
            .await;
            let mut send = client(Role::new(&watch, To::One(upstream)).listen().await).await;
            let (response, _) = send.send_request(get("/"), true).unwrap();
            let (data, trailers) = whole(response.await.unwrap().into_body()).await.unwrap();
            assert_eq!(data, b"hi");
            assert_eq!(trailers["checksum"], "7");
            assert_eq!(trailers.len(), 1);
        }
    });
}

#[test]
fn informational_responses_come_down() {
    on_a_thread(async |watch| {
        let text = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        let address = Role::new(&watch, To::One(app_saying(text).await))
            .listen()
            .await;
        let mut send = client(address).await;
        let (mut response, _) = send.send_request(get("/"), true).unwrap();
        let early = std::future::poll_fn(|cx| response.poll_informational(cx)).await;
        let early = early.unwrap().unwrap();
        assert_eq!(
            (early.status().as_u16(), &early.headers()["link"]),
            (103, &"</a.css>".parse().unwrap())
        );
        assert_eq!(response.await.unwrap().status(), 200);
    });
}

#[test]
fn a_response_that_breaks_off_is_not_made_to_look_whole() {
    on_a_thread(async |watch| {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        ] {
            let address = Role::new(&watch, To::One(app_saying(text).await))
                .listen()
                .await;
            let mut send = client(address).await;
            let (response, _) = send.send_request(get("/"), true).unwrap();
            let broken = match response.await {
                Ok(response) => whole(response.into_body()).await.unwrap_err(),
                Err(e) => e,
            };
            assert_eq!(
                broken.reason(),
                Some(::h2::Reason::INTERNAL_ERROR),
                "{broken}"
            );
        }
    });
}

#[test]
fn a_body_without_an_end_of_its_own_breaks_off_with_a_reset() {
    on_a_thread(async |watch| {
        // It neither goes on nor ends, so the role gives up.
        let upstream = app(|mut stream, _| async move {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nhi")
                .await
                .unwrap();
            std::future::pending().await
        })
        .await;
        let mut role = Role::new(&watch, To::One(upstream));
        role.idle_body = std::time::Duration::from_millis(200);
        let mut send = client(role.listen().await).await;
        let (response, _) = send.send_request(get("/"), true).unwrap();
        let broken = whole(response.await.unwrap().into_body())
            .await
            .unwrap_err();
        assert_eq!(broken.reason(), Some(::h2::Reason::INTERNAL_ERROR));
    });
}
