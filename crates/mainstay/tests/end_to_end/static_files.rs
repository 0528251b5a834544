//! Static files of the release, by the web servers.

use crate::client::{Client, HOST, Response};
use crate::harness::{Prepared, TWO_APP_SERVERS};

#[test]
fn files_are_served_as_browsers_expect() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let mut client = Client::connect(&site.http());
    let mut ask = |path: &str, fields: &str| -> Response {
        client
            .send(format!(
                "GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n"
            ))
            .response()
    };

    let file = ask("/style.css", "");
    assert_eq!(
        (file.status, file.text().as_str()),
        (200, "body { color: teal }\n")
    );
    assert_eq!(
        file.field("content-type").as_deref(),
        Some("text/css; charset=utf-8")
    );
    let etag = file.field("etag").unwrap();
    let modified = file.field("last-modified").unwrap();
    // The next request goes to the other server: validators must agree.
    let same = ask("/style.css", &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(
        ask("/style.css", &format!("If-Modified-Since: {modified}\r\n")).status,
        304
    );
    assert_eq!(
        ask("/style.css", "If-None-Match: \"other\"\r\n").status,
        200
    );

    let part = ask("/style.css", "Range: bytes=7-11\r\n");
    assert_eq!((part.status, part.text().as_str()), (206, "color"));
    assert_eq!(
        part.field("content-range").as_deref(),
        Some("bytes 7-11/21")
    );
    assert_eq!(ask("/style.css", "Range: bytes=99-\r\n").status, 416);
    let head = Client::connect(&site.http())
        .send(format!(
            "HEAD /style.css HTTP/1.1\r\nHost: {HOST}\r\nRange: bytes=7-11\r\n\r\n"
        ))
        .try_response("HEAD")
        .unwrap();
    assert_eq!(head.status, 200, "a range is for GET only");

    assert_eq!(ask("/docs/", "").text(), "<p>docs");
    let moved = ask("/docs?a=b", "");
    assert_eq!(
        (moved.status, moved.field("location").as_deref()),
        (301, Some("/docs/?a=b"))
    );

    // Not files: the application answers.
    for path in ["/", "//style.css", "/nothing"] {
        assert_eq!(ask(path, "").text(), "hello", "{path}");
    }
    // What leads above the root, or has a control character, is nobody's path (nginx: 400).
    for path in ["/../app/site.toml", "/%2e%2e/site.toml", "/style.css%00"] {
        assert_eq!(ask(path, "").status, 400, "{path}");
    }
    let post = format!("POST /style.css HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n");
    let refused = Client::connect(&site.http()).send(post).response();
    assert_eq!(
        (refused.status, refused.field("allow").as_deref()),
        (405, Some("GET, HEAD"))
    );
}

#[test]
fn a_site_of_static_files_only_serves_what_was_there_at_its_start() {
    let site_file = r#"
[site]
name = "test"
domains = ["www.test.example"]

[servers.lb-1]
address = "10.0.0.1"
roles = ["balancer"]

[servers.web-1]
address = "10.0.0.2"
roles = ["web"]

[web]
static = "app/static"
"#;
    let mut site = Prepared::new(site_file).up();
    let get = |address: &str, path: &str| Client::connect(address).get(path);
    assert_eq!(get(&site.http(), "/docs/").text(), "<p>docs");
    assert_eq!(get(&site.http(), "/nothing").status, 404);
    // An edit is a new release: all of it is there after the next start, none of it before.
    std::fs::write(
        site.path().join("app/static/docs/index.html"),
        "<p>newer docs",
    )
    .unwrap();
    assert_eq!(get(&site.http(), "/docs/").text(), "<p>docs");
    site.down();
    site.up_again();
    assert_eq!(get(&site.http(), "/docs/").text(), "<p>newer docs");
}
