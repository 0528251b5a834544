//! Which route takes a request, and what it makes of it.

use crate::client::{Client, HOST, get};
use crate::endpoint::{Endpoint, Reply};
use crate::running::{Balancer, Prepared, UNCHECKED, wait};

/// Answers with the name, the path it was asked for and the fields named `x-show-…`.
fn showing(name: &'static str) -> Endpoint {
    Endpoint::new(move |seen| {
        let shown = seen
            .head
            .lines()
            .filter(|line| line.to_lowercase().starts_with("x-show"));
        let shown: Vec<&str> = shown.collect();
        let host = seen.field("host").unwrap();
        Reply::ok(&format!(
            "{name} {} {host} {}",
            seen.path(),
            shown.join(" | ")
        ))
    })
}

fn backend(name: &str, endpoint: &Endpoint) -> String {
    format!(
        "[backends.{name}]\nendpoints = [\"{}\"]\n{UNCHECKED}\n",
        endpoint.address
    )
}

#[test]
fn a_route_takes_what_fits_it() {
    let (app, other) = (showing("app"), showing("other"));
    let routes = [
        ("exact-host", r#"host = ["shop.example"]"#),
        ("wildcard", r#"host = ["*.shop.example"]"#),
        ("exact-path", r#"path = "/robots.txt""#),
        ("prefix", r#"path-prefix = "/api""#),
        ("regex", r#"path-regex = "^/user/([0-9]+)$""#),
        ("method", r#"method = ["DELETE"]"#),
        (
            "header",
            r#"header = { X-Beta = "1", X-Any = true, X-Like = "~^v[12]$" }"#,
        ),
        ("query", r#"query = { version = "2" }"#),
        (
            "from",
            r#"from = ["127.0.0.0/8"]
path-prefix = "/from""#,
        ),
        (
            "never",
            r#"percent = 0
path-prefix = "/percent""#,
        ),
        (
            "always",
            r#"percent = 100
path-prefix = "/percent""#,
        ),
    ];
    let mut site = "[balancer]\nreason-header = true\n".to_owned();
    for (name, when) in routes {
        site += &format!(
            "[[routes]]\nname = \"{name}\"\n{when}\nbackend = \"app\"\n\
             response-headers = {{ set = {{ X-Route = \"{{route}}\" }} }}\n"
        );
    }
    site += "[[routes]]\nname = \"rest\"\npath-prefix = \"/rest\"\nbackend = \"other\"\n";
    site += &backend("app", &app);
    site += &backend("other", &other);
    let balancer = Balancer::up(&site);
    let mut client = balancer.client();
    let api = "X-Beta: 1\r\nX-Any: x\r\nX-Like: v2\r\n";
    for (method, host, path, lines, taken) in [
        ("GET", "shop.example", "/", "", "exact-host"),
        ("GET", "SHOP.example:8080", "/", "", "exact-host"),
        ("GET", "eu.shop.example", "/", "", "wildcard"),
        ("GET", HOST, "/robots.txt", "", "exact-path"),
        ("GET", HOST, "/robots.txt?x=y", "", "exact-path"),
        ("GET", HOST, "/api", "", "prefix"),
        ("GET", HOST, "/api/x", "", "prefix"),
        ("GET", HOST, "/x/../api/y", "", "prefix"),
        ("GET", HOST, "/%61pi/y", "", "prefix"),
        ("GET", HOST, "/apix", "", "no-route"),
        ("GET", HOST, "/user/12", "", "regex"),
        ("GET", HOST, "/user/x", "", "no-route"),
        ("DELETE", HOST, "/", "", "method"),
        ("GET", HOST, "/", api, "header"),
        (
            "GET",
            HOST,
            "/",
            "X-Beta: 1\r\nX-Any: x\r\nX-Like: v3\r\n",
            "no-route",
        ),
        ("GET", HOST, "/?a=b&version=2", "", "query"),
        ("GET", HOST, "/?version=23", "", "no-route"),
        ("GET", HOST, "/from", "", "from"),
        ("GET", HOST, "/percent", "", "always"),
        ("GET", HOST, "/..%2f..%2fetc", "", "bad-request-path"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        let answer = client.send(request).response();
        let name = answer.field("x-route").unwrap_or_else(|| answer.reason());
        assert_eq!(
            name, taken,
            "{method} {host} {path} {lines}: {}",
            answer.head
        );
    }
    assert!(client.get("/rest").text().starts_with("other "));
}

#[test]
fn a_route_may_answer_itself() {
    let prepared = Prepared::new();
    prepared
        .write("pages/maintenance.html", "<p>back at noon")
        .write("pages/404.html", "<p>nothing here");
    let app = Endpoint::named("app");
    let balancer = prepared.up(&format!(
        r#"
[balancer]
error-pages = "pages"
reason-header = true

[[routes]]
path-prefix = "/old"
redirect = "https://www.example.com{{path}}{{query}}"
status = 301
[[routes]]
path-regex = "^/item/([0-9]+)$"
redirect = "/things/{{1}}"
[[routes]]
path = "/teapot"
respond = "short and stout"
status = 418
[[routes]]
path-prefix = "/shop"
maintenance = "10m"
[[routes]]
path-prefix = "/app"
backend = "app"
{}"#,
        backend("app", &app)
    ));
    let mut client = balancer.client();
    let moved = client.get("/old/a%20b?x=y");
    assert_eq!(moved.status, 301);
    assert_eq!(
        moved.field("location").unwrap(),
        "https://www.example.com/old/a%20b?x=y"
    );
    let moved = client.get("/item/12");
    assert_eq!(
        (moved.status, moved.field("location").unwrap().as_str()),
        (302, "/things/12")
    );
    let teapot = client.get("/teapot");
    assert_eq!(
        (teapot.status, teapot.text().as_str()),
        (418, "short and stout")
    );
    let shop = client.get("/shop/x");
    assert_eq!(
        (shop.status, shop.text().as_str()),
        (503, "<p>back at noon")
    );
    assert_eq!(shop.field("retry-after").unwrap(), "600");
    assert_eq!(shop.reason(), "maintenance");
    let missing = client.get("/missing");
    assert_eq!(
        (missing.status, missing.text().as_str()),
        (404, "<p>nothing here")
    );
    assert!(
        missing
            .field("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let head = format!("HEAD /shop HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let head = client.send(head).try_response("HEAD").unwrap();
    assert_eq!(
        (head.status, head.field("content-length").unwrap().as_str()),
        (503, "15")
    );
    assert_eq!(client.get("/app").text(), "app", "the connection goes on");
}

#[test]
fn paths_hosts_and_fields_are_changed_on_their_way() {
    let app = Endpoint::new(|seen| {
        let shown = seen.head.lines().filter(|line| line.starts_with("X-Show"));
        let shown: Vec<&str> = shown.collect();
        let (path, host) = (seen.path(), seen.field("host").unwrap());
        let body = format!("{path} {host} {}", shown.join(" | "));
        let length = body.len();
        Reply::Raw(format!(
            "HTTP/1.1 200 OK\r\nServer: secret/1.0\r\nX-Powered-By: x\r\nVary: a\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ))
    });
    let balancer = Balancer::up(&format!(
        r#"
[balancer]
[[routes]]
path-prefix = "/strip"
replace-prefix = "/"
backend = "app"
[[routes]]
path-prefix = "/v1"
replace-prefix = "/v2/api"
backend = "app"
[[routes]]
path-regex = "^/user/([0-9]+)$"
replace-path = "/users/{{1}}"
host-header = "users.internal"
backend = "app"
[[routes]]
name = "edits"
path-prefix = "/edits"
backend = "app"
request-headers = {{ remove = ["X-Show-Gone"], set = {{ X-Show-Client = "{{client}}", X-Show-Set = "{{host}} {{route}}" }}, add = {{ X-Show-Added = "2" }} }}
response-headers = {{ remove = ["Server", "x-powered-by"], set = {{ X-Frame-Options = "DENY" }}, add = {{ Vary = "b" }} }}
{}"#,
        backend("app", &app)
    ));
    let mut client = balancer.client();
    for (asked, arrived) in [
        ("/strip", "/ test.example "),
        ("/strip/a/b?c=d", "/a/b?c=d test.example "),
        ("/v1/x", "/v2/api/x test.example "),
        ("/user/7?q=1", "/users/7?q=1 users.internal "),
    ] {
        assert_eq!(client.get(asked).text(), arrived, "{asked}");
    }
    let lines = "X-Show-Gone: 1\r\nX-Show-Set: mine\r\nX-Show-Added: 1\r\n";
    let edited = client.get_with("/edits", lines);
    let expected = [
        "/edits test.example X-Show-Added: 1",
        "X-Show-Client: 127.0.0.1",
        "X-Show-Set: test.example edits",
        "X-Show-Added: 2",
    ];
    let text = edited.text();
    let mut got: Vec<&str> = text.split(" | ").collect();
    let mut expected = expected.to_vec();
    got.sort_unstable();
    expected.sort_unstable();
    assert_eq!(got, expected);
    assert_eq!(edited.field("server"), None);
    assert_eq!(edited.field("x-powered-by"), None);
    assert_eq!(edited.field("x-frame-options").unwrap(), "DENY");
    assert_eq!(edited.fields("vary"), ["a", "b"]);
}

#[test]
fn a_mirror_gets_copies_and_nobody_waits_for_it() {
    let (app, next) = (
        Endpoint::named("app"),
        Endpoint::new(|_| Reply::status(500)),
    );
    let balancer = Balancer::up(&format!(
        "[balancer]\n[[routes]]\nbackend = \"app\"\nmirror = \"next\"\n{}{}",
        backend("app", &app),
        backend("next", &next)
    ));
    let mut client = balancer.client();
    for number in 0..3 {
        assert_eq!(client.get(&format!("/{number}?q")).text(), "app");
    }
    assert_eq!(client.post("/post", "body").text(), "app");
    wait("copies arrive", || (next.count() == 3).then_some(()));
    let mut copied: Vec<String> = next
        .seen()
        .iter()
        .map(|seen| seen.path().to_owned())
        .collect();
    copied.sort();
    assert_eq!(copied, ["/0?q", "/1?q", "/2?q"]);
    wait("their places are left", || {
        let open = balancer.metric("mainstay_endpoint_open", r#"backend="next""#);
        (open == 0.0).then_some(())
    });
}

#[test]
fn http_is_sent_on_to_https() {
    let app = Endpoint::named("app");
    let balancer = Balancer::up(&format!(
        r#"
[site]
name = "test"
domains = ["{HOST}"]
[tls]
authority = "local"
hsts = "1d"
[balancer]
{}"#,
        backend("app", &app)
    ));
    let port = balancer.https.rsplit(':').next().unwrap();
    let mut client = balancer.client();
    let moved = client.get("/a?b=c");
    assert!(matches!(moved.status, 301 | 308), "{}", moved.head);
    assert_eq!(
        moved.field("location").unwrap(),
        format!("https://{HOST}:{port}/a?b=c")
    );
    let unknown = client
        .send("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        .response();
    assert_eq!(unknown.status, 421);
    let config = crate::authority::client(&balancer.authority()).into();
    let mut client = Client::tls(&balancer.https, HOST, &config).unwrap();
    let answer = client.send(get("/", "")).response();
    assert_eq!(answer.text(), "app");
    assert_eq!(
        answer.field("strict-transport-security").unwrap(),
        "max-age=86400"
    );
    assert_eq!(app.seen()[0].field("x-forwarded-proto").unwrap(), "https");
}
