//! A link by itself: what an upstream allows, refuses, and how it ends.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::client::Upstream;
use http::deadline::Watch;
use http::h2::{Link, Links, client as link};
use http::retry::{Attempt, is_harmless};
use http::{Fault, Kind, Phase, Stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::raw::{self, END_HEADERS, Raw};
use crate::role::{PATIENCE, app_saying, on_a_thread};
use crate::upstream::{GET, app_raw, app_two};

async fn linked(watch: &Rc<Watch>, address: SocketAddr) -> Link {
    let stream = Stream::Tcp(TcpStream::connect(address).await.unwrap());
    let (link, driver) = link::connect(stream, &watch.deadline(), PATIENCE)
        .await
        .unwrap();
    spawn_local(driver);
    link
}

/// Writes a request to a stream of a link and waits for what comes.
async fn ask_on(link: &Link, text: &str) -> Result<String, Kind> {
    let mut upstream = Upstream {
        stream: link.open().unwrap(),
        buffer: http::Buffer::with_capacity(http::limits::BUFFER),
        reused: true,
    };
    let (mut sent, mut seen) = (0, Vec::new());
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        while sent < text.len() {
            match upstream.stream.poll_write(cx, &text.as_bytes()[sent..]) {
                Poll::Ready(count) => sent += count?,
                Poll::Pending => return Poll::<Result<(), Kind>>::Pending,
            }
        }
        loop {
            let mut buf = [0; 1000];
            match upstream.stream.poll_read(cx, &mut buf) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(count) => seen.extend(&buf[..count?]),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await?;
    Ok(String::from_utf8(seen).unwrap())
}

const SENT_POST: Attempt = Attempt {
    sent: true,
    reused: true,
    idempotent: false,
    replayable: true,
    number: 1,
    limit: 3,
};

#[test]
fn a_response_is_text() {
    on_a_thread(async |watch| {
        let address = app_two(|request, mut respond| async move {
            assert_eq!(request.uri().to_string(), "http://x/a?b=c");
            assert_eq!(request.headers().len(), 1);
            let early = http_types::Response::builder()
                .status(103)
                .body(())
                .unwrap();
            respond.send_informational(early).unwrap();
            let mut send = respond
                .send_response(http_types::Response::new(()), false)
                .unwrap();
            send.send_data(Bytes::from_static(b"hello"), false).unwrap();
            let mut trailers = http_types::HeaderMap::new();
            trailers.insert("checksum", "5".parse().unwrap());
            send.send_trailers(trailers).unwrap();
        })
        .await;
        let link = linked(&watch, address).await;
        let text = "GET /a?b=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: */*\r\n\r\n";
        assert_eq!(
            ask_on(&link, text).await.unwrap(),
            "HTTP/1.1 103 Early Hints\r\n\r\n\
             HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             5\r\nhello\r\n0\r\nchecksum: 5\r\n\r\n"
        );
        assert_eq!(link.open_streams(), 0);
        assert!(link.idle_since().is_some());
    });
}

#[test]
fn a_refused_stream_is_known_to_be_harmless() {
    on_a_thread(async |watch| {
        let address = app_raw(&[], |mut raw| async move {
            let head = raw.wait_for(raw::HEADERS).await.unwrap();
            let code = raw::REFUSED_STREAM.to_be_bytes();
            raw.send(&raw::frame(raw::RST_STREAM, 0, head.stream, &code))
                .await;
            let head = raw.wait_for(raw::HEADERS).await.unwrap();
            raw.send(&raw::frame(
                raw::RST_STREAM,
                0,
                head.stream,
                &2_u32.to_be_bytes(),
            ))
            .await;
            std::future::pending().await
        })
        .await;
        let link = linked(&watch, address).await;
        let kind = ask_on(&link, GET).await.unwrap_err();
        assert_eq!(kind, Kind::NotHandled);
        assert!(is_harmless(
            &SENT_POST,
            &Fault::upstream(Phase::ResponseHead, kind)
        ));
        let kind = ask_on(&link, GET).await.unwrap_err();
        assert_eq!(kind, Kind::Io(std::io::ErrorKind::ConnectionReset));
        assert!(!is_harmless(
            &SENT_POST,
            &Fault::upstream(Phase::ResponseHead, kind)
        ));
        assert!(link.is_usable());
    });
}

#[test]
fn a_goaway_lets_go_what_was_not_begun_and_keeps_the_rest() {
    on_a_thread(async |watch| {
        let address = app_raw(&[], |mut raw| async move {
            raw.wait_for(raw::HEADERS).await.unwrap();
            raw.wait_for(raw::HEADERS).await.unwrap();
            // The first is the last one looked at.
            let payload = [1_u32.to_be_bytes(), raw::NO_ERROR.to_be_bytes()].concat();
            raw.send(&raw::frame(raw::GOAWAY, 0, 0, &payload)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            raw.send(&raw::frame(raw::HEADERS, END_HEADERS, 1, &[0x88]))
                .await;
            raw.send(&raw::frame(raw::DATA, raw::END_STREAM, 1, b"hi"))
                .await;
            std::future::pending().await
        })
        .await;
        let link = linked(&watch, address).await;
        let (first, second) = tokio::join!(ask_on(&link, GET), ask_on(&link, GET));
        assert!(first.unwrap().ends_with("2\r\nhi\r\n0\r\n\r\n"));
        assert_eq!(second.unwrap_err(), Kind::NotHandled);
        assert!(link.open().is_none());
        assert!(!link.is_usable());
    });
}

#[test]
fn an_upstream_that_dies_may_have_acted() {
    on_a_thread(async |watch| {
        let address = app_raw(&[], |mut raw| async move {
            raw.wait_for(raw::HEADERS).await.unwrap();
        })
        .await;
        let link = linked(&watch, address).await;
        let kind = ask_on(&link, GET).await.unwrap_err();
        let fault = Fault::upstream(Phase::ResponseHead, kind);
        assert!(!is_harmless(&SENT_POST, &fault), "{fault}");
        let idempotent = Attempt {
            idempotent: true,
            ..SENT_POST
        };
        assert!(is_harmless(&idempotent, &fault), "{fault}");
        while link.is_usable() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_link_has_as_many_streams_as_the_upstream_allows() {
    on_a_thread(async |watch| {
        let address = app_raw(&[(3, 2)], |mut raw| async move {
            // Its answer to GOAWAY and PING is silence.
            while raw.next().await.is_some() {}
        })
        .await;
        let link = linked(&watch, address).await;
        let first = link.open().unwrap();
        let _second = link.open().unwrap();
        assert!(link.open().is_none());
        assert!(link.is_usable());
        drop(first);
        let links = Links::default();
        links.add(link);
        assert!(links.open().is_some());
    });
}

#[test]
fn who_does_not_speak_it_is_no_upstream() {
    on_a_thread(async |watch| {
        let text = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        let stream = Stream::Tcp(TcpStream::connect(app_saying(text).await).await.unwrap());
        assert!(
            link::connect(stream, &watch.deadline(), PATIENCE)
                .await
                .is_err()
        );
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(silent.local_addr().unwrap())
            .await
            .unwrap();
        let within = Duration::from_millis(100);
        let made = link::connect(Stream::Tcp(stream), &watch.deadline(), within).await;
        assert_eq!(made.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    });
}

#[test]
fn a_driver_ends_with_its_link() {
    on_a_thread(async |watch| {
        // One that closes in order, and one that is stuck.
        let polite = app_two(|_, _| async {}).await;
        let stuck = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rude = stuck.local_addr().unwrap();
        spawn_local(async move {
            let (stream, _) = stuck.accept().await.unwrap();
            let _raw = Raw::accepted(stream, &[]).await;
            std::future::pending::<()>().await
        });
        for address in [polite, rude] {
            let stream = Stream::Tcp(TcpStream::connect(address).await.unwrap());
            let (link, driver) = link::connect(stream, &watch.deadline(), PATIENCE)
                .await
                .unwrap();
            let driver = spawn_local(driver);
            tokio::task::yield_now().await;
            assert!(!driver.is_finished());
            drop(link);
            driver.await.unwrap();
        }
    });
}
