//! How endpoints come and go: by checks of every kind, by their requests, and what is seen of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::SeqCst};

use bytes::Bytes;

use crate::endpoint::{Endpoint, Reply};
use crate::running::{Balancer, HEALTH, UNCHECKED, own_address, wait};
use crate::two;

#[test]
fn a_check_asks_as_it_is_told_and_looks_at_the_answer() {
    let status = Arc::new(AtomicU16::new(201));
    let shown = Arc::clone(&status);
    let good = Endpoint::at(&own_address(), move |_| {
        Reply::Text(shown.load(SeqCst), "state: ok".to_owned())
    });
    let other = Endpoint::at(&own_address(), |_| {
        Reply::Text(201, "state: bad".to_owned())
    });
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{}", name = "good" }}, {{ address = "{}", name = "other" }}]
[backends.app.health]
path = "/ready?deep=1"
method = "OPTIONS"
host = "checks.example"
headers = {{ X-Check = "1" }}
status = ["201", "300-399"]
body = "^state: ok$"
interval = "100ms"
timeout = "100ms"
rise = 1
"#,
        good.address, other.address
    ));
    balancer.wait_until_up(&["good"]);
    let check = &good.checks()[0];
    assert_eq!((check.method(), check.path()), ("OPTIONS", "/ready?deep=1"));
    assert_eq!(check.field("host").unwrap(), "checks.example");
    assert_eq!(check.field("x-check").unwrap(), "1");
    let reason = balancer.endpoint("other")["reason"].to_string();
    assert!(reason.contains("state: bad"), "{reason}");

    status.store(200, SeqCst);
    balancer.wait_until_up(&[]);
    let reason = balancer.endpoint("good")["reason"].to_string();
    assert!(reason.contains("answered 200"), "{reason}");
    status.store(302, SeqCst);
    balancer.wait_until_up(&["good"]);
}

#[test]
fn chunked_bodies_and_ports_of_their_own_are_checked() {
    let checked = Endpoint::at(&own_address(), |_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        Reply::Raw(format!("{head}3\r\nall\r\n5\r\n good\r\n0\r\n\r\n"))
    });
    let (address, port) = checked.address.rsplit_once(':').unwrap();
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{address}:9", name = "a" }}]
health = {{ interval = "100ms", timeout = "100ms", port = {port}, body = "all good" }}
"#
    ));
    balancer.wait_until_up(&["a"]);
}

#[test]
fn rise_and_fall_are_counted_and_every_change_is_told() {
    let healthy = Arc::new(AtomicBool::new(true));
    let shown = Arc::clone(&healthy);
    let coming = Endpoint::at(&own_address(), move |seen| {
        match seen.is_check() && !shown.load(SeqCst) {
            true => Reply::Text(500, "no database".to_owned()),
            false => Reply::ok("coming"),
        }
    });
    let staying = Endpoint::named("staying");
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{}", name = "coming" }}, {{ address = "{}", name = "staying" }}]
health = {{ interval = "100ms", timeout = "100ms", rise = 3, fall = 3, status = ["200"] }}
"#,
        coming.address, staying.address
    ));
    balancer.wait_until_up(&["coming", "staying"]);
    assert!(balancer.events("endpoint-down").is_empty());

    let before = coming.checks().len();
    healthy.store(false, SeqCst);
    balancer.wait_until_up(&["staying"]);
    assert!(
        coming.checks().len() >= before + 3,
        "down before the third failure"
    );
    let down = balancer.endpoint("coming");
    assert_eq!(down["standing"], "health checks fail");
    assert!(
        down["reason"].to_string().contains("answered 500"),
        "{down}"
    );
    assert!(down["since_ms"].as_u64() > balancer.endpoint("staying")["since_ms"].as_u64());
    let mut client = balancer.client();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "staying");
    }
    let event = wait("an event", || {
        balancer.events("endpoint-down").first().cloned()
    });
    assert_eq!(event["subject"], "endpoint coming");
    assert!(
        event["what"].to_string().contains("answered 500"),
        "{event}"
    );
    let labels = |name| format!(r#"backend="app",endpoint="{name}""#);
    let up = |name| balancer.metric("mainstay_endpoint_up", &labels(name));
    assert_eq!((up("coming"), up("staying")), (0.0, 1.0));
    let all = balancer.metric("mainstay_backend_endpoints_up", r#"backend="app""#);
    assert_eq!(all, 1.0);

    let before = coming.checks().len();
    healthy.store(true, SeqCst);
    balancer.wait_until_up(&["coming", "staying"]);
    assert!(
        coming.checks().len() >= before + 3,
        "up before the third success"
    );
    wait("an event", || {
        balancer.events("endpoint-up").first().cloned()
    });
    let answers = [client.get("/").text(), client.get("/").text()];
    assert!(answers.contains(&"coming".to_owned()), "{answers:?}");
}

#[test]
fn a_check_of_tcp_needs_a_connection_and_nothing_else() {
    let mut silent = Endpoint::raw(&own_address(), |stream| {
        let _byte = std::io::Read::read(&mut &stream, &mut [0]);
    });
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{}", name = "silent" }}]
health = {{ kind = "tcp", interval = "100ms", timeout = "100ms", rise = 1 }}
"#,
        silent.address
    ));
    balancer.wait_until_up(&["silent"]);
    silent.stop();
    balancer.wait_until_up(&[]);
    silent.start();
    balancer.wait_until_up(&["silent"]);
}

#[test]
fn a_check_that_hangs_fails_in_time() {
    let hanging = Endpoint::raw(&own_address(), |stream| {
        let _all = std::io::copy(&mut &stream, &mut std::io::sink());
    });
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{}", name = "hanging" }}]
{HEALTH}
"#,
        hanging.address
    ));
    balancer.wait_until_up(&[]);
    let reason = balancer.endpoint("hanging")["reason"].to_string();
    assert!(reason.contains("took too long"), "{reason}");
}

/// A server of gRPC's health service: 1 is SERVING, 2 NOT_SERVING.
fn grpc_server(serving: &Arc<AtomicBool>) -> String {
    let serving = Arc::clone(serving);
    two::endpoint(move |(request, mut respond)| {
        let state = u8::from(!serving.load(SeqCst)) + 1;
        async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.headers()["content-type"], "application/grpc");
            let asked = two::body(request.into_body()).await;
            assert_eq!(
                asked,
                [&[0, 0, 0, 0, 14, 0x0a, 12][..], b"foobar.Shop1"].concat()
            );
            let mut send = respond.send_response(two::grpc_head(), false).unwrap();
            let data: Bytes = two::message(&[0x08, state]);
            send.send_data(data, false).unwrap();
            send.send_trailers(two::grpc_status("0")).unwrap();
        }
    })
}

#[test]
fn a_check_of_grpc_asks_for_the_service() {
    let serving = Arc::new(AtomicBool::new(true));
    let address = grpc_server(&serving);
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{address}", name = "grpc" }}]
protocol = "h2"
health = {{ kind = "grpc", service = "foobar.Shop1", interval = "100ms", timeout = "100ms", rise = 1 }}
"#
    ));
    balancer.wait_until_up(&["grpc"]);
    serving.store(false, SeqCst);
    balancer.wait_until_up(&[]);
    let reason = balancer.endpoint("grpc")["reason"].to_string();
    assert!(reason.contains("NOT_SERVING"), "{reason}");
    serving.store(true, SeqCst);
    balancer.wait_until_up(&["grpc"]);
}

#[test]
fn a_check_of_http_is_asked_over_http_2_where_that_is_spoken() {
    let address = two::endpoint(|(request, mut respond)| async move {
        let good = request.uri().path() == "/healthz";
        let head = http_types::Response::builder().status(if good { 200 } else { 404 });
        let mut send = respond
            .send_response(head.body(()).unwrap(), false)
            .unwrap();
        send.send_data(Bytes::from_static(b"fine"), true).unwrap();
    });
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{address}", name = "two" }}]
protocol = "h2"
health = {{ path = "/healthz", body = "^fine$", interval = "100ms", timeout = "100ms" }}
"#
    ));
    balancer.wait_until_up(&["two"]);
}

#[test]
fn when_too_few_are_up_all_get_requests() {
    let sick = |name: &'static str| {
        Endpoint::at(&own_address(), move |seen| match seen.is_check() {
            true => Reply::status(500),
            false => Reply::ok(name),
        })
    };
    let (a, b, c) = (sick("a"), sick("b"), Endpoint::named("c"));
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{}", name = "a" }}, {{ address = "{}", name = "b" }},
  {{ address = "{}", name = "c" }}]
panic = 50
{HEALTH}
"#,
        a.address, b.address, c.address
    ));
    balancer.wait_until_up(&["c"]);
    let mut client = balancer.client();
    let mut answers: Vec<String> = (0..6).map(|_| client.get("/").text()).collect();
    answers.sort();
    assert_eq!(answers, ["a", "a", "b", "b", "c", "c"]);
}

#[test]
fn an_endpoint_whose_requests_fail_is_out_for_a_while_and_never_the_last() {
    let failing = Arc::new(AtomicBool::new(true));
    let make = |name: &'static str| {
        let failing = Arc::clone(&failing);
        Endpoint::new(move |_| match failing.load(SeqCst) {
            true => Reply::status(503),
            false => Reply::ok(name),
        })
    };
    let (bad, worse) = (make("bad"), make("worse"));
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{}", name = "bad" }}, {{ address = "{}", name = "worse" }}]
ejection = {{ consecutive = 3, time = "1s", interval = "1s", max-percent = 100 }}
panic = 0
{UNCHECKED}
"#,
        bad.address, worse.address
    ));
    let mut client = balancer.client();
    for _ in 0..6 {
        assert_eq!(
            client.get("/").status,
            503,
            "an endpoint's own 503 is passed on"
        );
    }
    // Whoever was quicker is out; the other is the last and stays, however often it fails.
    let out = wait("one is out", || {
        balancer.events("endpoint-ejected").first().cloned()
    });
    assert!(
        out["what"]
            .to_string()
            .contains("3 requests in a row failed"),
        "{out}"
    );
    let up: Vec<bool> = ["bad", "worse"]
        .iter()
        .map(|name| balancer.endpoint(name)["up"] == true)
        .collect();
    assert_eq!(up.iter().filter(|up| **up).count(), 1, "{up:?}");
    let (name, left) = if up[0] {
        ("worse", &bad)
    } else {
        ("bad", &worse)
    };
    assert_eq!(balancer.endpoint(name)["standing"], "its requests failed");
    let before = left.count();
    for _ in 0..4 {
        assert_eq!(client.get("/").status, 503);
    }
    assert_eq!(left.count(), before + 4, "all go to the one that is left");

    failing.store(false, SeqCst);
    wait("it is back", || {
        balancer.events("endpoint-returned").first().cloned()
    });
    let mut answers = [client.get("/").text(), client.get("/").text()];
    answers.sort();
    assert_eq!(answers, ["bad", "worse"]);
}
