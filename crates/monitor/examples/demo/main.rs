//! A DEMO of the live page: an invented site that does not exist, for looking at the page while working
//! on it. `cargo run -p monitor --example demo -- [well|trouble|many] [PORT]`; the real page comes with
//! `mainstay up`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "an example for the terminal"
)]

mod invented;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use invented::{Scene, World};
use monitor::{Parts, start};
use telemetry::{Event, Secret};
use tokio::sync::{mpsc, watch};

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let scene = match arguments.next().as_deref() {
        Some("trouble") => Scene::Trouble,
        Some("many") => Scene::Many,
        _ => Scene::Well,
    };
    let port: u16 = arguments.next().map_or(9480, |port| port.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    // Fifteen minutes in the past, told at once: the charts are full when the page opens.
    let mut world = World::new(scene, now_ms() - 900_000);
    let (status, receiver) = watch::channel(world.status());
    let (events, incoming) = mpsc::channel(64);
    let monitor = start(Parts {
        site: "foobar".into(),
        status: receiver,
        events: incoming,
        event_log: dir.path().join("events.jsonl"),
        webhooks: Vec::new(),
        token: Secret::new("demo"),
    })
    .unwrap();
    for (ago, severity, server, kind, what) in invented::EVENTS {
        let event = Event {
            at_ms: now_ms() - ago * 1000,
            severity,
            server: server.into(),
            subject: server.into(),
            kind: kind.into(),
            what: what.into(),
        };
        events.send(event).await.unwrap();
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    println!("http://127.0.0.1:{port}/?token=demo");
    let routes = monitor.routes();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    tokio::time::pause();
    for _ in 0..900 {
        world.second(Scene::Well);
        status.send_replace(world.status());
        tokio::time::advance(Duration::from_secs(1)).await;
        // For the monitor to take it up.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::resume();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.second(scene);
        status.send_replace(world.status());
    }
}
