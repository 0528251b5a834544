//! Posts over https, and what is said of an address.

use std::io::{Read, Write};
use std::net::TcpListener;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use ureq::tls::Certificate;

use super::*;
use crate::alert::rules::Kind;
use crate::alert::state::Phase;

#[test]
fn only_the_host_is_named() {
    for (url, expected) in [
        (
            "https://hooks.example.org/services/T0/B0/s3cret",
            "hooks.example.org",
        ),
        (
            "https://user:s3cret@hooks.example.org:8443?t=s3cret",
            "hooks.example.org",
        ),
        ("http://[::1]:9000/s3cret", "::1"),
        ("http://127.0.0.1:9#s3cret", "127.0.0.1"),
        ("nonsense", "nonsense"),
    ] {
        assert_eq!(host(url), expected);
    }
}

/// A receiver with a certificate of its own, which answers 204; what it was sent, when it got that far.
fn receiver() -> (
    String,
    Certificate<'static>,
    std::thread::JoinHandle<String>,
) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}/hush",
        listener.local_addr().unwrap().port()
    );
    let trust = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let served = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        let mut text = String::new();
        let mut part = [0; 4096];
        while !text.ends_with('}') {
            match stream.read(&mut part) {
                Ok(count) if count > 0 => text.push_str(&String::from_utf8_lossy(&part[..count])),
                _ => return text,
            }
        }
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .unwrap();
        text
    });
    (url, trust, served)
}

fn alert() -> Alert {
    Alert {
        id: "site-down:site".into(),
        alert: Kind::SiteDown,
        state: Phase::Firing,
        severity: Severity::Error,
        subject: "site".into(),
        what: "no endpoint is up".into(),
        next: "Look.",
        since_ms: 0,
        until_ms: None,
        stopped: false,
    }
}

/// Posts once; the log afterwards.
async fn post(url: String, trust: RootCerts) -> Vec<Event> {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(&dir.path().join("events.jsonl")).unwrap();
    let limits = limits::Webhook {
        attempts: 1,
        ..limits::Webhook::default()
    };
    let webhook = start_one("foobar", Secret::new(url), trust, limits, log.clone()).unwrap();
    webhook.send(alert());
    webhook.finish(Duration::from_secs(20)).await;
    log.recent(10)
}

#[tokio::test]
async fn https_with_an_authority_of_this_machine() {
    let (url, trust, served) = receiver();
    let log = post(url, [trust].into_iter().into()).await;
    assert_eq!(log, []);
    let request = served.join().unwrap();
    assert!(request.starts_with("POST /hush HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\"alert\":\"site-down\""), "{request}");
}

#[tokio::test]
async fn https_with_an_authority_that_nobody_knows() {
    let (url, _, served) = receiver();
    let log = post(url, trust::authorities()).await;
    assert_eq!(served.join().unwrap(), "");
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].kind, "webhook-failed");
    assert!(log[0].what.contains("certificate"), "{}", log[0].what);
    assert!(!format!("{log:?}").contains("hush"));
}
