//! The access log in each of its forms, and the reasons in it.

use crate::client::Client;
use crate::endpoint::{Endpoint, Reply};
use crate::running::{Balancer, UNCHECKED, wait};
use crate::two;

fn site(format: &str, endpoint: &Endpoint) -> String {
    format!(
        "[balancer]\n{format}\n[[routes]]\nname = \"shop\"\npath-prefix = \"/shop\"\n\
         backend = \"app\"\n[backends.app]\nendpoints = [{{ address = \"{}\", name = \"a\" }}]\n\
         retries = {{ attempts = 1 }}\n{UNCHECKED}\n",
        endpoint.address
    )
}

#[test]
fn lines_of_apache_have_what_a_browser_says() {
    let app = Endpoint::named("hello");
    let balancer = Balancer::up(&site("access-log = \"combined\"", &app));
    let lines = "Referer: https://a.example/\r\nUser-Agent: curl \"8\"\r\n";
    balancer.client().get_with("/shop?a=b", lines);
    let line = balancer.logged("/shop");
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    let end = r#""GET /shop?a=b HTTP/1.1" 200 5 "https://a.example/" "curl \"8\"""#;
    assert!(line.ends_with(end), "{line}");
    balancer.client().get("/shop/plain");
    assert!(
        balancer
            .logged("/shop/plain")
            .ends_with(r#" 200 5 "-" "-""#)
    );
    balancer
        .client()
        .send("no request\r\n\r\n")
        .try_response("GET")
        .unwrap();
    balancer.logged(r#""-" 400 "#);
    two::conversation(async {
        let mut send = two::plain(&balancer.http).await;
        let url = "http://test.example/shop/two";
        two::call(&mut send, two::ask("GET", url), b"")
            .await
            .unwrap();
    });
    balancer.logged(r#""GET /shop/two HTTP/2.0" 200 5 "#);
}

#[test]
fn a_template_has_the_fields_it_names() {
    let app = Endpoint::named("hello");
    let template = "{method} {target} {host} {status} {bytes} {route}/{backend}/{endpoint} \
                    {attempts} {reason} {scheme} {protocol}";
    let format = format!("access-log = \"{template}\"");
    let balancer = Balancer::up(&site(&format, &app));
    let mut client = balancer.client();
    client.get("/shop/x");
    client.get("/other");
    let line = balancer.logged("/shop/x");
    let expected = "GET /shop/x test.example 200 5 shop/app/a 1 - http HTTP/1.1";
    assert_eq!(line, expected);
    let line = balancer.logged("/other");
    assert!(line.contains(" 404 "), "{line}");
    assert!(line.ends_with(" -/-/- 0 no-route http HTTP/1.1"), "{line}");
}

#[test]
fn off_writes_nothing_and_counts_all_the_same() {
    let app = Endpoint::named("hello");
    let balancer = Balancer::up(&site("access-log = \"off\"", &app));
    balancer.client().get("/shop");
    wait("it is counted", || {
        (balancer.metric("mainstay_route_requests_total", r#"route="shop""#) == 1.0).then_some(())
    });
    assert_eq!(balancer.access_log(), "");
}

#[test]
fn every_answer_of_our_own_has_its_reason() {
    let app = Endpoint::new(|seen| match seen.path() {
        "/shop/cut" => Reply::Cut,
        _ => Reply::ok("hello"),
    });
    let balancer = Balancer::up(&site("", &app));
    let host = "Host: test.example\r\n";
    for (request, status, reason) in [
        (format!("GET /none HTTP/1.1\r\n{host}\r\n"), 404, "no-route"),
        (
            format!("GET /.mainstay/health HTTP/1.1\r\n{host}\r\n"),
            404,
            "internal-path",
        ),
        (
            format!("GET /shop/cut HTTP/1.1\r\n{host}\r\n"),
            502,
            "response-ended",
        ),
        (
            format!("GET /a/../../b HTTP/1.1\r\n{host}\r\n"),
            400,
            "bad-request-path",
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "bad-request"),
        (
            format!("GET / HTTP/1.1\r\n{host}A : b\r\n\r\n"),
            400,
            "bad-request",
        ),
        (
            format!("CONNECT a:1 HTTP/1.1\r\n{host}\r\n"),
            501,
            "unsupported",
        ),
        (
            format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(40_000)),
            431,
            "head-too-large",
        ),
    ] {
        let answer = Client::connect(&balancer.http).send(&request).response();
        assert_eq!(answer.status, status, "{reason}");
        let line = balancer.logged(&format!(r#""reason":"{reason}""#));
        assert!(line.contains(&format!(r#""status":{status}"#)), "{line}");
        let id = answer.field("x-request-id").unwrap();
        wait("the id is in the log", || {
            balancer.access_log().contains(&id).then_some(())
        });
    }
    assert!(
        Client::connect(&balancer.http)
            .get("/shop")
            .field("mainstay-reason")
            .is_none()
    );
    let line = balancer.logged(r#""target":"/shop""#);
    assert!(!line.contains("reason"), "{line}");
}
