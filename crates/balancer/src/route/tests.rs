//! Routing: what comes first, what cannot be got around, and that the tables say what one look at each
//! route says.

use std::time::{Duration, Instant};

use http::head::{Storage, request};
use proptest::prelude::*;
use site::target::balancer::{Action, HeaderEdits, Match, Network, ValueIs, ValueMatch};

use super::*;

pub(crate) fn route(name: &str, when: Match) -> RouteTarget {
    RouteTarget {
        name: name.to_owned(),
        when,
        allow: vec![],
        deny: vec![],
        rate_limit: None,
        concurrency: None,
        action: Action::Respond {
            status: 200,
            body: String::new(),
        },
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        mirror: None,
        request_body: None,
        response_head: None,
    }
}

/// `host path`, each may be empty; a path that ends in `*` is a prefix, one with `^` a pattern.
fn when(text: &str) -> Match {
    let (host, path) = text.split_once(' ').unwrap();
    Match {
        hosts: host
            .split(',')
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
            .collect(),
        path: match path {
            "" => PathMatch::Any,
            path if path.starts_with('^') => PathMatch::Regex(path.to_owned()),
            path => match path.strip_suffix('*') {
                Some(prefix) => PathMatch::Prefix(prefix.to_owned()),
                None => PathMatch::Exact(path.to_owned()),
            },
        },
        ..Match::default()
    }
}

fn table(rules: &[&str]) -> Table {
    let routes: Vec<RouteTarget> = rules.iter().map(|text| route(text, when(text))).collect();
    Table::new(&routes).unwrap()
}

/// The name of the route that takes `host target`; `-`: none.
fn ask(table: &Table, host: &str, target: &str) -> String {
    let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nX-Trial: b\r\n\r\n");
    ask_whole(table, &text, "192.0.2.1")
}

fn ask_whole(table: &Table, text: &str, client: &str) -> String {
    let mut storage = Storage::new();
    let head = request(text.as_bytes(), &mut storage).unwrap();
    let mut scratch = Scratch::default();
    let facts = Facts::of(&head, client.parse().unwrap(), &mut scratch).unwrap();
    let found = table.find(&facts);
    let explained = table.explain(&facts);
    let taken = explained.iter().find(|candidate| candidate.miss.is_none());
    assert_eq!(
        found.map(|m| m.route),
        taken.map(|c| c.route),
        "{explained:#?}"
    );
    found.map_or("-".to_owned(), |matched| table.name(matched).to_owned())
}

#[test]
fn hosts_come_before_paths() {
    let table = table(&[
        " ",
        "*.foobar.com ",
        "*.eu.foobar.com ",
        "www.foobar.com ",
        " /only",
    ]);
    assert_eq!(ask(&table, "www.foobar.com", "/only"), "www.foobar.com ");
    assert_eq!(ask(&table, "WWW.Foobar.com:8080", "/x"), "www.foobar.com ");
    assert_eq!(ask(&table, "a.foobar.com", "/x"), "*.foobar.com ");
    assert_eq!(ask(&table, "a.eu.foobar.com", "/x"), "*.eu.foobar.com ");
    assert_eq!(ask(&table, "a.b.eu.foobar.com", "/x"), "*.eu.foobar.com ");
    assert_eq!(ask(&table, "eu.foobar.com", "/x"), "*.foobar.com ");
    assert_eq!(ask(&table, "foobar.com", "/only"), " /only");
    assert_eq!(ask(&table, "xfoobar.com", "/x"), " ");
}

#[test]
fn paths_go_exact_pattern_prefix_any() {
    let table = table(&[
        "a ",
        "a /api*",
        "a /api/v2/*",
        "a ^.*\\.php$",
        "a ^/api/.*\\.php$",
        "a /api/x.php",
        "b /x*",
    ]);
    assert_eq!(ask(&table, "a", "/api/x.php"), "a /api/x.php");
    assert_eq!(ask(&table, "a", "/api/y.php"), "a ^.*\\.php$");
    assert_eq!(ask(&table, "a", "/api"), "a /api*");
    assert_eq!(ask(&table, "a", "/api/"), "a /api*");
    assert_eq!(ask(&table, "a", "/api/v2"), "a /api/v2/*");
    assert_eq!(ask(&table, "a", "/api/v2/x?y=/api/x.php"), "a /api/v2/*");
    assert_eq!(ask(&table, "a", "/apix"), "a ");
    assert_eq!(ask(&table, "b", "/"), "-");
    assert_eq!(ask(&table, "c", "/x"), "-");
}

#[test]
fn a_rule_cannot_be_got_around() {
    let table = table(&["a /admin*", "a "]);
    for path in [
        "/admin",
        "/admin/",
        "/%61dmin",
        "/x/../admin",
        "//admin",
        "/./admin",
        "/admin%2fusers",
        "/x/%2e%2e/admin",
        "/%2Fadmin",
        "http://a/admin",
        "http://a//admin",
    ] {
        assert_eq!(ask(&table, "a", path), "a /admin*", "{path}");
    }
}

#[test]
fn more_conditions_come_first_and_the_next_is_looked_at() {
    let value = |name: &str, value: ValueIs| ValueMatch {
        name: name.to_owned(),
        value,
    };
    let routes = [
        route("plain", when("a /x*")),
        route(
            "post",
            Match {
                methods: vec!["POST".to_owned()],
                ..when("a /x*")
            },
        ),
        route(
            "trial",
            Match {
                headers: vec![value("x-trial", ValueIs::Matching("^[bc]$".to_owned()))],
                query: vec![value("q", ValueIs::Present)],
                ..when("a /x*")
            },
        ),
        route(
            "inside",
            Match {
                from: vec![Network {
                    address: [10, 0, 0, 0].into(),
                    bits: 8,
                }],
                ..when("a /x/deep*")
            },
        ),
        route(
            "none",
            Match {
                percent: Some(0),
                ..when("a /x*")
            },
        ),
    ];
    let table = Table::new(&routes).unwrap();
    let get = |method: &str, target: &str, more: &str, client: &str| {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
        ask_whole(&table, &text, client)
    };
    assert_eq!(get("GET", "/x", "", "192.0.2.1"), "plain");
    assert_eq!(get("POST", "/x", "", "192.0.2.1"), "post");
    assert_eq!(get("POST", "/x?q", "X-Trial: b\r\n", "192.0.2.1"), "trial");
    assert_eq!(get("POST", "/x?q", "X-Trial: bb\r\n", "192.0.2.1"), "post");
    assert_eq!(get("GET", "/x?r=q", "X-Trial: b\r\n", "192.0.2.1"), "plain");
    assert_eq!(get("GET", "/x/deep/y", "", "10.1.2.3"), "inside");
    assert_eq!(get("GET", "/x/deep/y", "", "192.0.2.1"), "plain");
}

#[test]
fn a_part_of_the_clients_is_always_the_same() {
    let routes = [
        route(
            "new",
            Match {
                percent: Some(20),
                ..when(" ")
            },
        ),
        route("old", when(" ")),
    ];
    let table = Table::new(&routes).unwrap();
    let new = (0..2000_u32)
        .filter(|n| {
            let client = std::net::Ipv4Addr::from_bits(0xc000_0200 + n).to_string();
            ask_whole(&table, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", &client) == "new"
        })
        .count();
    assert!((320..480).contains(&new), "{new}");
}

#[test]
fn explanations() {
    let table = table(&["a /x*", "a ", "b ", "a /y"]);
    let text = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut storage = Storage::new();
    let head = request(text.as_bytes(), &mut storage).unwrap();
    let mut scratch = Scratch::default();
    let facts = Facts::of(&head, [192, 0, 2, 1].into(), &mut scratch).unwrap();
    let said: Vec<String> = table
        .explain(&facts)
        .iter()
        .map(|c| {
            let why = c
                .miss
                .as_ref()
                .map_or("takes it".to_owned(), ToString::to_string);
            format!("{}: {why}", c.name)
        })
        .collect();
    assert_eq!(
        said,
        [
            "a /x*: takes it",
            "a : route a /x* comes first",
            "b : it is for other hosts",
            "a /y: it is for other paths",
        ]
    );
}

#[test]
fn a_host_is_known_by_any_of_its_routes() {
    let table = table(&["a.com /x", "*.b.com ^/(a)(b)$"]);
    let known = |host: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut storage = Storage::new();
        let head = request(text.as_bytes(), &mut storage).unwrap();
        let mut scratch = Scratch::default();
        let facts = Facts::of(&head, [192, 0, 2, 1].into(), &mut scratch).unwrap();
        table.knows_host(&facts)
    };
    assert!(known("A.com:80") && known("x.b.com"));
    assert!(!known("b.com") && !known("c.com"));
    assert_eq!((table.groups_of(0), table.groups_of(1)), (0, 2));
}

#[test]
fn everything_wrong_is_said() {
    let routes = [
        route("1", when("FOO.com ")),
        route("2", when("a.*.com ")),
        route("3", when("a ^(")),
        route("4", when("a /%zz")),
        route("5", when("a x*")),
        route("6", when("a /fine")),
    ];
    let wrong = Table::new(&routes).unwrap_err();
    let names: Vec<&str> = wrong.iter().map(|bad| bad.route.as_str()).collect();
    assert_eq!(names, ["1", "2", "3", "4", "5"]);
}

#[test]
fn the_options_of_the_server_have_no_path() {
    let table = table(&["a /*", "a "]);
    let text = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(ask_whole(&table, text, "192.0.2.1"), "a ");
}

fn condition() -> impl Strategy<Value = (Option<String>, Option<u8>, bool)> {
    (
        proptest::option::weighted(0.3, "GET|POST"),
        proptest::option::weighted(0.2, prop_oneof![Just(0_u8), Just(50), Just(100)]),
        prop::bool::weighted(0.2),
    )
}

proptest! {
    #[test]
    fn the_tables_say_what_a_look_at_each_route_says(
        rules in proptest::collection::vec(
            (
                "(|a|b|\\*\\.a|\\*\\.b\\.a|b\\.a|a,\\*\\.a) (|/|/x|/x/y|/x\\*|/\\*|/x/y\\*|/y/\\*|\\^/x|\\^/y\\$)",
                condition(),
            ),
            0..12,
        ),
        asked in proptest::collection::vec(
            ("(a|b|b\\.a|c\\.a|c\\.b\\.a|d)", "(/|/x|/x/|/x/y|/x/y/z|/y|/xy|/x//y|/%78)"),
            1..12,
        ),
        client in any::<u32>(),
    ) {
        let routes: Vec<RouteTarget> = rules
            .iter()
            .enumerate()
            .map(|(n, (text, (method, percent, trial)))| {
                let mut when = when(text);
                when.methods.extend(method.clone());
                when.percent = *percent;
                if *trial {
                    when.headers.push(ValueMatch {
                        name: "X-Trial".to_owned(),
                        value: ValueIs::Exactly("b".to_owned()),
                    });
                }
                route(&n.to_string(), when)
            })
            .collect();
        let table = Table::new(&routes).unwrap();
        for (host, target) in asked {
            let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nX-Trial: b\r\n\r\n");
            // Compares with `explain`.
            ask_whole(&table, &text, &std::net::Ipv4Addr::from_bits(client).to_string());
        }
    }
}

/// `cargo test --release -p balancer -- --ignored --nocapture figures`
#[test]
#[ignore = "prints figures; of use in release mode only"]
fn figures_of_find() {
    for count in [1, 100, 10_000] {
        let hosts: Vec<String> = (0..count)
            .map(|n| format!("www{n}.foobar.com /api*"))
            .collect();
        let paths: Vec<String> = (0..count)
            .map(|n| format!("www.foobar.com /part{n}/x*"))
            .collect();
        for (what, rules, host, target) in [
            (
                "hosts",
                &hosts,
                format!("www{}.foobar.com", count / 2),
                "/api/users/17?a=b".to_owned(),
            ),
            (
                "prefixes",
                &paths,
                "www.foobar.com".to_owned(),
                format!("/part{}/x/users/17", count / 2),
            ),
        ] {
            let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            let table = table(&rules);
            let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n");
            let mut storage = Storage::new();
            let head = request(text.as_bytes(), &mut storage).unwrap();
            let mut scratch = Scratch::default();
            let rounds = 1_000_000_u32;
            let begin = Instant::now();
            for _ in 0..rounds {
                let facts = Facts::of(
                    std::hint::black_box(&head),
                    [192, 0, 2, 1].into(),
                    &mut scratch,
                )
                .unwrap();
                assert!(std::hint::black_box(table.find(&facts)).is_some());
            }
            let took: Duration = begin.elapsed() / rounds;
            println!("facts and find, {count} {what}: {} ns", took.as_nanos());
        }
    }
}
