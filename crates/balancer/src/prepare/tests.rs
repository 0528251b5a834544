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
    State::new(snapshot, None, &lasting, 0).unwrap()
}

fn ask(state: &State, text: &str) -> Result<Prepared, Answer> {
    let terms = Terms {
        state,
        client: [192, 0, 2, 7].into(),
        scheme: "http",
        redirect_to: None,
        now: Duration::from_secs(1),
    };
    let length = head::find_end(text.as_bytes(), 0).unwrap();
    let mut line = Line {
        id: "abc".to_owned(),
        ..Line::default()
    };
    prepare(text.as_bytes(), length, &terms, &mut line, Vec::new())
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
