//! Pure: the state of a site as text.

use std::fmt::Write as _;

use database::backup::moment::Moment;
use monitor::status::{SiteStatus, State};
use telemetry::Event;

use super::text::{line, or_dash};

/// The whole page of `mainstay status`.
pub(crate) fn page(status: &SiteStatus) -> String {
    let mut text = String::new();
    let state = match status.state {
        State::Starting => "starting",
        State::Serving => "serving",
        State::Degraded => "serving, but not whole",
        State::Down => "DOWN",
    };
    line(&mut text, format_args!("{}: {state}", status.site));
    if let Some(url) = status.urls.first() {
        line(
            &mut text,
            format_args!("{url}   release {}", or_dash(&status.release)),
        );
    }
    for problem in &status.problems {
        line(&mut text, format_args!("  ! {problem}"));
    }
    text.push('\n');
    servers(&mut text, status);
    endpoints(&mut text, status);
    members(&mut text, status);
    backup(&mut text, status);
    text
}

/// One line: the newest, the last trial, how far the logs are.
fn backup(text: &mut String, status: &SiteStatus) {
    let Some(backup) = &status.backup else { return };
    let shown =
        |ms: Option<u64>| ms.map_or_else(|| "never".to_owned(), |ms| Moment(ms).to_string());
    line(
        text,
        format_args!(
            "BACKUP  newest {}, verified {}, logs until {}: {}",
            shown(backup.newest_ms),
            shown(backup.verified_ms),
            shown(backup.archived_ms),
            backup.doing.as_ref().unwrap_or(&backup.reason)
        ),
    );
}

fn servers(text: &mut String, status: &SiteStatus) {
    let mut rows = vec![["SERVER", "PROCESS", "STATE", "PID", "RESTARTS", ""].map(str::to_owned)];
    for server in &status.servers {
        for (index, process) in server.processes.iter().enumerate() {
            rows.push([
                if index == 0 {
                    format!("{} {}", server.name, server.address)
                } else {
                    String::new()
                },
                process.name.clone(),
                process.state.clone(),
                process
                    .pid
                    .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
                process.restarts.to_string(),
                if process.state == "ready" {
                    String::new()
                } else {
                    process.reason.clone()
                },
            ]);
        }
    }
    table(text, &rows);
}

/// `mainstay endpoint list`: every endpoint with what is wanted of it.
pub(crate) fn endpoint_list(status: &SiteStatus) -> String {
    let header = [
        "BALANCER", "ENDPOINT", "ADDRESS", "STATE", "WEIGHT", "OPEN", "REQUESTS", "FAILURES", "",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    for endpoint in &status.endpoints {
        let wished = if endpoint.wished_weight.is_some() {
            " (set)"
        } else {
            ""
        };
        let backup = if endpoint.backup { " backup" } else { "" };
        rows.push([
            endpoint.balancer.clone(),
            format!("{}/{}", endpoint.backend, endpoint.name),
            endpoint.address.clone(),
            match endpoint.up {
                true => endpoint.standing.clone(),
                false => "DOWN".to_owned(),
            },
            format!("{}{wished}{backup}", endpoint.weight),
            endpoint.open.to_string(),
            endpoint.requests.to_string(),
            endpoint.failures.to_string(),
            endpoint.reason.clone(),
        ]);
    }
    let mut text = String::new();
    table(&mut text, &rows);
    text
}

fn endpoints(text: &mut String, status: &SiteStatus) {
    if status.endpoints.is_empty() {
        return;
    }
    let header = ["BALANCER", "ENDPOINT", "STATE", "REQUESTS", "FAILURES", ""];
    let mut rows = vec![header.map(str::to_owned)];
    for endpoint in &status.endpoints {
        rows.push([
            endpoint.balancer.clone(),
            match endpoint.name == endpoint.address {
                true => format!("{}/{}", endpoint.backend, endpoint.name),
                false => format!(
                    "{}/{} {}",
                    endpoint.backend, endpoint.name, endpoint.address
                ),
            },
            match endpoint.up {
                true => endpoint.standing.clone(),
                false => "DOWN".to_owned(),
            },
            endpoint.requests.to_string(),
            endpoint.failures.to_string(),
            if endpoint.up {
                String::new()
            } else {
                endpoint.reason.clone()
            },
        ]);
    }
    table(text, &rows);
}

fn members(text: &mut String, status: &SiteStatus) {
    if status.members.is_empty() {
        return;
    }
    let mut rows = vec![["DATABASE", "ROLE", "STATE", "LAG", "GTID", ""].map(str::to_owned)];
    for member in &status.members {
        let lag = match (member.role.as_str(), member.lag_ms) {
            ("replica", Some(lag)) => format!("{lag} ms"),
            ("replica", None) => "?".to_owned(),
            _ => "-".to_owned(),
        };
        let writable = if member.read_only { "" } else { ", writable" };
        rows.push([
            format!("{} {}", member.name, member.address),
            member.role.clone(),
            format!("{}{writable}", member.state),
            lag,
            or_dash(&member.gtid).to_owned(),
            if member.state == "running" {
                String::new()
            } else {
                member.reason.clone()
            },
        ]);
    }
    table(text, &rows);
    let traffic = &status.traffic;
    line(
        text,
        format_args!(
            "statements: {} to the primary, {} to replicas; generation {}",
            traffic.sql_to_primary, traffic.sql_to_replica, status.generation
        ),
    );
}

/// One event, with the time of day in UTC.
pub(crate) fn event(event: &Event) -> String {
    let seconds = event.at_ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let server = if event.server.is_empty() {
        "site"
    } else {
        &event.server
    };
    let severity = event.severity.as_str();
    format!(
        "{hours:02}:{minutes:02}:{seconds:02} {severity:<7} {server:<8} {}\n",
        event.what
    )
}

/// Columns as wide as their widest cell; the first row is the head.
pub(super) fn table<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut out = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            write!(out, "{cell:<width$}  ").unwrap_or_default();
        }
        line(text, format_args!("{}", out.trim_end()));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use monitor::status::{EndpointStatus, MemberStatus, ProcessStatus, ServerStatus, Traffic};

    use super::*;

    #[test]
    fn a_site_with_an_endpoint_down() {
        let process = |name: &str, state: &str, reason: &str| ProcessStatus {
            name: name.into(),
            pid: (state == "ready").then_some(41),
            state: state.into(),
            restarts: 1,
            since_ms: 0,
            reason: reason.into(),
        };
        let status = SiteStatus {
            site: "foobar".into(),
            at_ms: 0,
            state: State::Degraded,
            problems: vec!["endpoint app-1 is down: connect: took too long".into()],
            urls: vec!["http://www.foobar.localhost:8080".into()],
            dashboard: None,
            release: "a1b2c3".into(),
            servers: vec![ServerStatus {
                name: "app-1".into(),
                address: "127.0.7.12".into(),
                roles: vec!["web".into()],
                processes: vec![
                    process("web", "ready", ""),
                    process("app/1", "waiting", "exited with status 1"),
                ],
            }],
            endpoints: vec![EndpointStatus {
                balancer: "lb-1".into(),
                backend: "web".to_owned(),
                standing: "up".to_owned(),
                weight: 1,
                wished_weight: None,
                backup: false,
                name: "app-1".into(),
                address: "127.0.7.12:8000".into(),
                up: false,
                since_ms: 0,
                reason: "connect: took too long".into(),
                requests: 12,
                failures: 3,
                open: 0,
            }],
            members: vec![MemberStatus {
                name: "db-1.2".into(),
                server: "db-1".into(),
                address: "127.0.7.14:3308".into(),
                role: "replica".into(),
                state: "running".into(),
                read_only: true,
                lag_ms: Some(20),
                gtid: "0-1-9".into(),
                reason: String::new(),
            }],
            generation: 1,
            paused: false,
            backup: None,
            traffic: Traffic {
                sql_to_primary: 4,
                sql_to_replica: 9,
                ..Traffic::default()
            },
        };
        insta::assert_snapshot!(page(&status));
    }
}
