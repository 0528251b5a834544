//! Where redirects lead, and where they must not.

use proptest::prelude::*;

use super::*;
use crate::pattern::Pattern;

fn location(to: &str, pattern: &str, host: &str, target: &str) -> Result<String, Reason> {
    let pattern = Pattern::new(pattern).unwrap();
    let (path, query) = crate::route::facts::split(target);
    let mut scratch = Vec::new();
    let normal = crate::route::path::normal(path.as_bytes(), &mut scratch)?;
    let values = Values {
        scheme: "http",
        host,
        path,
        query,
        groups: pattern.find(normal.bytes).unwrap_or_default(),
        normal_path: normal.bytes,
    };
    let mut out = Vec::new();
    let redirect = Redirect::new(301, to, pattern.groups()).unwrap();
    redirect.location(&values, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn plain(to: &str, target: &str) -> String {
    location(to, "^/old/(.*)$", "www.foobar.com", target).unwrap()
}

#[test]
fn names_are_expanded() {
    for (to, target, expected) in [
        (
            "https://{host}{path}{query}",
            "/a?b=c",
            "https://www.foobar.com/a?b=c",
        ),
        (
            "{scheme}://foobar.com{path}",
            "/a%20b?c",
            "http://foobar.com/a%20b",
        ),
        ("/new/{1}{query}", "/old/x?y", "/new/x?y"),
        ("/new?from={1}", "/old/a%26b", "/new?from=a%26b"),
        (
            "https://{1}.foobar.com/",
            "/old/de",
            "https://de.foobar.com/",
        ),
        (
            "https://foobar.com/{1}",
            "/old/a%2520b",
            "https://foobar.com/a%2520b",
        ),
        ("/fixed", "/x", "/fixed"),
        ("{path}/", "/x", "/x/"),
        ("/é", "/x", "/%C3%A9"),
    ] {
        assert_eq!(plain(to, target), expected, "{to} {target}");
    }
}

#[test]
fn a_client_does_not_choose_the_site() {
    for (to, target, expected) in [
        ("{path}", "//evil.com/x", "/evil.com/x"),
        ("{path}", "///evil.com", "/evil.com"),
        ("{path}", "/\\evil.com", "/%5Cevil.com"),
        ("{path}{query}", "/%5cevil.com", "/%5cevil.com"),
        (
            "https://foobar.com{path}",
            "//evil.com",
            "https://foobar.com/evil.com",
        ),
        ("/{1}", "/old//evil.com", "/evil.com"),
        ("/{1}", "/old/\\evil.com", "/%5Cevil.com"),
        ("/{1}", "/old/%5cevil.com", "/%5Cevil.com"),
        (
            "https://foobar.com/{1}",
            "/old/@evil.com",
            "https://foobar.com/@evil.com",
        ),
    ] {
        assert_eq!(plain(to, target), expected, "{to} {target}");
    }
    for target in [
        "/old/evil.com%2f",
        "/old/a@b",
        "/old/",
        "/old/a%23",
        "/old/.evil",
        "/old/x:1",
    ] {
        let told = location("https://{1}.foobar.com/", "^/old/(.*)$", "a", target);
        assert_eq!(told, Err(Reason::BadRequestPath), "{target}");
    }
    for host in ["", "a@b", "a/b", "a%0d"] {
        let told = location("https://{host}/", "x", host, "/");
        assert_eq!(told, Err(Reason::BadRequestHost), "{host}");
    }
}

#[test]
fn templates_that_let_him_are_refused() {
    for to in [
        "https://{1}",
        "https://{1}/",
        "https://foobar.com{1}",
        "https://{host}{1}",
        "https://{1}{1}.com",
        "https://{1}.",
        "https://foobar.com@{1}",
        "https://foobar.com{query}",
        "https://{path}",
        "https:///x",
        "https://x@foobar.com/",
    ] {
        assert_eq!(
            Redirect::new(301, to, 1).unwrap_err(),
            BadRedirect::Host(to.to_owned()),
            "{to}"
        );
    }
    for to in [
        "",
        "//foobar.com",
        "{1}",
        "{host}/x",
        "foobar.com",
        "javascript:x",
        "{scheme}{1}",
    ] {
        assert_eq!(
            Redirect::new(301, to, 1).unwrap_err(),
            BadRedirect::Begin(to.to_owned()),
            "{to}"
        );
    }
    assert_eq!(
        Redirect::new(200, "/", 0).unwrap_err(),
        BadRedirect::Status(200)
    );
    assert!(Redirect::new(301, "/{1}", 0).is_err());
}

#[test]
fn cleartext_goes_to_https() {
    let told = |method: &str, port, host, path| {
        let values = Values {
            scheme: "http",
            host,
            path,
            query: "a=b",
            groups: Groups::default(),
            normal_path: b"",
        };
        let mut out = Vec::new();
        to_https(method, port, &values, &mut out)
            .map(|status| format!("{status} {}", String::from_utf8(out).unwrap()))
    };
    let name = "www.foobar.com";
    assert_eq!(
        told("GET", 443, name, "/x").unwrap(),
        "301 https://www.foobar.com/x?a=b"
    );
    assert_eq!(
        told("POST", 8443, name, "//x").unwrap(),
        "308 https://www.foobar.com:8443/x?a=b"
    );
    assert_eq!(
        told("OPTIONS", 443, name, "*").unwrap(),
        "308 https://www.foobar.com/?a=b"
    );
    assert_eq!(
        told("GET", 443, "[::1]", "/").unwrap(),
        "301 https://[::1]/?a=b"
    );
    assert_eq!(told("GET", 443, "", "/"), Err(Reason::BadRequestHost));
    assert!(goes_to_https(b"/x") && goes_to_https(b"/.well-known/x"));
    assert!(!goes_to_https(b"/.well-known/acme-challenge/abc"));
}

proptest! {
    #[test]
    fn nothing_that_comes_in_gets_out_of_its_place(
        to in prop_oneof![
            Just("{path}{query}"),
            Just("/{1}"),
            Just("/x{1}/{2}{query}"),
            Just("https://{host}{path}{query}"),
            Just("https://foobar.com/{1}?{2}"),
            Just("https://{1}.foobar.com/"),
        ],
        path in "/(old)?[/\\\\@:%a-f0-9.?#\u{0}-\u{20}é]{0,20}",
        query in ".{0,20}",
        host in "[a-z@/:.\r\n]{0,10}",
    ) {
        let target = format!("{path}?{query}");
        if let Ok(out) = location(to, "^/(?:old)?([^/]*)(.*)$", &host, &target) {
            prop_assert!(out.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\'), "{out:?}");
            match out.strip_prefix("https://") {
                None => prop_assert!(out.starts_with('/') && !out.starts_with("//"), "{out}"),
                Some(rest) => {
                    let site = rest.split(['/', '?']).next().unwrap();
                    let allowed = site == host || site.ends_with("foobar.com");
                    prop_assert!(allowed && !site.contains('@'), "{out}");
                }
            }
        }
    }
}
