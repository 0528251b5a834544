//! What a visitor does not see of endpoints that fail, and what he does.

use crate::client::get;
use crate::endpoint::{Endpoint, Reply};
use crate::running::{Balancer, own_address, site, wait};

#[test]
fn who_refuses_a_connection_is_passed_over() {
    let refusing = own_address();
    let echo =
        Endpoint::new(|seen| Reply::Text(200, String::from_utf8_lossy(&seen.body).into_owned()));
    let lines = "algorithm = \"first\"";
    let balancer = Balancer::up(&site(&[&refusing, &echo.address], lines));
    let mut client = balancer.client();
    assert_eq!(client.get("/").status, 200);
    // Nothing of it was sent: also what may not be repeated goes elsewhere, with its body.
    assert_eq!(client.post("/", "small").text(), "small");
    let large = "0123456789".repeat(50_000);
    assert_eq!(client.post("/", &large).text(), large);
    let line = balancer.logged(r#""method":"POST""#);
    assert!(line.contains(r#""attempts":2"#), "{line}");
    assert_eq!(balancer.endpoint(&refusing)["failures"], 3);
}

#[test]
fn what_may_have_had_an_effect_is_not_repeated() {
    let cutting = Endpoint::new(|_| Reply::Cut);
    let good = Endpoint::named("good");
    let lines = "algorithm = \"first\"";
    let balancer = Balancer::up(&site(&[&cutting.address, &good.address], lines));
    let mut client = balancer.client();
    let failed = client.post("/order", "one beer");
    assert_eq!(
        (failed.status, failed.reason().as_str()),
        (502, "response-ended")
    );
    assert_eq!((cutting.count(), good.count()), (1, 0));
    let mut client = balancer.client();
    assert_eq!(client.get("/").text(), "good");
    assert_eq!((cutting.count(), good.count()), (2, 1));
    let put = "PUT /x HTTP/1.1\r\nHost: test.example\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(client.send(put).response().text(), "good");
    assert_eq!((cutting.count(), good.count()), (3, 2));
    assert_eq!(good.seen()[1].body, b"x");
}

#[test]
fn attempts_and_their_budget_are_bounded() {
    let refusing = [own_address(), own_address(), own_address()];
    let all: Vec<&str> = refusing.iter().map(String::as_str).collect();
    let lines = "retries = { attempts = 2, budget = 0 }\npanic = 0";
    let balancer = Balancer::up(&site(&all, lines));
    let mut client = balancer.client();
    let failed = client.get("/");
    assert_eq!(
        (failed.status, failed.reason().as_str()),
        (502, "connect-failed")
    );
    let line = balancer.logged("connect-failed");
    assert!(line.contains(r#""attempts":2"#), "{line}");
    // Ten a second are always granted, over ten seconds.
    for _ in 0..149 {
        assert_eq!(client.get("/").status, 502);
    }
    wait("all are logged", || {
        (balancer.access_log().lines().count() == 150).then_some(())
    });
    let twice = balancer.access_log().matches(r#""attempts":2"#).count();
    assert!((100..150).contains(&twice), "{twice} of 150");
}

#[test]
fn a_kept_connection_that_has_died_is_no_failure() {
    let dying =
        Endpoint::new(|_| Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()));
    let balancer = Balancer::up(&site(&[&dying.address], ""));
    let mut client = balancer.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(balancer.endpoint(&dying.address)["failures"], 0);
}

#[test]
fn answers_that_are_none_become_errors_with_reasons() {
    let strange = Endpoint::new(|seen| {
        Reply::Raw(match seen.path() {
            "/garbage" => "what?\r\n\r\n".to_owned(),
            "/huge" => format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000)),
            "/ended" => "HTTP/1.1 200 OK\r\nConte".to_owned(),
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut".to_owned(),
        })
    });
    let lines = "retries = { attempts = 1 }";
    let balancer = Balancer::up(&site(&[&strange.address], lines));
    for (path, reason) in [
        ("/garbage", "bad-response"),
        ("/huge", "response-too-large"),
        ("/ended", "response-ended"),
    ] {
        let answer = balancer.client().get(path);
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (502, reason),
            "{path}"
        );
    }
    // What broke off must not look whole.
    let mut client = balancer.client();
    let cut = client.send(get("/cut", "")).try_response("GET");
    assert_eq!(cut.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_client_that_has_said_all_is_still_answered() {
    let app = Endpoint::named("app");
    let balancer = Balancer::up(&site(&[&app.address], ""));
    let mut client = balancer.client();
    client.send(get("/", "")).end_writing();
    assert_eq!(client.response().text(), "app");
    assert!(client.is_closed());
}
