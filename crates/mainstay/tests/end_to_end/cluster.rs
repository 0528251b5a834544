//! The database cluster operated by a person: seen, switched over, paused, restarted, forced; its accounts
//! and its shell.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::Value;

use crate::client::Client;
use crate::harness::{Prepared, Site, kill, mainstay, text, wait, wait_for};

const HOST: &str = "www.foobar.com";

/// The example site with so many replicas, which acknowledge.
fn site(replicas: u32) -> Site {
    let prepared = Prepared::foobar();
    let file = prepared.path().join("site.toml");
    let with = std::fs::read_to_string(&file).unwrap().replace(
        "replicas = 1",
        &format!("replicas = {replicas}\nreplication = \"semi-sync\""),
    );
    std::fs::write(&file, with).unwrap();
    let site = prepared.up();
    wait_for("every replica may take over", || {
        let status = cluster(&site);
        let members = status["members"].as_array().unwrap().iter();
        let ready = members.filter(|it| it["in_sync_set"] == true && it["whole"] == true);
        ready.count() == replicas as usize
    });
    site
}

fn cluster(site: &Site) -> Value {
    let output = site.run(&["db", "status", "--json"]);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)))
}

fn member(site: &Site, name: &str) -> Value {
    let status = cluster(site);
    let members = status["members"].as_array().unwrap();
    members
        .iter()
        .find(|it| it["name"] == name)
        .unwrap()
        .clone()
}

fn primary(site: &Site) -> Option<String> {
    let status = cluster(site);
    let members = status["members"].as_array().unwrap().iter();
    let mut primaries = members.filter(|it| it["role"] == "primary" && it["serves"] == true);
    primaries
        .next()
        .map(|it| it["name"].as_str().unwrap().to_owned())
}

fn pids(site: &Site) -> BTreeSet<u64> {
    let status = cluster(site);
    let members = status["members"].as_array().unwrap().iter();
    members.filter_map(|it| it["pid"].as_u64()).collect()
}

/// A page that writes a row and reads it back, through a SQL router.
fn visit(site: &Site) -> u16 {
    ask(site).0
}

fn ask(site: &Site) -> (u16, String) {
    let mut client = Client::connect(&site.http());
    let request = format!(
        "GET /about-this-response HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/json\r\n\r\n"
    );
    let response = client.send(request).response();
    (response.status, response.text())
}

/// Does `work` while somebody visits the site without a pause; every visit must be answered.
fn under_load<T>(site: &Site, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    let good = AtomicU32::new(0);
    let bad = Mutex::new(Vec::new());
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                match ask(site) {
                    (200, _) => {
                        good.fetch_add(1, Ordering::Relaxed);
                    }
                    answer => bad.lock().unwrap().push(answer),
                }
            }
        });
        // The thread ends whatever happens here.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        done
    });
    let done = done.unwrap_or_else(|e| std::panic::resume_unwind(e));
    let bad = bad.into_inner().unwrap();
    let logs = || {
        let logs = site.ok(&["logs", "app", "-n", "400"]);
        let errors = logs.lines().filter(|line| line.contains("error"));
        let events = std::fs::read_to_string(site.path().join(".mainstay/events.jsonl"));
        errors.collect::<Vec<_>>().join("\n") + "\n" + &events.unwrap_or_default()
    };
    assert!(bad.is_empty(), "visits that failed: {bad:?}\n{}", logs());
    assert!(good.into_inner() > 0);
    done
}

#[test]
fn a_cluster_is_seen_switched_over_and_restarted() {
    let site = site(2);
    let page = site.ok(&["db", "status"]);
    assert!(page.contains("3 database members, generation 1"), "{page}");
    assert!(page.contains("├─ db-1.2"), "{page}");
    assert!(page.contains("lease     held by db-1\n"), "{page}");

    // What cannot be is said before anything is asked for.
    let (code, said) = site.fails(&["db", "switchover", "db-9"]);
    assert_eq!(code, 1);
    assert!(
        said.contains("no database member db-9") && said.contains("db-1.2"),
        "{said}"
    );
    let said = site.ok(&["db", "switchover", "db-1"]);
    assert!(said.contains("is the primary already"), "{said}");
    let (_, said) = site.fails(&["db", "promote", "db-1.2"]);
    assert!(said.contains("mainstay db switchover db-1.2"), "{said}");
    let (_, said) = site.fails(&["db", "restart", "db-1"]);
    assert!(said.contains("db-1 is the primary"), "{said}");

    under_load(&site, || {
        let said = site.ok(&["db", "switchover", "db-1.2"]);
        assert!(
            said.starts_with("db-1.2 is primary in generation 2"),
            "{said}"
        );
        assert_eq!(primary(&site).as_deref(), Some("db-1.2"));
        wait_for("the former primary acknowledges", || {
            member(&site, "db-1")["in_sync_set"] == true
        });
        let said = site.ok(&["db", "switchover", "db-1"]);
        assert!(
            said.starts_with("db-1 is primary in generation 3"),
            "{said}"
        );
    });
    let status = site.wait_until_serving();
    assert_eq!(status["generation"], 3);
    let members = status["members"].as_array().unwrap().iter();
    let primaries: Vec<&Value> = members.filter(|it| it["role"] == "primary").collect();
    assert_eq!(primaries.len(), 1);
    assert_eq!(primaries[0]["name"], "db-1");

    accounts_are_made_and_removed(&site);
    the_shell_is_where_it_says(&site);

    let before = pids(&site);
    let said = under_load(&site, || site.ok(&["db", "restart"]));
    assert!(
        said.contains("is primary in generation 4; writes were held"),
        "{said}"
    );
    assert!(said.contains("done; "), "{said}");
    let after = pids(&site);
    assert_eq!(after.len(), 3);
    assert!(before.is_disjoint(&after), "{before:?} {after:?}");
    let status = cluster(&site);
    assert_eq!(
        status["request"]["restart"],
        Value::Null,
        "nothing is asked for any more"
    );
    assert_eq!(status["request"]["switchover"], Value::Null);

    site.down();
    let output = site.run(&["db", "status"]);
    let page = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{page}");
    assert!(
        page.contains("NOT RUNNING") && page.contains("generation 4"),
        "{page}"
    );
    let (code, _) = site.fails(&["db", "switchover"]);
    assert_eq!(code, 3);
}

fn accounts_are_made_and_removed(site: &Site) {
    let list = site.ok(&["db", "users"]);
    assert!(
        list.contains("mainstay_router") && list.contains("the application"),
        "{list}"
    );
    let said = site.ok(&["db", "users", "add", "reporter", "--read-only"]);
    let secret = site.path().join(".mainstay/secrets/database-user-reporter");
    let password = std::fs::read_to_string(&secret).unwrap();
    assert!(!said.contains(password.trim()), "never printed unasked");
    let (_, said) = site.fails(&["db", "users", "add", "reporter"]);
    assert!(said.contains("already"), "{said}");
    let (_, said) = site.fails(&["db", "users", "add", "foobar"]);
    assert!(said.contains("choose another name"), "{said}");
    let (_, said) = site.fails(&["db", "users", "remove", "root"]);
    assert!(said.contains("was not added"), "{said}");
    // On a replica as well.
    wait_for("the replica has the account", || {
        let grants = "SHOW GRANTS FOR 'reporter'@'%'";
        let shell = ["db", "shell", "--on", "db-1.2", "--", "-N", "-e", grants];
        let output = site.run(&shell);
        text(&output.stdout).contains("SELECT, SHOW VIEW ON `foobar`")
    });
    let said = site.ok(&["db", "users", "add", "tool", "--show"]);
    let secret_of_tool = site.path().join(".mainstay/secrets/database-user-tool");
    let password = std::fs::read_to_string(secret_of_tool).unwrap();
    assert!(said.contains(password.trim()), "{said}");
    site.ok(&["db", "users", "remove", "reporter"]);
    assert!(!secret.exists());
    let list = site.ok(&["db", "users"]);
    assert!(
        !list.contains("reporter") && list.contains("tool"),
        "{list}"
    );
}

fn the_shell_is_where_it_says(site: &Site) {
    let which = "SELECT @@server_id, @@read_only";
    let shell = |args: &[&str]| {
        let all = [&["db", "shell"], args, &["--", "-N", "-e", which]].concat();
        site.ok(&all)
    };
    let primary = shell(&[]);
    assert!(primary.trim().ends_with('0'), "{primary}");
    let replica = shell(&["--on", "db-1.2"]);
    assert!(replica.trim().ends_with('1'), "{replica}");
    for at in [&["--on", "db-1.2"][..], &["--read-only"]] {
        let all = [&["db", "shell"], at, &["--", "-e", "CREATE DATABASE never"]].concat();
        let (_, said) = site.fails(&all);
        assert!(said.contains("READ ONLY transaction"), "{said}");
    }
    let (_, said) = site.fails(&["db", "shell", "--on", "db-9"]);
    assert!(said.contains("no database member db-9"), "{said}");
}

#[test]
fn in_maintenance_nothing_changes_hands() {
    let site = site(1);
    let said = site.ok(&["db", "pause"]);
    assert!(said.contains("mainstay db resume"), "{said}");
    let status = site.status();
    assert_eq!(status["state"], "degraded");
    assert!(text(&site.run(&["status"]).stdout).contains("in maintenance"));
    for refused in [
        &["db", "switchover"][..],
        &["db", "restart"],
        &["db", "switchover", "db-1.2"],
    ] {
        let (_, said) = site.fails(refused);
        assert!(
            said.contains("maintenance") && said.contains("mainstay db resume"),
            "{said}"
        );
    }

    let pid = member(&site, "db-1")["pid"].as_u64().unwrap();
    kill(u32::try_from(pid).unwrap(), "KILL");
    wait_for("the primary has given its lease up", || {
        cluster(&site)["state"]["lease"] == "released"
    });
    // Longer than an election takes.
    let since = cluster(&site)["at_ms"].as_u64().unwrap();
    wait_for("some seconds go by", || {
        let status = cluster(&site);
        assert_eq!(status["state"]["primary"], "db-1", "{status:#}");
        assert_eq!(status["state"]["generation"], 1);
        status["at_ms"].as_u64().unwrap() > since + 3000
    });
    assert_eq!(member(&site, "db-1")["state"], "down");
    let output = site.run(&["db", "status"]);
    let page = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        page.contains("MAINTENANCE") && page.contains("db-1 takes no writes"),
        "{page}"
    );
    let (_, said) = site.fails(&["db", "promote", "db-1.2", "--lose-writes-of", "1"]);
    assert!(said.contains("mainstay db resume"), "{said}");

    site.ok(&["db", "resume"]);
    wait_for("somebody takes writes again", || primary(&site).is_some());
    site.wait_until_serving();
    assert_eq!(visit(&site), 200);
}

/// A member whose server is killed and cannot start again until `mend` is called.
struct Broken {
    identity: std::path::PathBuf,
    text: String,
}

fn break_member(site: &Site, name: &str) -> Broken {
    let identity = site
        .path()
        .join(format!(".mainstay/database/{name}/mainstay-member.json"));
    let text = std::fs::read_to_string(&identity).unwrap();
    let pid = member(site, name)["pid"].as_u64().unwrap();
    std::fs::write(&identity, "{").unwrap();
    kill(u32::try_from(pid).unwrap(), "KILL");
    wait_for("it is down", || member(site, name)["needs_you"] == true);
    Broken { identity, text }
}

impl Broken {
    fn mend(self) {
        std::fs::write(self.identity, self.text).unwrap();
    }
}

#[test]
fn a_lost_primary_is_replaced_and_every_page_names_its_successor() {
    let site = site(1);
    let lost = break_member(&site, "db-1");
    wait_for("the replica takes writes", || {
        primary(&site).as_deref() == Some("db-1.2")
    });
    assert_eq!(visit(&site), 200);
    let status = wait("the status has seen it", || {
        Some(site.status()).filter(|status| status["generation"] == 2)
    });
    let members = status["members"].as_array().unwrap().iter();
    let primaries = members.filter(|it| it["role"] == "primary");
    let names: Vec<&Value> = primaries.map(|it| &it["name"]).collect();
    assert_eq!(names, ["db-1.2"]);
    let output = site.run(&["db", "status"]);
    let page = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        page.contains("db-1 → db-1.2: db-1 gave the lease up"),
        "{page}"
    );
    assert!(page.contains("! db-1: "), "{page}");
    assert!(page.contains("mainstay logs database-db-1"), "{page}");
    lost.mend();
    wait_for("the former primary acknowledges", || {
        member(&site, "db-1")["in_sync_set"] == true
    });
    site.ok(&["db", "status"]);
}

/// The only other member is not in the sync set.
fn a_switchover_that_cannot_be_is_taken_back(site: &Site) {
    let nothing_is_asked_for = || cluster(site)["request"]["switchover"] == Value::Null;
    let (code, said) = site.fails(&["db", "switchover", "db-1.2"]);
    assert_eq!(code, 1);
    assert!(
        said.contains("no switchover: db-1.2 is not in the sync set"),
        "{said}"
    );
    assert!(nothing_is_asked_for());
    let asking = mainstay()
        .current_dir(site.path())
        .args(["db", "switchover"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("it is asked for", || !nothing_is_asked_for());
    kill(asking.id(), "INT");
    let output = asking.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("interrupted") && said.contains("taken back"),
        "{said}"
    );
    assert!(nothing_is_asked_for());
    assert_eq!(primary(site).as_deref(), Some("db-1"));
}

#[test]
fn a_promotion_that_loses_writes_is_weighed_first() {
    let site = site(1);
    let replica = break_member(&site, "db-1.2");
    wait_for("the primary goes on alone", || {
        cluster(&site)["state"]["sync_set"]["members"] == serde_json::json!([])
    });
    let page = text(&site.run(&["db", "status"]).stdout);
    assert!(
        page.contains("db-1 writes alone, and nobody may take its place"),
        "{page}"
    );
    a_switchover_that_cannot_be_is_taken_back(&site);
    let last = || {
        let status = cluster(&site);
        let text = status["state"]["position"].as_str().unwrap_or_default();
        let number = text.rsplit('-').next().unwrap_or_default();
        number.parse::<u64>().unwrap()
    };
    let before = last();
    for _ in 0..5 {
        assert_eq!(visit(&site), 200);
    }
    // What it has is in the cluster state with its next renewal.
    wait_for("the position is known", || last() >= before + 5);
    let primary_down = break_member(&site, "db-1");
    replica.mend();
    wait_for("the replica is there, and may not be promoted", || {
        let nobody = &member(&site, "db-1.2")["nobody"];
        nobody.as_array().is_some_and(|nobody| !nobody.is_empty())
    });

    let page = text(&site.run(&["db", "status"]).stdout);
    assert!(page.contains("bring db-1 back"), "{page}");
    assert!(page.contains("mainstay db promote db-1.2"), "{page}");
    let (_, said) = site.fails(&["db", "promote", "db-1", "--lose-writes-of", "1"]);
    assert!(said.contains("db-1 cannot be made primary"), "{said}");
    let (_, said) = site.fails(&["db", "promote", "db-1.2"]);
    assert!(said.contains("db-1 was not heard"), "{said}");
    assert!(said.contains("db-1.2 is not in the sync set"), "{said}");
    assert!(said.contains("transactions are lost"), "{said}");
    assert!(
        said.contains("nothing was done: the generation was not confirmed"),
        "{said}"
    );
    assert!(
        said.contains("mainstay db promote db-1.2 --lose-writes-of 1"),
        "{said}"
    );
    let (_, said) = site.fails(&["db", "promote", "db-1.2", "--lose-writes-of", "7"]);
    assert!(
        said.contains("it is generation 1 whose writes may be lost"),
        "{said}"
    );
    assert_eq!(cluster(&site)["state"]["generation"], 1);

    let said = site.ok(&["db", "promote", "db-1.2", "--lose-writes-of", "1"]);
    assert_eq!(said, "db-1.2 is primary in generation 2\n");
    wait_for("the site takes writes", || visit(&site) == 200);
    let (_, said) = site.fails(&["db", "promote", "db-1.2"]);
    assert!(said.contains("is the primary and takes writes"), "{said}");

    // The former primary has transactions of its own: it is rebuilt, and what it had stays aside.
    primary_down.mend();
    wait("the former primary acknowledges", || {
        (member(&site, "db-1")["in_sync_set"] == true).then_some(())
    });
    let page = site.ok(&["db", "status"]);
    assert!(page.contains("db-1 → db-1.2: forced by order"), "{page}");
}
