//! The example site with its database: what the textbook draws, for real.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{Client, Response};
use crate::harness::{Prepared, Site, kill, text, wait};

const HOST: &str = "www.foobar.com";

fn ask(site: &Site, request: &str, body: &str) -> Response {
    let mut client = Client::connect(&site.http());
    let length = if body.is_empty() {
        String::new()
    } else {
        format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            body.len()
        )
    };
    let head =
        format!("{request} HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/json\r\n{length}");
    client.send(format!("{head}\r\n{body}")).response()
}

fn about(site: &Site) -> Value {
    let answer = ask(site, "GET /about-this-response", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// A status counter of each member, read over its own admin connection.
fn counter(site: &Site, name: &str) -> BTreeMap<String, u64> {
    let runtime = agent::state_dir::runtime_of(&site.path().join(".mainstay"));
    let secret = site.path().join(".mainstay/secrets/database-admin");
    let password = telemetry::Secret::new(std::fs::read_to_string(secret).unwrap().trim());
    let runtime_of = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    ["db-1", "db-1.2"]
        .into_iter()
        .map(|member| {
            let directory = runtime.join(member);
            let socket = std::fs::read_dir(&directory)
                .unwrap()
                .flatten()
                .map(|entry| entry.path())
                .find(|path| {
                    path.extension()
                        .is_some_and(|extension| extension == "sock")
                })
                .unwrap_or_else(|| panic!("no socket in {}", directory.display()));
            let sql = format!("SHOW GLOBAL STATUS LIKE '{name}'");
            let value = runtime_of.block_on(async {
                let address = mysql::client::Address::Unix(socket);
                let user = database::accounts::ADMIN;
                let mut connection =
                    mysql::client::Connection::connect(&address, user, &password, None)
                        .await
                        .unwrap();
                let rows = connection.query(&sql).await.unwrap();
                rows.rows[0][1].clone().unwrap()
            });
            (member.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[test]
fn the_textbook_site_runs() {
    let mut site = Prepared::foobar().up();

    every_part_answers(&site);
    reads_are_the_replicas_and_writes_the_primarys(&site);
    a_message_is_left_and_read(&site);
    a_killed_database_comes_back(&site, "database/db-1.2");
    a_killed_database_comes_back(&site, "database/db-1");
    a_killed_router_comes_back(&site);

    let before = about(&site)["visits"].as_u64().unwrap();
    site.down();
    site.up_again();
    let page = ask(&site, "GET /", "").text();
    assert!(
        page.contains("Kept over &quot;down&quot; &amp; up"),
        "{page}"
    );
    assert!(
        about(&site)["visits"].as_u64().unwrap() >= 1,
        "{before} before"
    );

    // A crash of everything, in the middle of writing.
    kill(site.pid(), "KILL");
    site.wait_until_gone();
    site.up_again();
    assert_eq!(ask(&site, "GET /", "").status, 200);
    site.wait_until_serving();
}

fn every_part_answers(site: &Site) {
    let mut servers = BTreeMap::new();
    let mut instances = BTreeMap::new();
    for _ in 0..100 {
        let answer = about(site);
        *servers
            .entry(answer["server"].as_str().unwrap().to_owned())
            .or_insert(0) += 1;
        *instances
            .entry(answer["instance"].as_str().unwrap().to_owned())
            .or_insert(0) += 1;
        assert_eq!(answer["written_by"]["member"], "db-1", "{answer}");
        assert_eq!(answer["written_by"]["read_only"], false, "{answer}");
    }
    assert_eq!(
        servers,
        BTreeMap::from([("app-1".into(), 50), ("app-2".into(), 50)])
    );
    assert_eq!(instances.len(), 4, "{instances:?}");
}

/// `/about-this-response` writes a row and reads it back in the same session: the replica answers when it
/// has it, and never with less than was written.
fn reads_are_the_replicas_and_writes_the_primarys(site: &Site) {
    let (selects, inserts) = (counter(site, "Com_select"), counter(site, "Com_insert"));
    let mut by_replica = 0;
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..100 {
        let answer = about(site);
        let instance = answer["instance"].as_str().unwrap().to_owned();
        let visits = answer["visits"].as_u64().unwrap();
        let former = seen.insert(instance, visits).unwrap_or(0);
        assert!(visits > former, "read less than was written: {answer}");
        by_replica += u32::from(answer["read_by"]["read_only"] == true);
    }
    // Usually all; on a busy machine the replica is sometimes not there within the router's wait.
    assert!(by_replica >= 50, "{by_replica} of 100 reads by the replica");
    let grown = |name: &str, before: &BTreeMap<String, u64>, member: &str| {
        counter(site, name)[member] - before[member]
    };
    assert!(grown("Com_select", &selects, "db-1.2") >= 50);
    assert!(grown("Com_insert", &inserts, "db-1") >= 100);
    // The replica applies rows; it executes no INSERT of a client.
    assert_eq!(grown("Com_insert", &inserts, "db-1.2"), 0);
}

fn a_message_is_left_and_read(site: &Site) {
    let body = "author=Ada&text=Kept+over+%22down%22+%26+up";
    let posted = ask(site, "POST /messages", body);
    assert_eq!(posted.status, 303, "{}", posted.text());
    wait("the message is on the page", || {
        ask(site, "GET /", "")
            .text()
            .contains("Kept over &quot;down&quot; &amp; up")
            .then_some(())
    });
    let healthz = ask(site, "GET /healthz", "");
    assert_eq!(healthz.text(), "ok\n");
}

fn a_killed_database_comes_back(site: &Site, process: &str) {
    let pids: Vec<u32> = site.pids("db-1", process);
    let status = site.status();
    let of_status = status["servers"].as_array().unwrap().iter();
    let exact = of_status
        .flat_map(|server| server["processes"].as_array().unwrap())
        .find(|it| it["name"] == process)
        .and_then(|it| it["pid"].as_u64());
    assert!(pids.iter().any(|pid| u64::from(*pid) == exact.unwrap()));
    kill(u32::try_from(exact.unwrap()).unwrap(), "KILL");
    wait("the page is there while and after it is down", || {
        Some(ask(site, "GET /about-this-response", "").status).filter(|status| *status == 200)
    });
    site.wait_until_serving();
    assert_eq!(about(site)["written_by"]["member"], "db-1");
}

fn a_killed_router_comes_back(site: &Site) {
    site.kill_all(&site.pids("app-1", "sql-router"));
    wait("both servers answer again", || {
        let servers: std::collections::BTreeSet<String> =
            (0..4).map(|_| about_or_empty(site)).collect();
        (servers.contains("app-1") && servers.contains("app-2")).then_some(())
    });
    let status = site.run(&["status"]);
    assert!(text(&status.stdout).contains("sql-router"));
}

fn about_or_empty(site: &Site) -> String {
    let answer = ask(site, "GET /about-this-response", "");
    serde_json::from_slice::<Value>(&answer.body)
        .ok()
        .and_then(|answer| answer["server"].as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[test]
fn a_data_directory_of_another_member_is_refused() {
    let prepared = Prepared::foobar();
    let up = ["up", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"];
    let directory = prepared.path().join(".mainstay/database/db-1");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("ibdata1"), "somebody's data").unwrap();
    let refused = prepared.run(&up);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("database db-1") && said.contains("database/db-1"),
        "{said}"
    );
    assert_eq!(
        std::fs::read(directory.join("ibdata1")).unwrap(),
        b"somebody's data"
    );
}
