//! What clients may do: how slowly, how much, how often, and from where.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::client::get;
use crate::endpoint::{Endpoint, Gate, Reply};
use crate::queue::gated;
use crate::running::{Balancer, UNCHECKED, site, wait};

#[test]
fn too_slow_is_an_error_on_either_side() {
    let gate = Gate::default();
    let slow = gated(&gate);
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
reason-header = true
[balancer.limits]
request-head = "300ms"
idle-body = "300ms"
[[routes]]
backend = "app"
response-head = "200ms"
[backends.app]
endpoints = ["{}"]
{UNCHECKED}
"#,
        slow.address
    ));
    let late = balancer.client().get("/");
    assert_eq!(
        (late.status, late.reason().as_str()),
        (504, "response-timeout")
    );
    gate.open();
    let slow_head = balancer.client().send("GET / HTTP/1.1\r\nHo").response();
    assert_eq!(
        (slow_head.status, slow_head.reason().as_str()),
        (408, "request-timeout")
    );
    let half = "POST / HTTP/1.1\r\nHost: test.example\r\nContent-Length: 10\r\n\r\nhalf";
    let slow_body = balancer.client().send(half).response();
    assert_eq!(
        (slow_body.status, slow_body.reason().as_str()),
        (408, "request-timeout")
    );
}

#[test]
fn limits_are_of_each_client_and_each_route() {
    let gate = Gate::default();
    let passing = Arc::new(AtomicBool::new(false));
    let (held, quick) = (gate.clone(), Arc::clone(&passing));
    let app = Endpoint::new(move |seen| {
        if seen.path() == "/once" && !quick.load(SeqCst) {
            held.pass();
        }
        Reply::ok("app")
    });
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
reason-header = true
trusted-proxies = ["127.0.0.0/8"]
[balancer.limits]
request-body = "1KiB"
[[routes]]
path-prefix = "/rate"
rate-limit = {{ requests = 3, per = "1h" }}
backend = "app"
[[routes]]
path-prefix = "/key"
rate-limit = {{ requests = 1, per = "1h", key = "header:X-Key" }}
backend = "app"
[[routes]]
path-prefix = "/once"
concurrency = {{ requests = 1 }}
backend = "app"
[[routes]]
path-prefix = "/allowed"
allow = ["203.0.113.0/24"]
deny = ["203.0.113.7"]
backend = "app"
[[routes]]
path-prefix = "/uploads"
request-body = "4KiB"
backend = "app"
[[routes]]
path-prefix = "/"
backend = "app"
[backends.app]
endpoints = ["{}"]
{UNCHECKED}
"#,
        app.address
    ));
    let mut client = balancer.client();
    let mut of = |path: &str, lines: &str| {
        let answer = client.get_with(path, lines);
        (answer.status, answer.reason(), answer.field("retry-after"))
    };
    for _ in 0..3 {
        assert_eq!(of("/rate", "").0, 200);
    }
    let (status, reason, after) = of("/rate", "");
    assert_eq!((status, reason.as_str()), (429, "rate-limited"));
    let after: u32 = after.unwrap().parse().unwrap();
    assert!(
        (1100..=1200).contains(&after),
        "a third of an hour, not {after} s"
    );
    assert_eq!(of("/rate", "X-Forwarded-For: 198.51.100.1\r\n").0, 200);
    for (key, status) in [("a", 200), ("a", 429), ("b", 200)] {
        assert_eq!(of("/key", &format!("X-Key: {key}\r\n")).0, status);
    }
    for (client, status) in [
        ("203.0.113.6", 200),
        ("203.0.113.7", 403),
        ("198.51.100.1", 403),
    ] {
        let (got, reason, _) = of("/allowed", &format!("X-Forwarded-For: {client}\r\n"));
        assert_eq!(got, status, "{client}");
        assert_eq!(reason == "denied", status == 403);
    }

    let mut first = balancer.client();
    first.send(get("/once", ""));
    wait("it is there", || {
        app.seen()
            .iter()
            .any(|seen| seen.path() == "/once")
            .then_some(())
    });
    let (status, reason, _) = of("/once", "");
    assert_eq!((status, reason.as_str()), (429, "too-many-at-once"));
    passing.store(true, SeqCst);
    gate.open();
    assert_eq!(first.response().status, 200);
    // Its place is free when its end was noted, which may be after its last byte.
    wait("the place is free", || {
        (of("/once", "").0 == 200).then_some(())
    });

    too_large(&balancer);
}

fn too_large(balancer: &Balancer) {
    let long = "x".repeat(2000);
    for (path, status) in [("/", 413), ("/uploads", 200)] {
        let answer = balancer.client().post(path, &long);
        assert_eq!(answer.status, status, "{path}");
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: chunked\r\n\r\n\
             7d0\r\n{long}\r\n0\r\n\r\n"
        );
        let answer = balancer.client().send(chunked).response();
        assert_eq!(answer.status, status, "{path}, in chunks");
        assert_eq!(answer.reason() == "body-too-large", status == 413);
    }
}

#[test]
fn proxies_are_believed_only_when_they_are_trusted() {
    let app = Endpoint::new(|seen| {
        let said = |name| seen.field(name).unwrap_or_default();
        Reply::ok(&format!(
            "{} {} {}",
            said("x-forwarded-for"),
            said("x-forwarded-proto"),
            said("x-forwarded-host")
        ))
    });
    let lies = "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.1.2.3\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: shop.example\r\n";
    let balancer = Balancer::up(&site(&[&app.address], ""));
    let seen = balancer.client().get_with("/", lies).text();
    assert_eq!(seen, "127.0.0.1 http test.example");
    drop(balancer);

    let trusting = site(&[&app.address], "").replacen(
        "[balancer]",
        "[balancer]\ntrusted-proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]",
        1,
    );
    let balancer = Balancer::up(&trusting);
    let seen = balancer.client().get_with("/told", lies).text();
    // The chain goes on as it came; who asks is the last that no trusted proxy is.
    let chain = "6.6.6.6, 203.0.113.9, 10.1.2.3, 127.0.0.1";
    assert_eq!(seen, format!("{chain} https shop.example"));
    let line = balancer.logged("/told");
    assert!(line.contains(r#""client":"203.0.113.9""#), "{line}");
    let forwarded = "Forwarded: for=\"[2001:db8::7]:4711\";proto=https\r\n";
    let seen = balancer.client().get_with("/", forwarded).text();
    assert!(seen.starts_with("2001:db8::7, 127.0.0.1 https"), "{seen}");
}
