//! Somebody is told when the site breaks and when it is over, and the live page asks for its token.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};

use serde_json::Value;

use crate::harness::{PATIENCE, Prepared, TWO_APP_SERVERS, kill, text, wait};

/// A webhook receiver: its URL and what it is told.
fn receiver() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (told, telling) = sync_channel(64);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                .unwrap();
            if told.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (url, telling)
}

/// The next thing told about `subject`.
fn next_about(telling: &Receiver<Value>, subject: &str) -> Value {
    loop {
        let told = telling.recv_timeout(PATIENCE).unwrap();
        if told["subject"].as_str().unwrap().contains(subject) {
            return told;
        }
    }
}

#[test]
fn an_endpoint_that_hangs_is_told_and_so_is_its_return() {
    let (url, telling) = receiver();
    let site_file = format!("{TWO_APP_SERVERS}\n[alerts]\nwebhook = [\"{url}\"]\n");
    let site = Prepared::new(&site_file).up();
    let web = site.pids("app-2", "web");
    for pid in &web {
        kill(*pid, "STOP");
    }
    let firing = next_about(&telling, "app-2");
    assert_eq!(firing["state"], "firing", "{firing}");
    assert_eq!(firing["site"], "test");
    assert!(
        firing["text"].as_str().unwrap().contains("app-2"),
        "{firing}"
    );
    assert!(!firing["next"].as_str().unwrap().is_empty(), "{firing}");
    let status = site.status();
    assert_eq!(status["state"], "degraded");
    for pid in &web {
        kill(*pid, "CONT");
    }
    let resolved = next_about(&telling, "app-2");
    assert_eq!(resolved["state"], "resolved", "{resolved}");
    assert_eq!(resolved["alert"], firing["alert"]);
}

#[test]
fn the_live_page_asks_for_its_token() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let link = site.ready["dashboard"].as_str().unwrap().to_owned();
    let (address, token) = link.split_once("/?token=").unwrap();
    let curl = |args: &[&str]| {
        let mut curl = Command::new("curl");
        let out = curl
            .args(["-sS", "--max-time", "20"])
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    };
    let code = ["-o", "/dev/null", "-w", "%{http_code}"];
    for path in ["/", "/status.json", "/live", "/events.json", "/page.js"] {
        let url = format!("{address}{path}");
        let refused = curl(&[&code[..], &[&url]].concat());
        assert_eq!(refused, "401", "{path}");
    }
    let bearer = format!("Authorization: Bearer {token}");
    let url = format!("{address}/status.json");
    wait("the page's status", || {
        let status: Value = serde_json::from_str(&curl(&["-H", &bearer, &url])).unwrap();
        (status["site"] == "test").then_some(())
    });
    let jar = site.path().join("cookies");
    let jar = jar.to_str().unwrap();
    let page = curl(&["-L", "-c", jar, "-b", jar, &link]);
    assert!(
        page.contains("<!doctype html>") && !page.contains(token),
        "{page}"
    );
}
