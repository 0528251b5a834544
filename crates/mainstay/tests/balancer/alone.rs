//! The smallest site files: what a balancer does with nothing but its backends named.

use std::collections::BTreeMap;

use crate::client::Client;
use crate::endpoint::{Endpoint, Reply, on_unix_socket};
use crate::running::{Balancer, HEALTH, Prepared, UNCHECKED, own_address, wait};

/// How often each text is answered to `count` requests, half of them over connections of their own.
fn shares(address: &str, count: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    let mut kept = Client::connect(address);
    for number in 0..count {
        let answer = match number % 2 {
            0 => kept.get("/"),
            _ => Client::connect(address).get("/"),
        };
        assert_eq!(answer.status, 200, "{}", answer.head);
        *shares.entry(answer.text()).or_default() += 1;
    }
    shares
}

#[test]
fn ten_lines_are_enough_and_shares_are_exact() {
    let (a, b, c) = (
        Endpoint::named("a"),
        Endpoint::named("b"),
        Endpoint::named("c"),
    );
    let balancer = Balancer::up(&format!(
        r#"
[balancer]

[backends.app]
endpoints = [
  "{}",
  {{ address = "{}", weight = 2, name = "b" }},
  {{ address = "{}", weight = 3, name = "c" }},
]
{HEALTH}
"#,
        a.address, b.address, c.address
    ));
    balancer.wait_until_up(&[&a.address, "b", "c"]);
    let shares = shares(&balancer.http, 60);
    let expected = [("a", 10), ("b", 20), ("c", 30)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(shares, BTreeMap::from(expected));

    let named = balancer.endpoint("c");
    assert_eq!(named["backend"], "app");
    assert_eq!(named["address"], c.address.as_str());
    assert_eq!(named["weight"], 3);
    assert_eq!(named["requests"], 30);
    assert_eq!(named["open"], 0);
    let status = balancer.status();
    assert_eq!(status["state"], "serving", "{status}");
    assert_eq!(status["endpoints"].as_array().unwrap().len(), 3);
}

#[test]
fn bytes_are_relayed_where_a_backend_listens() {
    let echo = Endpoint::raw(&own_address(), |stream| {
        let mut reading = stream.try_clone().unwrap();
        let mut writing = stream;
        std::io::copy(&mut reading, &mut writing).unwrap();
        // What is said after the other side's end still arrives.
        std::io::Write::write_all(&mut writing, b"bye\n").unwrap();
    });
    let listen = own_address();
    // The first endpoint refuses: the other gets every connection.
    let refusing = own_address();
    let balancer = Balancer::up(&format!(
        r#"
[balancer]

[backends.echo]
mode = "tcp"
listen = "{listen}"
endpoints = ["{refusing}", "{}"]
{UNCHECKED}
"#,
        echo.address
    ));
    for _ in 0..4 {
        let mut client = Client::connect(&listen);
        client.send("hello\n");
        assert_eq!(client.line().unwrap(), "hello");
        client.end_writing();
        assert_eq!(client.line().unwrap(), "bye");
        assert!(client.is_closed());
    }
    wait("connections are counted", || {
        (balancer.endpoint(&echo.address)["requests"] == 4).then_some(())
    });
    // Nothing of HTTP is there: not even a port is taken for it.
    assert!(Client::try_connect(&balancer.http).is_err());
}

#[test]
fn unix_sockets_serve_on_both_sides() {
    let prepared = Prepared::new();
    let (front, back) = (prepared.path("front.sock"), prepared.path("back.sock"));
    on_unix_socket(&back, "behind a socket");
    let balancer = prepared.up(&format!(
        r#"
[balancer.listeners.local]
bind = "unix:{}"

[backends.app]
endpoints = ["unix:{}"]
{HEALTH}
"#,
        front.display(),
        back.display()
    ));
    balancer.wait_until_up(&[&format!("unix:{}", back.display())]);
    assert_eq!(Client::unix(&front).get("/").text(), "behind a socket");
    assert_eq!(balancer.client().get("/").text(), "behind a socket");
}

#[test]
fn a_socket_that_somebody_left_behind_is_taken_over() {
    let prepared = Prepared::new();
    let front = prepared.path("front.sock");
    drop(std::os::unix::net::UnixListener::bind(&front).unwrap());
    let app = Endpoint::named("app");
    let _balancer = prepared.up(&format!(
        "[balancer.listeners.local]\nbind = \"unix:{}\"\n[backends.app]\n\
         endpoints = [\"{}\"]\n{UNCHECKED}\n",
        front.display(),
        app.address
    ));
    assert_eq!(Client::unix(&front).get("/").text(), "app");
}

#[test]
fn a_balancer_that_dies_comes_back_at_its_addresses() {
    let (listen, app) = (own_address(), Endpoint::named("app"));
    let balancer = Balancer::up(&format!(
        "[balancer.listeners.other]\nbind = \"{listen}\"\n[backends.app]\n\
         endpoints = [\"{}\"]\n{UNCHECKED}\n",
        app.address
    ));
    assert_eq!(balancer.client().get("/").text(), "app");
    let process = || balancer.status()["servers"][0]["processes"][0].clone();
    let pid = i32::try_from(process()["pid"].as_u64().unwrap()).unwrap();
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    // Nobody is refused meanwhile: the sockets stay open.
    for address in [&balancer.http, &listen] {
        wait("it serves again", || {
            let mut client = Client::try_connect(address).unwrap();
            client.try_send(crate::client::get("/", "")).ok()?;
            client
                .try_response("GET")
                .ok()
                .filter(|answer| answer.text() == "app")
        });
    }
    wait("that is told", || {
        (process()["restarts"] == 1).then_some(())
    });
}

#[test]
fn ipv6_serves_on_both_sides() {
    // A port of the kernel's choice: an address of one's own is not to be had of `::1`.
    let free = || {
        let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (endpoint, listen) = (free(), free());
    let six = Endpoint::at(&endpoint, |seen| {
        Reply::ok(&seen.field("x-forwarded-for").unwrap_or_default())
    });
    let balancer = Balancer::up(&format!(
        r#"
[balancer.listeners.six]
bind = "{listen}"

[backends.app]
endpoints = ["{endpoint}"]
{HEALTH}
"#
    ));
    balancer.wait_until_up(&[&endpoint]);
    assert_eq!(Client::connect(&listen).get("/").text(), "::1");
    assert!(!six.seen().is_empty());
    assert_eq!(six.checks()[0].field("host").unwrap(), endpoint);
}

#[test]
fn a_start_with_every_endpoint_down_says_so_and_goes_on() {
    let address = own_address();
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = ["{address}"]
panic = 0
{HEALTH}
"#
    ));
    balancer.wait_until_up(&[]);
    let answer = balancer.client().get("/nobody");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.reason(), "", "the header is not asked for");
    let line = balancer.logged("/nobody");
    assert!(line.contains(r#""reason":"no-endpoint""#), "{line}");
    let down = balancer.endpoint(&address);
    assert_eq!(down["up"], false);
    let reason = down["reason"].as_str().unwrap();
    assert!(reason.contains("connection refused"), "{reason}");
    assert_eq!(balancer.status()["state"], "down");

    let _late = Endpoint::at(&address, |_| Reply::ok("at last"));
    balancer.wait_until_up(&[&address]);
    assert_eq!(balancer.client().get("/").text(), "at last");
}
