//! The monitor as a site runs it: statuses and events in; the page, its stream and posts out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod site;

use std::time::Duration;

use monitor::status::State;
use site::{bearer, read_until, receiver, site, within};
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn every_path_asks_for_the_token() {
    let site = site(Vec::new()).await;
    let paths = [
        "/",
        "/page.js",
        "/page.css",
        "/live",
        "/status.json",
        "/history.json",
        "/alerts.json",
        "/events.json",
        "/nowhere",
    ];
    for path in paths {
        for headers in [
            "",
            "Authorization: Bearer wrong\r\n",
            "Cookie: mainstay-foobar=wrong\r\n",
        ] {
            let answer = site.get(path, headers).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
            assert!(answer.contains("mainstay status"), "{answer}");
        }
    }
    let answer = site.get("/?token=wrong", "Accept: text/html\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && answer.contains("<html"),
        "{answer}"
    );
    let answer = site.get("/metrics", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = site.get("/nowhere", &bearer()).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    site.ended().await;
}

#[tokio::test]
async fn the_link_leaves_a_cookie_and_the_bare_address() {
    let site = site(Vec::new()).await;
    let link = format!("/?token={}", site::TOKEN);
    let answer = site.get(&link, "").await;
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    assert!(answer.contains("\r\nlocation: /\r\n"), "{answer}");
    let cookie = format!("mainstay-foobar={}", site::TOKEN);
    let set = format!("\r\nset-cookie: {cookie}; Path=/; HttpOnly; SameSite=Strict\r\n");
    assert!(answer.contains(&set), "{answer}");

    let page = site.get("/", &format!("Cookie: a=b; {cookie}\r\n")).await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(
        page.contains("script-src 'self'; style-src 'self'"),
        "{page}"
    );
    assert!(
        page.contains("<script type=\"module\" src=\"/page.js\">"),
        "{page}"
    );

    // From a mail: a redirect would lose the strict cookie.
    let answer = site.get(&link, "Sec-Fetch-Site: cross-site\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains(&set),
        "{answer}"
    );
    site.ended().await;
}

#[tokio::test]
async fn a_page_is_told_of_states_events_and_seconds() {
    let site = site(Vec::new()).await;
    let mut live = site.open("/live", &bearer()).await;
    let text = read_until(&mut live, "event: alerts").await;
    assert!(
        text.contains("event: status\ndata: {\"site\":\"foobar\""),
        "{text}"
    );
    site.tell("endpoint-up").await;
    read_until(&mut live, "<b>endpoint-up</b>").await;
    site.set(false);
    read_until(&mut live, "connection refused").await;
    read_until(&mut live, "\"state\":\"firing\"").await;
    let alerts = site.get("/alerts.json", &bearer()).await;
    assert!(
        alerts.contains("endpoint app-1 is down for lb-1: connection refused"),
        "{alerts}"
    );

    // A status at least every so often, though nothing changes; and a second of the history.
    read_until(&mut live, "event: status").await;
    let fed = async {
        loop {
            site.set(true);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = fed => {}
        _ = read_until(&mut live, "event: point") => {}
    }
    let history = site.get("/history.json", &bearer()).await;
    assert!(history.contains("\"endpoints_up\":2"), "{history}");

    // No more pages than allowed; a place is free again when one is closed.
    let mut second = site.open("/live", &bearer()).await;
    read_until(&mut second, "event: status").await;
    let third = site.get("/live", &bearer()).await;
    assert!(third.starts_with("HTTP/1.1 503 "), "{third}");
    drop(second);
    within(async {
        loop {
            let mut again = site.open("/live", &bearer()).await;
            let mut head = [0; 12];
            again.read_exact(&mut head).await.unwrap();
            if &head == b"HTTP/1.1 200" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;

    site.ended().await;
    let mut rest = String::new();
    within(live.read_to_string(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn an_alert_arrives_once_when_it_begins_and_once_when_it_is_over() {
    let (url, receiver, mut posts) = receiver(3).await;
    // One that is not there holds up nobody.
    let site = site(vec!["http://127.0.0.1:1/hush".into(), url]).await;
    site.set(false);
    let firing = within(posts.recv()).await.unwrap();
    assert_eq!(firing["alert"], "endpoint-down");
    assert_eq!(firing["state"], "firing");
    assert_eq!(firing["site"], "foobar");
    assert_eq!(*receiver.asked.lock().unwrap(), 4, "three refusals");
    site.set(true);
    let resolved = within(posts.recv()).await.unwrap();
    assert_eq!(resolved["state"], "resolved");
    assert_eq!(resolved["id"], firing["id"]);
    assert_eq!(resolved["since"], firing["since"]);
    assert!(resolved["until"].is_string());

    let log = site.monitor.events.clone();
    site.ended().await;
    assert!(posts.try_recv().is_err(), "nothing twice");
    let events = log.recent(10);
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds[..2], ["alert-firing", "alert-resolved"]);
    assert!(
        kinds[2..].iter().all(|kind| *kind == "webhook-failed"),
        "{kinds:?}"
    );
    assert!(
        !format!("{events:?}").contains("hush"),
        "the address is a secret"
    );
}

#[tokio::test]
async fn starting_and_stopping_are_no_alerts() {
    let (url, _receiver, mut posts) = receiver(0).await;
    let site = site(vec![url]).await;
    site.status
        .send_replace(site::status(false, State::Starting));
    site.tell("site-stopping").await;
    site.set(false);
    // Many looks later: the log is read by the same task that looks at the rules.
    let log = site.monitor.events.clone();
    let mut live = log.subscribe();
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        site.tell("look").await;
        within(live.recv()).await.unwrap();
    }
    site.ended().await;
    assert!(posts.try_recv().is_err());
    assert!(
        log.recent(100)
            .iter()
            .all(|event| !event.kind.starts_with("alert"))
    );
}

#[tokio::test]
async fn what_fires_when_the_site_is_stopped_is_closed() {
    let (url, _receiver, mut posts) = receiver(0).await;
    let site = site(vec![url]).await;
    site.set(false);
    assert_eq!(within(posts.recv()).await.unwrap()["state"], "firing");
    site.tell("site-stopping").await;
    let closed = within(posts.recv()).await.unwrap();
    assert_eq!(closed["state"], "resolved");
    assert!(
        closed["text"]
            .as_str()
            .unwrap()
            .contains("the site was stopped")
    );
    site.ended().await;
    assert!(posts.try_recv().is_err());
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_receiver_that_hangs() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let site = site(vec![url]).await;
    site.set(false);
    // Taken, never answered.
    let hanging = within(listener.accept()).await.unwrap();
    let began = std::time::Instant::now();
    site.ended().await;
    assert!(began.elapsed() < Duration::from_secs(4));
    drop(hanging);
}
