//! What keeps endpoints from more than they can do: bounds, the queue before them, the breaker.

use crate::client::{Client, get};
use crate::endpoint::{Endpoint, Gate, Reply};
use crate::running::{Balancer, UNCHECKED, own_address, site, wait};
use crate::two;

/// Answers with the path, once the gate is open.
pub(crate) fn gated(gate: &Gate) -> Endpoint {
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
fn who_goes_while_waiting_is_not_served() {
    let gate = Gate::default();
    let slow = gated(&gate);
    let lines = "max-requests = 1\nqueue-timeout = \"20s\"";
    let balancer = Balancer::up(&site(&[&slow.address], lines));
    let mut first = balancer.client();
    first.send(get("/first", ""));
    wait("the first is there", || (slow.count() == 1).then_some(()));
    let mut impatient = balancer.client();
    impatient.send(get("/impatient", ""));
    wait_for_queue(&balancer, 1);
    // With a second request that nobody has read yet.
    let mut hasty = balancer.client();
    hasty.send(get("/hasty", "") + &get("/more", ""));
    wait_for_queue(&balancer, 2);
    drop(impatient);
    drop(hasty);
    wait_for_queue(&balancer, 0);
    assert!(balancer.logged("/impatient").contains("client-gone"));
    gate.open();
    assert_eq!(first.response().text(), "/first");
    assert_eq!(balancer.client().get("/last").text(), "/last");
    assert_eq!(slow.count(), 2);
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
fn who_waits_for_his_endpoint_holds_up_nobody() {
    let (gates, names) = ([Gate::default(), Gate::default()], ["a", "b"]);
    let endpoints = [0, 1].map(|number| {
        let (gate, name) = (gates[number].clone(), names[number]);
        Endpoint::new(move |seen| {
            if seen.path() == "/held" {
                gate.pass();
            }
            Reply::ok(name)
        })
    });
    let [a, b] = &endpoints;
    let lines = "sticky = \"stay\"\nmax-requests = 1\nqueue-timeout = \"20s\"";
    let balancer = Balancer::up(&site(&[&a.address, &b.address], lines));
    let mut client = balancer.client();
    let mut cookie_of = |name: &str| loop {
        let answer = client.get("/");
        if answer.text() == name {
            let cookie = answer.field("set-cookie").unwrap();
            break format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
        }
    };
    let cookies = names.map(&mut cookie_of);
    let ask = |path: &str, lines: &str| {
        let mut client = balancer.client();
        client.send(get(path, lines));
        client
    };
    let mut held = [0, 1].map(|number| {
        let client = ask("/held", &cookies[number]);
        let at = &endpoints[number];
        let there = || {
            at.seen()
                .iter()
                .any(|seen| seen.path() == "/held")
                .then_some(())
        };
        wait("it is held", there);
        client
    });
    let mut bound = ask("/", &cookies[0]);
    wait_for_queue(&balancer, 1);
    let mut free = ask("/", "");
    wait_for_queue(&balancer, 2);
    gates[1].open();
    assert_eq!(held[1].response().text(), "b");
    assert_eq!(free.response().text(), "b");
    gates[0].open();
    assert_eq!(held[0].response().text(), "a");
    assert_eq!(bound.response().text(), "a");
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
