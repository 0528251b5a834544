//! What keeps endpoints from too much, and visitors from what endpoints do wrong: bounds, queues,
//! retries, limits, and who is let in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::client::{Client, get};
use crate::endpoint::{Endpoint, Gate, Reply};
use crate::running::{Balancer, UNCHECKED, own_address, wait};
use crate::two;

/// A site file with one backend.
fn site(endpoints: &[&str], lines: &str) -> String {
    let list = endpoints.join("\", \"");
    format!(
        "[balancer]\nreason-header = true\n[backends.app]\nendpoints = [\"{list}\"]\n{UNCHECKED}\n{lines}\n"
    )
}

/// Answers with the path, once the gate is open.
fn gated(gate: &Gate) -> Endpoint {
    let gate = gate.clone();
    Endpoint::new(move |seen| {
        gate.pass();
        Reply::ok(seen.path())
    })
}

fn wait_for_queue(balancer: &Balancer, count: u32) {
    wait("requests wait", || {
        let queued = balancer.metric("mainstay_backend_queued", r#"backend="app""#);
        (queued == f64::from(count)).then_some(())
    });
}

#[test]
fn requests_wait_in_order_and_not_too_many_of_them() {
    let gate = Gate::default();
    let slow = gated(&gate);
    let lines = "max-requests = 1\nqueue = 4\nqueue-timeout = \"20s\"";
    let balancer = Balancer::up(&site(&[&slow.address], lines));
    let mut clients = Vec::new();
    for number in 0..5 {
        let mut client = balancer.client();
        client.send(get(&format!("/{number}"), ""));
        clients.push(client);
        match number {
            0 => wait("the first is there", || (slow.count() == 1).then_some(())),
            waiting => wait_for_queue(&balancer, waiting),
        }
    }
    let full = balancer.client().get("/5");
    assert_eq!((full.status, full.reason().as_str()), (503, "queue-full"));
    assert_eq!(slow.count(), 1);
    assert_eq!(balancer.endpoint(&slow.address)["open"], 1);
    gate.open();
    for (number, mut client) in clients.into_iter().enumerate() {
        assert_eq!(client.response().text(), format!("/{number}"));
    }
    let order: Vec<String> = slow
        .seen()
        .iter()
        .map(|seen| seen.path().to_owned())
        .collect();
    assert_eq!(order, ["/0", "/1", "/2", "/3", "/4"]);
    assert_eq!(balancer.endpoint(&slow.address)["open"], 0);
}

#[test]
fn connections_of_tcp_wait_too() {
    let echo = Endpoint::raw(&own_address(), |stream| {
        // Ends with its client.
        let _count = std::io::copy(&mut &stream, &mut &stream);
    });
    let listen = own_address();
    let balancer = Balancer::up(&format!(
        "[balancer]\n[backends.app]\nmode = \"tcp\"\nlisten = \"{listen}\"\n\
         endpoints = [\"{}\"]\nmax-requests = 1\nqueue-timeout = \"20s\"\n{UNCHECKED}\n",
        echo.address
    ));
    let mut first = Client::connect(&listen);
    assert_eq!(first.send("one\n").line().unwrap(), "one");
    let mut second = Client::connect(&listen);
    second.send("two\n");
    wait_for_queue(&balancer, 1);
    drop(first);
    assert_eq!(second.line().unwrap(), "two");
}

#[test]
fn a_request_waits_only_so_long() {
    let gate = Gate::default();
    let slow = gated(&gate);
    let lines = "max-requests = 1\nqueue-timeout = \"200ms\"";
    let balancer = Balancer::up(&site(&[&slow.address], lines));
    let mut first = balancer.client();
    first.send(get("/first", ""));
    wait("the first is there", || (slow.count() == 1).then_some(()));
    let late = balancer.client().get("/late");
    assert_eq!(
        (late.status, late.reason().as_str()),
        (503, "queue-timeout")
    );
    gate.open();
    assert_eq!(first.response().text(), "/first");
    assert_eq!(balancer.client().get("/next").text(), "/next");
}

#[test]
fn nobody_is_forgotten_in_the_queue() {
    let quick = Endpoint::named("quick");
    let lines = "max-requests = 1\nqueue-timeout = \"3s\"";
    let balancer = Balancer::up(&site(&[&quick.address], lines));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut client = balancer.client();
                for _ in 0..250 {
                    let answer = client.get("/");
                    assert_eq!(answer.status, 200, "{}", answer.reason());
                }
            });
        }
    });
}

#[test]
fn a_stream_that_is_reset_leaves_its_places() {
    let gate = Gate::default();
    let slow = gated(&gate);
    let free = Endpoint::named("free");
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
reason-header = true
[[routes]]
path-prefix = "/breaker"
backend = "breaker"
[[routes]]
path-prefix = "/queue"
backend = "queue"
[[routes]]
path-prefix = "/concurrency"
backend = "free"
concurrency = {{ requests = 1 }}
[backends.breaker]
endpoints = ["{0}"]
breaker = 1
{UNCHECKED}
[backends.queue]
endpoints = ["{0}"]
max-requests = 1
{UNCHECKED}
[backends.free]
endpoints = ["{0}"]
{UNCHECKED}
"#,
        slow.address
    ));
    drop(free);
    two::conversation(async {
        let mut send = two::plain(&balancer.http).await;
        for (count, path) in [(1, "/breaker"), (2, "/queue"), (3, "/concurrency")] {
            let request = two::ask("GET", &format!("http://test.example{path}"));
            let (response, mut stream) = send.send_request(request, true).unwrap();
            let seen = async {
                while slow.count() < count {
                    tokio::task::yield_now().await;
                }
            };
            seen.await;
            stream.send_reset(h2::Reason::CANCEL);
            drop(response);
        }
        let counted = || balancer.access_log().matches(r#""status":499"#).count() == 3;
        while !counted() {
            tokio::task::yield_now().await;
        }
        gate.open();
        for path in ["/breaker", "/queue", "/concurrency"] {
            let request = two::ask("GET", &format!("http://test.example{path}"));
            let answer = two::call(&mut send, request, b"").await.unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, path));
        }
    });
    for name in ["breaker", "queue", "free"] {
        let open = balancer.metric("mainstay_endpoint_open", &format!("backend=\"{name}\""));
        assert_eq!(open, 0.0, "{name}");
    }
}

#[test]
fn a_breaker_refuses_at_once() {
    let gate = Gate::default();
    let slow = gated(&gate);
    let balancer = Balancer::up(&site(&[&slow.address], "breaker = 2"));
    let mut clients = [balancer.client(), balancer.client()];
    for client in &mut clients {
        client.send(get("/held", ""));
    }
    wait("both are there", || (slow.count() == 2).then_some(()));
    let refused = balancer.client().get("/");
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (503, "breaker-open")
    );
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(balancer.client().get("/").status, 200);
    let counted = balancer.metric(
        "mainstay_balancer_answers_total",
        r#"reason="breaker-open""#,
    );
    assert_eq!(counted, 1.0);
}

#[test]
fn who_refuses_a_connection_is_passed_over() {
    let refusing = own_address();
    let echo =
        Endpoint::new(|seen| Reply::Text(200, String::from_utf8_lossy(&seen.body).into_owned()));
    let lines = "algorithm = \"first\"";
    let balancer = Balancer::up(&site(&[&refusing, &echo.address], lines));
    let mut client = balancer.client();
    assert_eq!(client.get("/").status, 200);
    // Nothing of it was sent: also what may not be repeated goes elsewhere, with its body.
    assert_eq!(client.post("/", "small").text(), "small");
    let large = "0123456789".repeat(50_000);
    assert_eq!(client.post("/", &large).text(), large);
    let line = balancer.logged(r#""method":"POST""#);
    assert!(line.contains(r#""attempts":2"#), "{line}");
    assert_eq!(balancer.endpoint(&refusing)["failures"], 3);
}

#[test]
fn what_may_have_had_an_effect_is_not_repeated() {
    let cutting = Endpoint::new(|_| Reply::Cut);
    let good = Endpoint::named("good");
    let lines = "algorithm = \"first\"";
    let balancer = Balancer::up(&site(&[&cutting.address, &good.address], lines));
    let mut client = balancer.client();
    let failed = client.post("/order", "one beer");
    assert_eq!(
        (failed.status, failed.reason().as_str()),
        (502, "response-ended")
    );
    assert_eq!((cutting.count(), good.count()), (1, 0));
    let mut client = balancer.client();
    assert_eq!(client.get("/").text(), "good");
    assert_eq!((cutting.count(), good.count()), (2, 1));
    let put = "PUT /x HTTP/1.1\r\nHost: test.example\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(client.send(put).response().text(), "good");
    assert_eq!((cutting.count(), good.count()), (3, 2));
    assert_eq!(good.seen()[1].body, b"x");
}

#[test]
fn attempts_and_their_budget_are_bounded() {
    let refusing = [own_address(), own_address(), own_address()];
    let all: Vec<&str> = refusing.iter().map(String::as_str).collect();
    let lines = "retries = { attempts = 2, budget = 0 }\npanic = 0";
    let balancer = Balancer::up(&site(&all, lines));
    let mut client = balancer.client();
    let failed = client.get("/");
    assert_eq!(
        (failed.status, failed.reason().as_str()),
        (502, "connect-failed")
    );
    let line = balancer.logged("connect-failed");
    assert!(line.contains(r#""attempts":2"#), "{line}");
    // Ten a second are always granted, over ten seconds.
    for _ in 0..149 {
        assert_eq!(client.get("/").status, 502);
    }
    wait("all are logged", || {
        (balancer.access_log().lines().count() == 150).then_some(())
    });
    let twice = balancer.access_log().matches(r#""attempts":2"#).count();
    assert!((100..150).contains(&twice), "{twice} of 150");
}

#[test]
fn a_kept_connection_that_has_died_is_no_failure() {
    let dying =
        Endpoint::new(|_| Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()));
    let balancer = Balancer::up(&site(&[&dying.address], ""));
    let mut client = balancer.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(balancer.endpoint(&dying.address)["failures"], 0);
}

#[test]
fn answers_that_are_none_become_errors_with_reasons() {
    let strange = Endpoint::new(|seen| {
        Reply::Raw(match seen.path() {
            "/garbage" => "what?\r\n\r\n".to_owned(),
            "/huge" => format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000)),
            "/ended" => "HTTP/1.1 200 OK\r\nConte".to_owned(),
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut".to_owned(),
        })
    });
    let lines = "retries = { attempts = 1 }";
    let balancer = Balancer::up(&site(&[&strange.address], lines));
    for (path, reason) in [
        ("/garbage", "bad-response"),
        ("/huge", "response-too-large"),
        ("/ended", "response-ended"),
    ] {
        let answer = balancer.client().get(path);
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (502, reason),
            "{path}"
        );
    }
    // What broke off must not look whole.
    let mut client = balancer.client();
    let cut = client.send(get("/cut", "")).try_response("GET");
    assert_eq!(cut.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

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
