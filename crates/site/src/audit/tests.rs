//! What the audit finds in the presets and in small sites.

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::*;
use crate::{load, preset};

fn codes(text: &str) -> Vec<&'static str> {
    let site = load(text, "site.toml").unwrap_or_else(|problems| panic!("{problems:#?}"));
    audit(&site).iter().map(|finding| finding.code).collect()
}

fn site(servers: &str, rest: &str) -> String {
    let mut text = String::from("[site]\nname = \"x\"\ndomains = [\"a.example.org\"]\n");
    for (number, server) in servers.split('|').enumerate() {
        let (name, roles) = server.trim().split_once(' ').unwrap();
        let roles = roles.replace(' ', "\", \"");
        write!(
            text,
            "[servers.{name}]\naddress = \"10.0.0.{}\"\n",
            number + 11
        )
        .unwrap();
        writeln!(text, "roles = [\"{roles}\"]").unwrap();
    }
    text + "[app]\ncommand = [\"x\"]\n" + rest
}

/// No door open, somebody told.
const QUIET: &str = "[tls]\n[firewall]\nssh-from = [\"192.0.2.0/24\"]\n\
                     [alerts]\nwebhook = [\"https://a.example.org/\"]\n";

fn quiet_codes(servers: &str, rest: &str) -> Vec<&'static str> {
    let mut codes = codes(&site(servers, &format!("{rest}\n{QUIET}")));
    // Its own test below.
    codes.retain(|code| *code != "no-backup");
    codes
}

#[test]
fn backups_are_missed_and_looked_at() {
    let all = |rest: &str| {
        let servers = "web-1 balancer web app|db-1 database";
        let mut codes = codes(&site(servers, &format!("{rest}\n{QUIET}")));
        codes.retain(|code| code.contains("backup"));
        codes
    };
    assert_eq!(all(""), ["no-backup"]);
    let open = "[database.backup]\nto = \"server:db-1\"";
    assert_eq!(all(open), ["backup-beside-data", "backup-not-encrypted"]);
    let well = "[database.backup]\nto = \"server:web-1\"\nkey = { secret = \"backup-key\" }";
    assert_eq!(all(well), [""; 0]);
}

#[test]
fn textbook_has_exactly_the_faults_of_the_textbook() {
    assert_eq!(
        codes(preset("textbook").unwrap().text),
        [
            "balancer-alone",
            "primary-server-alone",
            "no-firewall",
            "no-https",
            "no-alerts",
            "no-backup"
        ]
    );
}

#[test]
fn three_servers_has_none() {
    assert_eq!(codes(preset("three-servers").unwrap().text), [""; 0]);
}

#[test]
fn findings_say_what_they_cost_and_what_to_add() {
    let site = load(preset("textbook").unwrap().text, "site.toml").unwrap();
    let mut text = String::new();
    for finding in audit(&site) {
        let line = finding
            .at
            .map_or("none".to_owned(), |at| at.line.to_string());
        writeln!(text, "{} {} line {line}", finding.code, finding.severity).unwrap();
        writeln!(text, "  {}: {}", finding.what, finding.consequence).unwrap();
        for line in finding.add {
            writeln!(text, "  + {line}").unwrap();
        }
    }
    assert_snapshot!(text);
}

/// What the audit proposes for textbook, added, leaves nothing of what it found.
#[test]
fn the_proposed_lines_close_the_findings() {
    let mut text = preset("textbook").unwrap().text.to_owned();
    for _ in 0..3 {
        let site = load(&text, "site.toml").unwrap_or_else(|problems| panic!("{problems:#?}"));
        for finding in audit(&site) {
            add(&mut text, &finding.add);
        }
    }
    assert_eq!(codes(&text), [""; 0], "{text}");
}

/// As a person would: new tables at the end, keys of a known table in it.
fn add(text: &mut String, lines: &[String]) {
    let mut header = String::new();
    for line in lines {
        if line.starts_with('[') {
            header = format!("{line}\n");
            if !text.contains(&header) {
                text.push_str(&format!("\n{header}"));
            }
        } else if let Some((key, _)) = line.split_once(" = ") {
            let start = text.find(&header).unwrap() + header.len();
            let end = text[start..].find("\n[").map_or(text.len(), |n| start + n);
            let section = &text[start..end];
            let old = section
                .lines()
                .find(|old| old.starts_with(&format!("{key} = ")));
            match old.map(str::to_owned) {
                Some(old) => {
                    let at = start + section.find(&old).unwrap();
                    text.replace_range(at..at + old.len(), line);
                }
                None => text.insert_str(start, &format!("{line}\n")),
            }
        }
    }
}

#[test]
fn everything_on_one_server() {
    assert_eq!(
        quiet_codes("one balancer web app database", ""),
        ["balancer-alone", "app-server-alone", "primary-server-alone"]
    );
}

#[test]
fn balancers_need_a_shared_address() {
    let servers = "a balancer | b balancer | c web app | d web app";
    assert_eq!(
        quiet_codes(servers, ""),
        ["balancers-without-virtual-address"]
    );
    assert_eq!(
        quiet_codes(servers, "[virtual-address]\naddress = \"10.0.0.9\""),
        [""; 0]
    );
}

/// The rest of the site is without fault, so that only the database speaks.
fn database_codes(servers: &str, replicas: u16) -> Vec<&'static str> {
    let servers = format!("l1 balancer | l2 balancer | a1 web app | a2 web app | {servers}");
    let address = "[virtual-address]\naddress = \"10.0.0.9\"";
    quiet_codes(
        &servers,
        &format!("{address}\n[database]\nreplicas = {replicas}"),
    )
}

#[test]
fn copies_of_the_data() {
    let two = "d1 database coordinator | d2 database coordinator | c coordinator";
    assert_eq!(database_codes(two, 1), [""; 0]);
    assert_eq!(database_codes(two, 0), ["no-replica"]);
    assert_eq!(database_codes(two, 2), ["copies-share-a-server"]);
    assert_eq!(database_codes("d1 database", 1), ["primary-server-alone"]);
    let three = "d1 database coordinator | d2 database coordinator | d3 database coordinator";
    assert_eq!(database_codes(three, 1), ["database-server-idle"]);
}

#[test]
fn votes_are_counted() {
    let two = "d1 database coordinator | d2 database coordinator";
    assert_eq!(database_codes(two, 1), ["too-few-coordinators"]);
    assert_eq!(
        database_codes("d1 database | d2 database", 1),
        ["too-few-coordinators"]
    );
    let four = format!("{two} | c1 coordinator | c2 coordinator");
    assert_eq!(database_codes(&four, 1), ["even-coordinators"]);
}

#[test]
fn doors() {
    let servers = "a balancer | b balancer | c web app | d web app";
    let rest = |more: &str| {
        site(
            servers,
            &format!("[virtual-address]\naddress = \"10.0.0.9\"\n{more}"),
        )
    };
    let alerts = "[alerts]\nwebhook = [\"http://a.example.org/\"]\n";
    let text = rest(&format!(
        "[tls]\nauthority = \"local\"\n[firewall]\n{alerts}"
    ));
    assert_eq!(
        codes(&text),
        ["local-authority", "ssh-open", "alerts-in-the-clear"]
    );
    let off = rest(&QUIET.replace("[firewall]", "[firewall]\nenabled = false"));
    assert_eq!(codes(&off), ["no-firewall"]);
}

#[test]
fn one_instance_is_a_habit_to_give_up() {
    let servers = "a balancer | b balancer | c web app | d web app";
    let rest = "instances = 1\n[virtual-address]\naddress = \"10.0.0.9\"";
    assert_eq!(quiet_codes(servers, rest), ["one-instance"]);
}
