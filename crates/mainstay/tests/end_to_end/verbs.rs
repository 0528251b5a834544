//! `status`, `logs`, metrics and events of a running site.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::client::Client;
use crate::harness::{Prepared, TWO_APP_SERVERS, mainstay, text, wait};

#[test]
fn a_running_site_can_be_looked_at() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    for _ in 0..6 {
        assert_eq!(Client::connect(&site.http()).get("/").status, 200);
    }
    let status = wait("requests are counted", || {
        Some(site.status()).filter(|status| status["traffic"]["requests"].as_u64() >= Some(6))
    });
    assert_eq!(status["site"], "test");
    assert_eq!(status["state"], "serving");
    let endpoints = status["endpoints"].as_array().unwrap();
    assert!(
        endpoints.iter().all(|endpoint| endpoint["up"] == true),
        "{status:#}"
    );

    let page = site.run(&["status"]);
    assert_eq!(page.status.code(), Some(0));
    let page = text(&page.stdout);
    for shown in ["test: serving", "lb-1", "balancer", "app/2", "up"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }

    let logs = text(&site.run(&["logs"]).stdout);
    assert!(logs.contains("app-1/app-1 test app: listening"), "{logs}");
    wait("the access log is written", || {
        let logs = text(&site.run(&["logs", "access"]).stdout);
        logs.contains("\"status\":200").then_some(())
    });
    let of_one = text(&site.run(&["logs", "app-2"]).stdout);
    assert!(
        of_one.contains("app-2/app-1") && !of_one.contains("app-1/app-1"),
        "{of_one}"
    );
    let none = site.run(&["logs", "app-9"]);
    assert!(text(&none.stderr).contains("there are no logs of `app-9`"));

    let metrics = metrics(&site.ready);
    assert!(
        metrics.contains("mainstay_endpoint_up{server=\"lb-1\""),
        "{metrics}"
    );
    let families = metrics
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .count();
    let names: std::collections::BTreeSet<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    assert_eq!(families, names.len(), "each family once: {metrics}");
}

fn metrics(ready: &serde_json::Value) -> String {
    let mut all = String::new();
    for server in ready["metrics"].as_array().unwrap() {
        if server[0] != "lb-1" {
            continue;
        }
        let url = server[1].as_str().unwrap();
        let curl = Command::new("curl")
            .args(["-sS", "--max-time", "10", url])
            .output()
            .unwrap();
        all.push_str(&text(&curl.stdout));
    }
    all
}

#[test]
fn events_say_what_happened_and_why() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    site.kill_all(&site.pids("app-2", "app/"));
    wait("the events are written", || {
        let events = std::fs::read_to_string(site.path().join(".mainstay/events.jsonl")).ok()?;
        let told = [
            "instance app-2/1 ended: killed by SIGKILL",
            "instance app-2/2 is ready again",
        ];
        told.iter().all(|what| events.contains(what)).then_some(())
    });
}

#[test]
fn logs_can_be_followed() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let mut following = mainstay()
        .current_dir(site.path())
        .args(["logs", "-f", "-n", "0", "app-1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(following.stdout.take().unwrap()).lines();
    site.kill_all(&site.pids("app-1", "app/1"));
    // Blocks until the line comes; the test runner ends a test that waits for ever.
    let line = lines
        .map_while(Result::ok)
        .find(|line| line.contains("app-1/app-1"));
    assert!(line.unwrap().ends_with("test app: listening"));
    following.kill().unwrap();
    following.wait().unwrap();
}
