//! `consistency = "visitor"`: who has left a message sees it on the next page, whichever server makes
//! it, also while the replica does not follow.

use mysql::client::{Address, Connection};

use crate::client::{Client, Response};
use crate::harness::{Prepared, Site, wait_for};

const ROUNDS: usize = 6;

/// A browser: it keeps the cookie.
#[derive(Default)]
struct Browser {
    cookie: Option<String>,
}

impl Browser {
    fn ask(&mut self, site: &Site, request: &str, body: &str) -> Response {
        let cookie = match &self.cookie {
            Some(cookie) => format!("Cookie: other=1; {cookie}\r\n"),
            None => String::new(),
        };
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: www.foobar.com\r\n{cookie}Content-Length: {length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
        );
        let answer = Client::connect(&site.http()).send(head).response();
        if let Some(set) = answer.field("set-cookie") {
            assert!(set.contains("; HttpOnly; SameSite=Lax"), "{set}");
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        answer
    }

    /// Leaves a message and looks for it on the next page, which the other server makes.
    fn finds_its_message(&mut self, site: &Site, text: &str) -> bool {
        let body = format!("author=Ada&text={text}");
        assert_eq!(self.ask(site, "POST /messages", &body).status, 303);
        let page = self.ask(site, "GET /", "");
        assert_eq!(page.status, 200, "{}", page.text());
        page.text().contains(text)
    }
}

fn site_file(consistency: &str) -> String {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/foobar/site.toml"
    );
    let text = std::fs::read_to_string(example).unwrap();
    format!("{text}\n[sql-router]\nconsistency = \"{consistency}\"\n")
}

fn site(consistency: &str) -> Site {
    let prepared = Prepared::foobar();
    std::fs::write(prepared.path().join("site.toml"), site_file(consistency)).unwrap();
    prepared.up()
}

/// The replica's administrator.
async fn replica(site: &Site) -> Connection {
    let directory = agent::state_dir::runtime_of(&site.path().join(".mainstay")).join("db-1.2");
    let mut entries = std::fs::read_dir(&directory).unwrap().flatten();
    let socket = entries
        .find(|entry| entry.path().extension().is_some_and(|it| it == "sock"))
        .unwrap();
    let secret = site.path().join(".mainstay/secrets/database-admin");
    let password = telemetry::Secret::new(std::fs::read_to_string(secret).unwrap().trim());
    let user = database::accounts::ADMIN;
    Connection::connect(&Address::Unix(socket.path()), user, &password, None)
        .await
        .unwrap()
}

/// In how many of the rounds the message was there, with a replica that applies none of them.
fn found(site: &Site) -> usize {
    let mut browser = Browser::default();
    wait_for("a page is read from the replica", || {
        browser.ask(site, "GET /", "").text().contains("db-1.2")
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut replica = replica(site).await;
        // Whoever applies the messages waits for this.
        replica
            .query("LOCK TABLES foobar.messages READ")
            .await
            .unwrap();
        (0..ROUNDS)
            .filter(|round| browser.finds_its_message(site, &format!("round{round}")))
            .count()
    })
}

#[test]
fn a_visitor_sees_what_he_wrote_on_any_server() {
    assert_eq!(found(&site("visitor")), ROUNDS);
}

/// So the other test can fail; and it is changed while the site serves.
#[test]
fn without_it_he_does_not_until_it_is_reloaded() {
    let site = site("session");
    assert!(found(&site) < ROUNDS);
    site.write_site_file(
        &(site_file("visitor") + "\n[balancer.limits]\nrequest-body = \"1MiB\"\n"),
    );
    let told = site.ok(&["reload"]);
    assert!(told.contains("app-1: sql-router is told"), "{told}");
    assert!(told.contains("app-2: web is told"), "{told}");
    wait_for("visitors get their cookie", || {
        let mut browser = Browser::default();
        browser.ask(&site, "GET /", "");
        browser.ask(&site, "GET /", "");
        browser.cookie.is_some()
    });
    // What is fixed is refused, and all stays as it is.
    let other = site_file("visitor").replace("instances = 2", "instances = 3");
    site.write_site_file(&other);
    let (status, text) = site.fails(&["reload"]);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("app of app-1"), "{text}");
    assert_eq!(found(&site), ROUNDS);
}

#[test]
fn a_forged_cookie_is_none() {
    let site = site("visitor");
    let mut browser = Browser::default();
    browser.ask(&site, "GET /", "");
    let ours = browser.cookie.clone().unwrap();
    let (position, signature) = ours.split_once('.').unwrap();
    browser.cookie = Some(format!("{position}9.{signature}"));
    let answer = browser.ask(&site, "GET /", "");
    assert_eq!(answer.status, 200);
    // A new one, of the position that is.
    let new = answer.field("set-cookie").unwrap();
    assert!(!new.contains(&format!("{position}9.")), "{new}");
}
