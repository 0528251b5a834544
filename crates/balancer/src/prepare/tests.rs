//! Requests as bytes against site files as text.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::*;
use crate::hash::Seed;
use crate::snapshot::Snapshot;
use crate::state::Lasting;

const SITE: &str = r#"
[site]
name = "foobar"
domains = ["www.foobar.com"]

[balancer.limits]
request-body = "10B"

[backends.app]
endpoints = ["192.0.2.1:80"]
"#;

/// What a balancer alone with this site file reads.
pub(crate) fn state(file: &str) -> State {
    state_after(file, None)
}

/// The same in the place of another.
pub(crate) fn state_after(file: &str, former: Option<&State>) -> State {
    let problems = |problems: Vec<site::Problem>| {
        problems.iter().for_each(|problem| eprintln!("{problem}"));
        panic!("{file}")
    };
    let site = site::load(file, "site.toml").unwrap_or_else(problems);
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let ground = site::Ground::Local {
        network: [127, 0, 9],
        http: any,
        https: None,
        source_root: PathBuf::from("/srv"),
    };
    let mut target = site::derive(&site, &ground);
    assert_eq!(site::check_target(&target), []);
    let (_, server) = target.servers.pop_first().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cookie_key = dir.path().join("key");
    std::fs::write(&cookie_key, "a key of the site").unwrap();
    let snapshot = Snapshot {
        target: server.balancer.unwrap(),
        certificate: None,
        access_log: PathBuf::new(),
        overrides: Vec::new(),
        cookie_key,
    };
    let lasting = Lasting {
        resumption: http::tls::Resumption::default(),
        threads: 1,
        seed: Seed(1, 2),
    };
    State::new(snapshot, former, &lasting, 0).unwrap()
}

fn ask(state: &State, text: &str) -> Result<Prepared, Answer> {
    let terms = Terms {
        is_h2: false,
        state,
        peer: [192, 0, 2, 7].into(),
        secure: false,
        redirect_to: None,
        hsts: None,
        now: Duration::from_secs(1),
        random: 0,
    };
    let length = head::find_end(text.as_bytes(), 0).unwrap();
    let mut line = Line {
        id: "abc".to_owned(),
        ..Line::default()
    };
    prepare(text.as_bytes(), length, &terms, &mut line)
}

fn check(text: &str) -> Result<(String, Framing), (u16, Reason)> {
    ask(&state(SITE), text)
        .map(|prepared| {
            let outgoing = String::from_utf8(prepared.outgoing).unwrap();
            (outgoing, prepared.framing)
        })
        .map_err(|answer| (answer.status, answer.reason))
}

#[test]
fn a_small_body_goes_along() {
    let text = "POST /a HTTP/1.1\r\nHost: www.foobar.com\r\nContent-Length: 3\r\n\r\nabcGET";
    let (outgoing, framing) = check(text).unwrap();
    assert!(outgoing.ends_with("\r\n\r\nabc"), "{outgoing}");
    assert_eq!(framing, Framing::None);
    let (outgoing, framing) = check(&text.replace(": 3", ": 9")).unwrap();
    assert!(outgoing.ends_with("\r\n\r\n"), "{outgoing}");
    assert_eq!(framing, Framing::Length(9));
}

#[test]
fn only_this_site_is_served() {
    let get = |host: &str| {
        check(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).map_err(|(_, reason)| reason)
    };
    for host in ["www.foobar.com", "WWW.FOOBAR.COM:8080", "www.foobar.com."] {
        assert!(get(host).is_ok(), "{host}");
    }
    for host in ["foobar.com", "www.foobar.com.evil"] {
        assert_eq!(get(host).unwrap_err(), Reason::UnknownHost, "{host}");
    }
}

#[test]
fn refusals() {
    let host = "Host: www.foobar.com\r\n";
    assert_eq!(
        check(&format!("GET /.mainstay/health HTTP/1.1\r\n{host}\r\n")),
        Err((404, Reason::InternalPath))
    );
    assert_eq!(
        check(&format!("GET /%2Emainstay/health HTTP/1.1\r\n{host}\r\n")),
        Err((404, Reason::InternalPath)),
        "however it is spelled"
    );
    let rewriting = state(&format!(
        r#"{SITE}
[[routes]]
path-prefix = "/old"
backend = "app"
replace-prefix = "/"
"#
    ));
    let rewritten = |path: &str| {
        let text = format!("GET {path} HTTP/1.1\r\n{host}\r\n");
        ask(&rewriting, &text)
            .map(|prepared| prepared.outgoing.starts_with(b"GET /a HTTP/1.1"))
            .map_err(|answer| answer.reason)
    };
    assert_eq!(rewritten("/old/a"), Ok(true));
    for path in ["/old/.mainstay/health", "/old/%2emainstay/./x"] {
        assert_eq!(rewritten(path), Err(Reason::InternalPath), "{path}");
    }
    let large = format!("POST / HTTP/1.1\r\n{host}Content-Length: 11\r\n\r\n");
    assert_eq!(check(&large), Err((413, Reason::BodyTooLarge)));
    assert_eq!(
        check(&format!("GET / HTTP/1.1\r\n{host}{host}\r\n")),
        Err((400, Reason::BadRequest))
    );
    assert_eq!(
        check(&format!("GET /../x HTTP/1.1\r\n{host}\r\n")),
        Err((400, Reason::BadRequestPath))
    );
}

#[test]
fn an_old_client_that_is_refused_is_not_kept_waiting() {
    let keep = |version: &str| {
        let host = "Host: www.foobar.com\r\nConnection: keep-alive\r\n";
        let text = format!("GET /.mainstay/x HTTP/{version}\r\n{host}\r\n");
        let answer = ask(&state(SITE), &text).unwrap_err();
        (answer.status, answer.keep)
    };
    assert_eq!(keep("1.1"), (404, true));
    assert_eq!(keep("1.0"), (404, false));
}

#[test]
fn the_authority_of_an_absolute_target_is_the_host() {
    let (outgoing, _) =
        check("GET http://www.foobar.com/x HTTP/1.1\r\nHost: other\r\n\r\n").unwrap();
    assert!(
        outgoing.starts_with("GET /x HTTP/1.1\r\nHost: www.foobar.com\r\n"),
        "{outgoing}"
    );
    let (outgoing, _) =
        check("GET http://www.foobar.com?a=b HTTP/1.1\r\nHost: other\r\n\r\n").unwrap();
    assert!(outgoing.starts_with("GET /?a=b HTTP/1.1\r\n"), "{outgoing}");
}

#[test]
fn a_websocket_upgrade_is_passed_on_and_h2c_is_not() {
    let ask = |protocol: &str| {
        let text = format!(
            "GET / HTTP/1.1\r\nHost: www.foobar.com\r\nConnection: Upgrade\r\n\
             Upgrade: {protocol}\r\n\r\n"
        );
        check(&text).unwrap().0.contains("Connection: upgrade")
    };
    assert!(ask("websocket"));
    assert!(!ask("h2c"));
    assert!(!ask("websocket, H2C"));
    assert!(!ask("websocket\r\nUpgrade: h2c"));
}

#[test]
fn routes_answer_by_themselves() {
    let file = format!(
        "{SITE}\n[[routes]]\npath = \"/robots.txt\"\nrespond = \"none\"\nstatus = 410\n\
         [[routes]]\npath-prefix = \"/shop\"\nmaintenance = \"10m\"\n\
         [[routes]]\npath-prefix = \"/admin\"\nbackend = \"app\"\nallow = [\"10.0.0.0/8\"]\n\
         [[routes]]\npath-prefix = \"/\"\nbackend = \"app\"\n"
    );
    let state = state(&file);
    let get = |path: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: www.foobar.com\r\n\r\n");
        ask(&state, &text)
            .map(|prepared| prepared.route)
            .map_err(|answer| (answer.status, answer.reason))
    };
    assert_eq!(get("/robots.txt"), Err((410, Reason::Answered)));
    assert_eq!(get("/shop/x"), Err((503, Reason::Maintenance)));
    assert_eq!(get("/admin"), Err((403, Reason::Denied)));
    assert_eq!(get("/%61dmin/x"), Err((403, Reason::Denied)));
    assert_eq!(get("/else"), Ok(3));
}

#[test]
fn a_route_changes_what_goes_on() {
    let file = format!(
        "{SITE}\n[[routes]]\npath-prefix = \"/api\"\nbackend = \"app\"\n\
         replace-prefix = \"/v2\"\nhost-header = \"api.internal\"\n\
         request-headers = {{ remove = [\"Cookie\"], set = {{ X-Route = \"{{route}} of {{client}}\" }} }}\n\
         response-headers = {{ set = {{ X-Frame-Options = \"DENY\" }} }}\n\
         [[routes]]\npath-regex = \"^/user/([0-9]+)$\"\nredirect = \"/people/{{1}}{{query}}\"\nstatus = 308\n"
    );
    let state = state(&file);
    let text = "GET /api/x?y=1 HTTP/1.1\r\nHost: www.foobar.com\r\nCookie: a=b\r\n\
        X-Forwarded-For: 1.2.3.4\r\ntraceparent: nonsense\r\n\r\n";
    let prepared = ask(&state, text).unwrap();
    assert_eq!(
        String::from_utf8(prepared.outgoing).unwrap(),
        "GET /v2/x?y=1 HTTP/1.1\r\nHost: api.internal\r\nX-Forwarded-For: 192.0.2.7\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: www.foobar.com\r\nX-Request-Id: abc\r\n\
         X-Route: route-1 of 192.0.2.7\r\n\r\n"
    );
    assert_eq!(
        String::from_utf8(prepared.lines).unwrap(),
        "X-Request-Id: abc\r\nX-Frame-Options: DENY\r\n"
    );
    let answer = ask(
        &state,
        "GET /user/7?a=b HTTP/1.1\r\nHost: www.foobar.com\r\n\r\n",
    )
    .unwrap_err();
    let Content::Location(location) = &answer.content else {
        panic!("{answer:?}")
    };
    assert_eq!((answer.status, location.as_str()), (308, "/people/7?a=b"));
}

#[test]
fn a_trusted_proxy_is_believed() {
    let file = SITE.replace(
        "[balancer.limits]",
        "[balancer]\ntrusted-proxies = [\"192.0.2.0/24\"]\n[balancer.limits]",
    );
    let text = "GET / HTTP/1.1\r\nHost: www.foobar.com\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.5\r\n\
        X-Forwarded-Proto: https\r\n\r\n";
    let prepared = ask(&state(&file), text).unwrap();
    let outgoing = String::from_utf8(prepared.outgoing).unwrap();
    assert!(
        outgoing.contains(
            "X-Forwarded-For: 9.9.9.9, 203.0.113.5, 192.0.2.7\r\nX-Forwarded-Proto: https"
        ),
        "{outgoing}"
    );
    assert!(prepared.secure);
}
