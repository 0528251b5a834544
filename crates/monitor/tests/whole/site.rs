//! An invented site, a browser of few words, and a receiver of alerts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use monitor::limits::{Hold, Holds, Limits, Webhook};
use monitor::status::{EndpointStatus, ServerStatus, SiteStatus, State, Traffic};
use monitor::{Monitor, Parts, start_with};
use telemetry::{Event, Secret, Severity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

pub(crate) const TOKEN: &str = "5ecret5ecret";

/// As long as any of these tests may wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn status(app_1_up: bool, state: State) -> SiteStatus {
    let endpoint = |name: &str, up: bool| EndpointStatus {
        balancer: "lb-1".into(),
        backend: "web".to_owned(),
        standing: "up".to_owned(),
        weight: 1,
        wished_weight: None,
        backup: false,
        name: name.into(),
        address: "127.0.0.1:1".into(),
        up,
        since_ms: 1,
        reason: if up { "" } else { "connection refused" }.into(),
        requests: 1,
        failures: 0,
        open: 0,
    };
    SiteStatus {
        backup: None,
        site: "foobar".into(),
        at_ms: 1,
        state,
        problems: Vec::new(),
        urls: Vec::new(),
        dashboard: None,
        release: "r1".into(),
        servers: vec![ServerStatus {
            name: "lb-1".into(),
            address: "127.0.0.1".into(),
            roles: vec!["balancer".into()],
            processes: Vec::new(),
        }],
        endpoints: vec![endpoint("app-1", app_1_up), endpoint("app-2", true)],
        members: Vec::new(),
        generation: 1,
        paused: false,
        traffic: Traffic::default(),
    }
}

/// Everything a hundred times quicker than in earnest.
pub(crate) fn quick() -> Limits {
    let hold = Hold {
        fire_after: Duration::from_millis(50),
        over_after: Duration::from_millis(50),
    };
    Limits {
        look_every: Duration::from_millis(10),
        listeners: 2,
        live_at_least: Duration::from_millis(300),
        holds: Holds {
            site_down: hold,
            no_primary: hold,
            endpoint_down: hold,
            replica_broken: hold,
            replica_rebuilding: hold,
            replica_lags: hold,
            backup_failed: hold,
            backup_old: hold,
            backup_not_verified: hold,
            crash_looping: hold,
        },
        webhook: Webhook {
            first_wait: Duration::from_millis(10),
            longest_wait: Duration::from_millis(100),
            ..Webhook::default()
        },
        ..Limits::default()
    }
}

pub(crate) struct Site {
    pub(crate) status: watch::Sender<SiteStatus>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) monitor: Monitor,
    pub(crate) address: String,
    _dir: tempfile::TempDir,
}

pub(crate) async fn site(webhooks: Vec<String>) -> Site {
    let dir = tempfile::tempdir().unwrap();
    let (status_sender, status_receiver) = watch::channel(status(true, State::Serving));
    let (events, incoming) = mpsc::channel(16);
    let parts = Parts {
        site: "foobar".into(),
        status: status_receiver,
        events: incoming,
        event_log: dir.path().join("events.jsonl"),
        webhooks,
        token: Secret::new(TOKEN),
    };
    let monitor = start_with(parts, &quick()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // As the agent does it: beside the metrics, which are open.
    let metrics = Router::new().route("/metrics", get(|| async { "metrics" }));
    let routes = metrics.merge(monitor.routes());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    Site {
        status: status_sender,
        events,
        monitor,
        address,
        _dir: dir,
    }
}

impl Site {
    pub(crate) fn set(&self, app_1_up: bool) {
        let state = if app_1_up {
            State::Serving
        } else {
            State::Degraded
        };
        self.status.send_replace(status(app_1_up, state));
    }

    pub(crate) async fn tell(&self, kind: &str) {
        let event = Event {
            at_ms: 1,
            severity: Severity::Info,
            server: String::new(),
            subject: "site".into(),
            kind: kind.into(),
            what: format!("<b>{kind}</b>"),
        };
        self.events.send(event).await.unwrap();
    }

    pub(crate) async fn get(&self, path: &str, headers: &str) -> String {
        let mut stream = self.open(path, headers).await;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    pub(crate) async fn open(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let host = &self.address;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn ended(self) {
        let Self {
            status,
            events,
            monitor,
            ..
        } = self;
        drop((status, events));
        within(monitor.stop()).await;
    }
}

pub(crate) fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

/// Reads until `found` has been seen; returns all that was read.
pub(crate) async fn read_until(stream: &mut TcpStream, found: &str) -> String {
    let mut text = String::new();
    within(async {
        let mut part = [0; 4096];
        while !text.contains(found) {
            let count = stream.read(&mut part).await.unwrap();
            assert!(count > 0, "it ended without {found:?}: {text}");
            text.push_str(&String::from_utf8_lossy(&part[..count]));
        }
    })
    .await;
    text
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

/// Answers 503 to the first posts, then takes them.
#[derive(Clone)]
pub(crate) struct Receiver {
    refusals_left: Arc<Mutex<u32>>,
    pub(crate) asked: Arc<Mutex<u32>>,
    got: mpsc::Sender<serde_json::Value>,
}

pub(crate) async fn receiver(
    refusals: u32,
) -> (String, Receiver, mpsc::Receiver<serde_json::Value>) {
    let (got, posts) = mpsc::channel(64);
    let receiver = Receiver {
        refusals_left: Arc::new(Mutex::new(refusals)),
        asked: Arc::default(),
        got,
    };
    let routes = Router::new()
        .route("/hook", post(take))
        .with_state(receiver.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?key=hush", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (url, receiver, posts)
}

async fn take(
    Shared(receiver): Shared<Receiver>,
    Json(body): Json<serde_json::Value>,
) -> StatusCode {
    *receiver.asked.lock().unwrap() += 1;
    {
        let mut left = receiver.refusals_left.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
    }
    receiver.got.send(body).await.unwrap();
    StatusCode::OK
}
