//! Which conditions a status shows.

use super::*;
use crate::status::{EndpointStatus, ProcessStatus, Traffic};

const MAX_LAG: Duration = Duration::from_secs(10);

fn process(name: &str, state: &str) -> ProcessStatus {
    ProcessStatus {
        name: name.into(),
        pid: Some(1),
        state: state.into(),
        restarts: 0,
        since_ms: 0,
        reason: String::new(),
    }
}

fn endpoint(name: &str, up: bool) -> EndpointStatus {
    EndpointStatus {
        balancer: "lb-1".into(),
        backend: "web".to_owned(),
        standing: "up".to_owned(),
        weight: 1,
        wished_weight: None,
        backup: false,
        name: name.into(),
        address: String::new(),
        up,
        since_ms: 0,
        reason: if up { "" } else { "connection refused" }.into(),
        requests: 0,
        failures: 0,
        open: 0,
    }
}

fn member(name: &str, role: &str, lag_ms: Option<u64>) -> MemberStatus {
    MemberStatus {
        name: name.into(),
        server: "db-1".into(),
        address: String::new(),
        role: role.into(),
        state: "running".into(),
        read_only: role != "primary",
        lag_ms,
        gtid: String::new(),
        reason: String::new(),
    }
}

fn server(name: &str, roles: &[&str], processes: Vec<ProcessStatus>) -> ServerStatus {
    ServerStatus {
        name: name.into(),
        address: String::new(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        processes,
    }
}

pub(super) fn well() -> SiteStatus {
    SiteStatus {
        site: "foobar".into(),
        at_ms: 0,
        state: State::Serving,
        problems: Vec::new(),
        urls: Vec::new(),
        dashboard: None,
        release: String::new(),
        servers: vec![
            server("lb-1", &["balancer"], vec![process("balancer", "ready")]),
            server(
                "app-1",
                &["web", "app"],
                vec![process("web", "ready"), process("app/1", "ready")],
            ),
        ],
        endpoints: vec![endpoint("app-1", true), endpoint("app-2", true)],
        members: vec![
            member("db-1.1", "primary", None),
            member("db-1.2", "replica", Some(3)),
        ],
        generation: 1,
        paused: false,
        backup: None,
        traffic: Traffic::default(),
    }
}

fn look(status: &SiteStatus, firing: &[Condition]) -> Vec<String> {
    found(status, &[], firing)
        .into_iter()
        .map(|c| c.id())
        .collect()
}

fn found(status: &SiteStatus, recent: &[Event], firing: &[Condition]) -> Vec<Condition> {
    let firing = firing.iter().map(|c| (c.id(), c.clone())).collect();
    conditions(status, recent, &firing, MAX_LAG)
}

#[test]
fn a_site_that_is_well_has_none() {
    assert_eq!(look(&well(), &[]), [] as [&str; 0]);
}

#[test]
fn nothing_is_wrong_while_it_starts() {
    let mut status = well();
    status.state = State::Starting;
    status.endpoints = vec![endpoint("app-1", false)];
    status.members[0].read_only = true;
    assert_eq!(look(&status, &[]), [] as [&str; 0]);
}

#[test]
fn an_endpoint_that_is_down_is_named_with_its_reason() {
    let mut status = well();
    status.endpoints[0] = endpoint("app-1", false);
    let found = found(&status, &[], &[]);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].what,
        "endpoint app-1 is down for lb-1: connection refused"
    );
}

#[test]
fn all_down_is_the_site_down_and_known_endpoints_stay_when_out_of_sight() {
    let mut status = well();
    status.endpoints = vec![endpoint("app-1", false), endpoint("app-2", false)];
    let all = found(&status, &[], &[]);
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].kind, Kind::SiteDown);
    status.endpoints.clear();
    assert_eq!(look(&status, &[]), ["site-down:site"]);
    assert_eq!(found(&status, &[], &all).len(), 3);
}

#[test]
fn no_primary() {
    let expected = ["no-primary:database"];
    let mut status = well();
    status.members[0].read_only = true;
    assert_eq!(look(&status, &[]), expected);
    status = well();
    status.members[0].state = "down".into();
    assert_eq!(look(&status, &[]), expected);
    status.members.remove(0);
    assert_eq!(look(&status, &[]), expected);
}

#[test]
fn a_replica_is_broken_or_late_or_rebuilt() {
    let mut status = well();
    status.members[1].lag_ms = None;
    assert_eq!(look(&status, &[]), ["replica-broken:replica db-1.2"]);
    status.members[1].state = "rebuilding".into();
    assert_eq!(look(&status, &[]), ["replica-rebuilding:replica db-1.2"]);
    status = well();
    status.members[1].lag_ms = Some(10_001);
    let late = found(&status, &[], &[]);
    assert_eq!(late[0].what, "replica db-1.2 is 10.0 s behind its primary");
    // It goes on until it is well below the bound.
    status.members[1].lag_ms = Some(6_000);
    assert_eq!(look(&status, &[]), [] as [&str; 0]);
    assert_eq!(look(&status, &late), ["replica-lags:replica db-1.2"]);
    status.members[1].lag_ms = Some(5_000);
    assert_eq!(look(&status, &late), [] as [&str; 0]);
}

#[test]
fn a_crash_loop_lasts_until_it_is_ready() {
    let mut status = well();
    status.servers[1].processes[1] = process("app/1", "crash-looping");
    let looping = found(&status, &[], &[]);
    assert_eq!(looping[0].id(), "instance-crash-looping:instance app-1/1");
    status.servers[1].processes[1] = process("app/1", "starting");
    assert_eq!(look(&status, &[]), [] as [&str; 0]);
    assert_eq!(look(&status, &looping).len(), 1);
    status.servers[1].processes[1] = process("app/1", "ready");
    assert_eq!(look(&status, &looping), [] as [&str; 0]);
}

#[test]
fn a_crash_loop_between_two_statuses_is_seen_by_its_event() {
    let mut status = well();
    status.servers[1].processes[0] = process("web", "starting");
    let event = Event {
        at_ms: 0,
        severity: Severity::Error,
        server: "app-1".into(),
        subject: "web".into(),
        kind: "process-crash-looping".into(),
        what: String::new(),
    };
    let found = found(&status, &[event], &[]);
    assert_eq!(found[0].id(), "process-crash-looping:web on app-1");
}
