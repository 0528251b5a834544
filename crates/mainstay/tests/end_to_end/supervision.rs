//! Processes that are killed come back, requests go on, and nothing outlives its parent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use crate::client::{Client, HOST};
use crate::harness::{PATIENCE, Prepared, TWO_APP_SERVERS, kill, text, wait};

/// Sends `count` requests over kept connections; gives how many failed (a connection that is cut before
/// an answer, or a 5xx).
fn load(address: &str, threads: u32, count: u32, done: &Arc<AtomicU32>) -> u32 {
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (address, done) = (address.to_owned(), Arc::clone(done));
            std::thread::spawn(move || {
                let mut failed = 0;
                let mut client = None;
                for _ in 0..count / threads {
                    let open = client.get_or_insert_with(|| Client::connect(&address));
                    let request = format!("GET /who HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
                    match open.send(request).try_response("GET") {
                        Ok(response) if response.status == 200 => {}
                        Ok(_) | Err(_) => {
                            failed += 1;
                            client = None;
                        }
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                failed
            })
        })
        .collect();
    workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .sum()
}

#[test]
fn an_app_server_that_is_killed_under_load_costs_no_request_and_comes_back() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let address = site.http();
    let mut victims = site.pids("app-1", "app/");
    victims.extend(site.pids("app-1", "web"));
    assert_eq!(victims.len(), 3);
    let done = Arc::new(AtomicU32::new(0));
    let killer = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            wait("a quarter of the load", || {
                (done.load(Ordering::Relaxed) > 500).then_some(())
            });
            for pid in victims {
                kill(pid, "KILL");
            }
        })
    };
    // GETs: those in flight on the killed processes are asked elsewhere.
    let failed = load(&address, 4, 2000, &done);
    killer.join().unwrap();
    assert_eq!(failed, 0, "of 2000 requests");

    site.wait_until_serving();
    wait("app-1 is asked again", || {
        let who = Client::connect(&address).get("/who").text();
        who.starts_with("app-1").then_some(())
    });
    let status = site.status();
    let servers = status["servers"].as_array().unwrap();
    let processes = servers
        .iter()
        .flat_map(|server| server["processes"].as_array().unwrap());
    let restarted = processes.filter(|process| process["restarts"] == 1).count();
    assert_eq!(restarted, 3, "{status:#}");
}

#[test]
fn a_balancer_that_is_killed_refuses_no_connection() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let address = site.http();
    for _ in 0..3 {
        site.kill_all(&site.pids("lb-1", "balancer"));
        // The socket is the parent's: connections wait for the next balancer.
        let mut client = Client::connect(&address);
        assert_eq!(client.get("/").text(), "hello");
        site.wait_until_serving();
    }
}

#[test]
fn a_web_server_without_a_ready_instance_is_out_of_rotation() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let release = site.path().join(".mainstay/releases");
    let release = std::fs::read_dir(release)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    // Both servers run in the same release here, so both become unhealthy.
    std::fs::write(release.join("unhealthy"), "").unwrap();
    let address = site.http();
    let answer = wait("the site says 503", || {
        Some(Client::connect(&address).get("/")).filter(|answer| answer.status == 503)
    });
    assert!(answer.field("retry-after").is_some());
    wait("status says why", || {
        let status = site.run(&["status"]);
        text(&status.stdout)
            .contains("no ready instance of 2")
            .then_some(())
    });
    std::fs::remove_file(release.join("unhealthy")).unwrap();
    site.wait_until_serving();
    assert_eq!(Client::connect(&address).get("/").text(), "hello");
}

#[test]
fn stopping_waits_for_open_requests() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let mut client = Client::connect(&site.http());
    client.send(format!(
        "GET /slow?ms=1000 HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    ));
    let mut idle = Client::connect(&site.http());
    assert_eq!(idle.get("/").text(), "hello");
    let down = std::thread::spawn(move || {
        site.down();
        site
    });
    assert!(idle.is_closed());
    assert_eq!(client.response().text(), "slow");
    down.join().unwrap();
}

#[test]
fn no_process_outlives_its_parent_whatever_kills_the_parent() {
    let mut site = Prepared::new(TWO_APP_SERVERS).up();
    assert!(site.marked().len() >= 7, "{:?}", site.marked());
    for signal in ["KILL", "TERM", "HUP"] {
        kill(site.pid(), signal);
        site.wait_until_gone();
        site.up_again();
        assert_eq!(Client::connect(&site.http()).get("/").text(), "hello");
    }
}

#[test]
fn kills_in_a_row_do_not_stop_the_site() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let address = site.http();
    let over = Arc::new(AtomicBool::new(false));
    let asking = {
        let (over, address) = (Arc::clone(&over), address.clone());
        std::thread::spawn(move || {
            let mut answers = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(Client::connect(&address).get("/").status, 200);
                answers += 1;
            }
            answers
        })
    };
    let since = Instant::now();
    for round in 0..4 {
        // One server at a time: the other serves.
        let server = if round % 2 == 0 { "app-1" } else { "app-2" };
        site.kill_all(&site.pids(server, "web"));
        site.wait_until_serving();
        assert!(since.elapsed() < PATIENCE * 2);
    }
    over.store(true, Ordering::Relaxed);
    assert!(asking.join().unwrap() > 4);
}
