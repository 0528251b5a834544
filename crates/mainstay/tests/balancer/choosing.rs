//! Who gets a request: every algorithm, backups, cookies that bind a visitor, slow starts.

use std::collections::BTreeMap;

use crate::client::Client;
use crate::endpoint::{Endpoint, Gate, Reply};
use crate::running::{Balancer, HEALTH, UNCHECKED, wait};

/// A backend of these endpoints, by name, with further lines.
fn backend(endpoints: &[(&str, &Endpoint)], lines: &str) -> String {
    let list: Vec<String> = endpoints
        .iter()
        .map(|(name, endpoint)| {
            format!(r#"{{ address = "{}", name = "{name}" }}"#, endpoint.address)
        })
        .collect();
    let list = list.join(", ");
    format!("[balancer]\nreason-header = true\n[backends.app]\nendpoints = [{list}]\n{lines}\n")
}

/// Answers with its name, but to `/held` only when it may.
fn held(name: &'static str, gate: &Gate) -> Endpoint {
    let gate = gate.clone();
    Endpoint::new(move |seen| {
        if seen.path() == "/held" {
            gate.pass();
        }
        Reply::ok(name)
    })
}

/// Sends requests for `/held` and returns when so many are at the endpoints.
fn hold(balancer: &Balancer, count: usize, endpoints: &[&Endpoint]) -> Vec<Client> {
    let held = |client: &mut Client| {
        client.send(crate::client::get("/held", ""));
    };
    let mut clients: Vec<Client> = (0..count).map(|_| balancer.client()).collect();
    clients.iter_mut().for_each(held);
    let there = || {
        endpoints
            .iter()
            .map(|endpoint| endpoint.count())
            .sum::<usize>()
    };
    wait("requests are held", || (there() == count).then_some(()));
    clients
}

#[test]
fn least_requests_goes_where_least_is_going_on() {
    let gate = Gate::default();
    let (a, b) = (held("a", &gate), held("b", &gate));
    let lines = format!("algorithm = \"least-requests\"\n{UNCHECKED}");
    let balancer = Balancer::up(&backend(&[("a", &a), ("b", &b)], &lines));
    let mut clients = hold(&balancer, 1, &[&a, &b]);
    let other = if a.count() == 1 { "b" } else { "a" };
    let mut client = balancer.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").text(), other);
    }
    gate.open();
    assert_ne!(clients[0].response().text(), other);
    // None has more to do than the other: both have their turn again.
    let answers: Vec<String> = (0..10).map(|_| client.get("/").text()).collect();
    assert_eq!(
        answers.iter().filter(|name| *name == "a").count(),
        5,
        "{answers:?}"
    );
}

#[test]
fn power_of_two_spares_the_one_with_more_to_do() {
    let gate = Gate::default();
    let (a, b) = (held("a", &gate), held("b", &gate));
    let lines = format!("algorithm = \"power-of-two\"\n{UNCHECKED}");
    let balancer = Balancer::up(&backend(&[("a", &a), ("b", &b)], &lines));
    let mut clients = hold(&balancer, 1, &[&a, &b]);
    let other = if a.count() == 1 { "b" } else { "a" };
    let mut client = balancer.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").text(), other);
    }
    gate.open();
    assert_ne!(clients[0].response().text(), other);
}

#[test]
fn first_fills_one_after_the_other() {
    let gate = Gate::default();
    let (a, b) = (held("a", &gate), held("b", &gate));
    let lines = format!("algorithm = \"first\"\nmax-requests = 2\n{UNCHECKED}");
    let balancer = Balancer::up(&backend(&[("a", &a), ("b", &b)], &lines));
    let mut client = balancer.client();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "a");
    }
    // An answer arrives before its request has left its place.
    wait("nothing is under way", || {
        let open = balancer.metric("mainstay_endpoint_open", "endpoint=\"a\"");
        (open == 0.0).then_some(())
    });
    let before = a.count();
    let mut clients: Vec<Client> = (0..2).map(|_| balancer.client()).collect();
    for client in &mut clients {
        client.send(crate::client::get("/held", ""));
    }
    wait("requests are held", || {
        (a.count() == before + 2).then_some(())
    });
    assert_eq!(client.get("/").text(), "b");
    gate.open();
    for mut client in clients {
        assert_eq!(client.response().text(), "a");
    }
    assert_eq!(client.get("/").text(), "a");
}

/// Which endpoint each key is answered by.
fn places(client: &mut Client, ask: impl Fn(usize) -> (String, String)) -> BTreeMap<usize, String> {
    let place = |key| {
        let (path, lines) = ask(key);
        let answer = client.get_with(&path, &lines);
        assert_eq!(answer.status, 200, "{}", answer.head);
        (key, answer.text())
    };
    (0..60).map(place).collect()
}

#[test]
fn a_hash_keeps_keys_and_moves_only_those_of_who_is_gone() {
    type Ask = fn(usize) -> (String, String);
    let (a, b, mut c) = (
        Endpoint::named("a"),
        Endpoint::named("b"),
        Endpoint::named("c"),
    );
    let ways: [(&str, Ask); 3] = [
        ("path", |key| (format!("/item/{key}"), String::new())),
        ("header:X-User", |key| {
            ("/".to_owned(), format!("X-User: user-{key}\r\n"))
        }),
        ("cookie:session", |key| {
            ("/".to_owned(), format!("Cookie: a=b; session=s{key}\r\n"))
        }),
    ];
    for (by, ask) in ways {
        c.stop();
        c.start();
        let lines = format!("algorithm = \"hash\"\nhash-by = \"{by}\"\n{HEALTH}");
        let endpoints = [("a", &a), ("b", &b), ("c", &c)];
        let balancer = Balancer::up(&backend(&endpoints, &lines));
        balancer.wait_until_up(&["a", "b", "c"]);
        let mut client = balancer.client();
        let before = places(&mut client, ask);
        assert_eq!(before, places(&mut balancer.client(), ask), "{by}");
        let names: std::collections::BTreeSet<&String> = before.values().collect();
        assert_eq!(names.len(), 3, "{by}: {before:?}");

        c.stop();
        balancer.wait_until_up(&["a", "b"]);
        let after = places(&mut client, ask);
        for (key, place) in &before {
            match place.as_str() {
                "c" => assert_ne!(after[key], "c"),
                _ => assert_eq!(&after[key], place, "{by}: {key} was moved"),
            }
        }
    }
}

#[test]
fn a_hash_by_source_keeps_a_client() {
    let (a, b) = (Endpoint::named("a"), Endpoint::named("b"));
    let lines = format!("algorithm = \"hash\"\n{UNCHECKED}");
    let balancer = Balancer::up(&backend(&[("a", &a), ("b", &b)], &lines));
    let first = balancer.client().get("/").text();
    for _ in 0..8 {
        assert_eq!(balancer.client().get("/").text(), first);
    }
}

#[test]
fn a_backup_serves_only_while_no_other_can() {
    let (mut a, spare) = (Endpoint::named("a"), Endpoint::named("spare"));
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[backends.app]
endpoints = [{{ address = "{}", name = "a" }}, {{ address = "{}", name = "spare", backup = true }}]
{HEALTH}
"#,
        a.address, spare.address
    ));
    balancer.wait_until_up(&["a", "spare"]);
    let mut client = balancer.client();
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "a");
    }
    assert_eq!(balancer.endpoint("spare")["backup"], true);
    a.stop();
    // Also before the checks have found out: what is refused is tried elsewhere.
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "spare");
    }
    balancer.wait_until_up(&["spare"]);
    assert_eq!(client.get("/").text(), "spare");
    a.start();
    balancer.wait_until_up(&["a", "spare"]);
    assert_eq!(client.get("/").text(), "a");
}

#[test]
fn a_cookie_binds_a_visitor_and_a_forged_one_does_not() {
    let (mut a, b) = (Endpoint::named("a"), Endpoint::named("b"));
    let lines = format!("sticky = \"stay\"\n{HEALTH}");
    let balancer = Balancer::up(&backend(&[("a", &a), ("b", &b)], &lines));
    balancer.wait_until_up(&["a", "b"]);
    let mut client = balancer.client();
    let mut cookie_of = |name: &str| loop {
        let answer = client.get("/");
        let cookie = answer.field("set-cookie").unwrap();
        assert!(cookie.starts_with("stay="), "{cookie}");
        assert!(
            cookie.contains("HttpOnly") && !cookie.contains("Secure"),
            "{cookie}"
        );
        if answer.text() == name {
            break cookie.split(';').next().unwrap().to_owned();
        }
    };
    let (to_a, to_b) = (cookie_of("a"), cookie_of("b"));
    let mut client = balancer.client();
    for (cookie, name) in [(&to_a, "a"), (&to_b, "b")] {
        for _ in 0..4 {
            let answer = client.get_with("/", &format!("Cookie: x=y; {cookie}\r\n"));
            assert_eq!(answer.text(), name);
            assert_eq!(answer.field("set-cookie"), None, "he is bound already");
        }
    }
    // The id of `a` with the signature of `b`: he is treated as a new visitor.
    let forged = format!("{}{}", &to_a[..21], &to_b[21..]);
    let answers: Vec<_> = (0..4)
        .map(|_| client.get_with("/", &format!("Cookie: {forged}\r\n")))
        .collect();
    assert!(
        answers
            .iter()
            .all(|answer| answer.field("set-cookie").is_some())
    );
    let to_a_only = answers.iter().all(|answer| answer.text() == "a");
    assert!(!to_a_only, "a forged cookie aims at an endpoint");

    // Who is bound to one that is gone gets another, for good.
    a.stop();
    let moved = client.get_with("/", &format!("Cookie: {to_a}\r\n"));
    assert_eq!(moved.text(), "b");
    assert!(moved.field("set-cookie").unwrap().starts_with(&to_b));
}

#[test]
fn who_comes_back_gets_its_share_slowly() {
    let (mut a, b) = (Endpoint::named("a"), Endpoint::named("b"));
    let lines = format!("slow-start = \"60s\"\npanic = 0\n{HEALTH}");
    let balancer = Balancer::up(&backend(&[("a", &a), ("b", &b)], &lines));
    balancer.wait_until_up(&["a", "b"]);
    let mut client = balancer.client();
    let mut of_a = |count: usize| {
        let answers = (0..count).map(|_| client.get("/").text());
        answers.filter(|name| name == "a").count()
    };
    assert_eq!(
        of_a(10),
        5,
        "who was there before the balancer starts with all"
    );
    a.stop();
    balancer.wait_until_up(&["b"]);
    a.start();
    balancer.wait_until_up(&["a", "b"]);
    // A tenth of its weight against all of the other's: a tenth of the requests, nearly.
    let share = of_a(110);
    assert!((8..=20).contains(&share), "{share} of 110");
}
