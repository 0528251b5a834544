//! Long bodies, small windows, and sides that stop in the middle.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::raw::{self, END_HEADERS, END_STREAM, Raw};
use crate::role::{
    Role, To, app, app_saying, ask, client, client_with, get, on_a_thread, send_all, whole,
};

const LONG: usize = 3 << 20;

fn pattern(length: usize) -> Bytes {
    (0..length)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

/// Sends back what comes, as it comes.
async fn echo(chunked: bool) -> std::net::SocketAddr {
    app(move |mut stream, head| async move {
        let (_, begun) = head.split_once("\r\n\r\n").unwrap();
        let begun = begun.to_owned();
        let framing = match chunked {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {LONG}"),
        };
        let text = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{begun}");
        stream.write_all(text.as_bytes()).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let _end = tokio::io::copy(&mut reading, &mut writing).await;
    })
    .await
}

#[test]
fn long_bodies_go_both_ways_at_once() {
    on_a_thread(async |watch| {
        for (window, chunked) in [
            (65_535, false),
            (65_535, true),
            (1000, true),
            (1 << 20, false),
        ] {
            let address = Role::new(&watch, To::One(echo(chunked).await))
                .listen()
                .await;
            let mut builder = ::h2::client::Builder::new();
            builder.initial_window_size(window);
            let mut send = client_with(address, &builder).await;
            let mut request = ask("POST", "/");
            if !chunked {
                request.headers_mut().insert("content-length", LONG.into());
            }
            let (response, mut body) = send.send_request(request, false).unwrap();
            let sending = send_all(&mut body, pattern(LONG), true);
            let reading = async {
                let (data, _) = whole(response.await.unwrap().into_body()).await.unwrap();
                assert!(data == pattern(LONG), "{window} {chunked}");
            };
            tokio::join!(sending, reading);
        }
    });
}

#[test]
fn a_client_that_does_not_read_keeps_only_itself_waiting() {
    on_a_thread(async |watch| {
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n{}",
            "x".repeat(LONG)
        );
        let mut role = Role::new(&watch, To::One(app_saying(text).await));
        role.idle_body = Duration::from_millis(300);
        let mut builder = ::h2::client::Builder::new();
        builder
            .initial_window_size(10_000)
            .initial_connection_window_size(1 << 20);
        let mut send = client_with(role.listen().await, &builder).await;
        let (stuck, _) = send.send_request(get("/"), true).unwrap();
        let stuck = stuck.await.unwrap();
        let (other, _) = send.send_request(get("/"), true).unwrap();
        let (data, _) = whole(other.await.unwrap().into_body()).await.unwrap();
        assert_eq!(data.len(), LONG);
        // Its time is over, and it is told.
        let mut body = stuck.into_body();
        let broken = loop {
            match body.data().await.unwrap() {
                Ok(_) => {}
                Err(e) => break e,
            }
        };
        assert_eq!(broken.reason(), Some(::h2::Reason::INTERNAL_ERROR));
    });
}

#[test]
fn an_early_answer_ends_the_request_without_an_error() {
    on_a_thread(async |watch| {
        let text = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        let address = Role::new(&watch, To::One(app_saying(text).await))
            .listen()
            .await;
        let mut raw = Raw::connect(address).await;
        let fields = raw::block(&[
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":authority", b"x"),
            (b":path", b"/"),
        ]);
        raw.send(&raw::frame(raw::HEADERS, END_HEADERS, 1, &fields))
            .await;
        raw.send(&raw::frame(raw::DATA, 0, 1, b"begin")).await;
        assert_eq!(raw.wait_for(raw::HEADERS).await.unwrap().status(), 403);
        let data = raw.wait_for(raw::DATA).await.unwrap();
        assert_eq!(
            (data.payload.as_slice(), data.flags),
            (&b"no"[..], END_STREAM)
        );
        assert_eq!(
            raw.wait_for(raw::RST_STREAM).await.unwrap().code(),
            raw::NO_ERROR
        );
    });
}

#[test]
fn a_client_that_gives_up_frees_the_upstream() {
    on_a_thread(async |watch| {
        for with_body in [true, false] {
            let seen_end = Rc::new(Cell::new(false));
            let seen = Rc::clone(&seen_end);
            let upstream = app(move |mut stream, _| {
                let seen = Rc::clone(&seen);
                async move {
                    let _end = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                    seen.set(true);
                }
            })
            .await;
            let mut send = client(Role::new(&watch, To::One(upstream)).listen().await).await;
            let (response, mut body) = send.send_request(ask("POST", "/"), !with_body).unwrap();
            if with_body {
                send_all(&mut body, pattern(100), false).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(!seen_end.get());
            body.send_reset(::h2::Reason::CANCEL);
            drop(response);
            while !seen_end.get() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
}

#[test]
fn an_upload_is_not_taken_faster_than_it_goes_on() {
    on_a_thread(async |watch| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let mut send = client(Role::new(&watch, To::One(upstream)).listen().await).await;
        let (_response, mut body) = send.send_request(ask("POST", "/"), false).unwrap();
        // Larger than all buffers of the sockets between.
        const HUGE: usize = 64 << 20;
        let sent = Cell::new(0);
        let sending = async {
            while sent.get() < HUGE {
                send_all(&mut body, pattern(1 << 14), false).await;
                sent.set(sent.get() + (1 << 14));
            }
        };
        let (mut stream, _) = listener.accept().await.unwrap();
        let stuck = tokio::time::timeout(Duration::from_millis(500), sending).await;
        assert!(
            stuck.is_err(),
            "nobody reads, and {} bytes were taken",
            sent.get()
        );
        let mut some = vec![0; 1 << 20];
        stream.read_exact(&mut some).await.unwrap();
    });
}
