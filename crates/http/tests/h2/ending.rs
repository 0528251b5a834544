//! Who ends a connection, and how.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use crate::raw::{self, END_HEADERS, END_STREAM, Raw};
use crate::role::{Role, To, app, app_echoing_heads, app_saying, client, get, on_a_thread, whole};

#[test]
fn a_drain_lets_open_streams_finish() {
    on_a_thread(async |watch| {
        let release = Rc::new(Notify::new());
        let released = Rc::clone(&release);
        let upstream = app(move |mut stream, _| {
            let released = Rc::clone(&released);
            async move {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
                    .await
                    .unwrap();
                released.notified().await;
                stream.write_all(b"i").await.unwrap();
            }
        })
        .await;
        let mut send = client(Role::new(&watch, To::One(upstream)).listen().await).await;
        let (response, _) = send.send_request(get("/"), true).unwrap();
        let response = response.await.unwrap();
        watch.drain();
        // Told, before the open stream ends.
        while std::future::poll_fn(|cx| send.poll_ready(cx)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        release.notify_one();
        let (data, _) = whole(response.into_body()).await.unwrap();
        assert_eq!(data, b"hi");
        while watch.open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn an_idle_connection_is_ended_in_order() {
    on_a_thread(async |watch| {
        let mut role = Role::new(&watch, To::One(app_echoing_heads().await));
        role.keep_alive = Duration::from_millis(300);
        let mut raw = Raw::connect(role.listen().await).await;
        let began = Instant::now();
        raw.send(&raw::frame(
            raw::HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &raw::get(&[]),
        ))
        .await;
        let away = raw.wait_for(raw::GOAWAY).await.unwrap();
        assert_eq!(away.code(), raw::NO_ERROR);
        assert!(began.elapsed() >= Duration::from_millis(300));
        let ping = raw.wait_for(raw::PING).await.unwrap();
        raw.send(&raw::frame(raw::PING, raw::ACK, 0, &ping.payload))
            .await;
        let away = raw.wait_for(raw::GOAWAY).await.unwrap();
        assert_eq!((away.code(), away.payload[3]), (raw::NO_ERROR, 1));
        assert!(raw.next().await.is_none());
    });
}

#[test]
fn a_peer_that_says_nothing_more_is_let_go() {
    on_a_thread(async |watch| {
        let mut role = Role::new(&watch, To::One(app_echoing_heads().await));
        role.keep_alive = Duration::from_millis(100);
        let address = role.listen().await;
        // Silent before, and silent after the GOAWAY; and one that never sends settings.
        let _silent = Raw::connect(address).await;
        let mut bare = tokio::net::TcpStream::connect(address).await.unwrap();
        bare.write_all(http::h2::preface::PREFACE).await.unwrap();
        while watch.open() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let began = Instant::now();
        while watch.open() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
    });
}

#[test]
fn a_peer_that_reads_nothing_is_let_go() {
    on_a_thread(async |watch| {
        let text = "x".repeat(40_000);
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n{text}");
        let mut role = Role::new(&watch, To::One(app_saying(text).await));
        role.keep_alive = Duration::from_millis(300);
        role.idle_body = Duration::from_millis(300);
        // No window at all: the response waits, then its time is over, then the connection's.
        let mut raw = Raw::connect_with(role.listen().await, &[(4, 0)]).await;
        raw.send(&raw::frame(
            raw::HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &raw::get(&[]),
        ))
        .await;
        assert_eq!(raw.wait_for(raw::HEADERS).await.unwrap().status(), 200);
        while watch.open() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}
