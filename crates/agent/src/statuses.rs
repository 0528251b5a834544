//! The state of the whole site, put together from every keeper's report and every role's answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use database::record::Generation;
use database::{MemberReport, MemberState};
use monitor::status::{
    EndpointStatus, MemberStatus, ProcessStatus, ServerStatus, SiteStatus, State, Traffic,
};
use process::message::About;
use site::target::Target;
use telemetry::wall_clock::now_ms;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backup_side;
use crate::known::{Known, Role, locked};
use crate::role_process::RoleState;

/// Before anything was seen.
pub(crate) fn nothing(target: &Target) -> SiteStatus {
    SiteStatus {
        site: target.site.clone(),
        at_ms: now_ms(),
        state: State::Starting,
        problems: Vec::new(),
        urls: Vec::new(),
        dashboard: None,
        release: String::new(),
        servers: Vec::new(),
        endpoints: Vec::new(),
        members: Vec::new(),
        generation: 0,
        paused: false,
        backup: None,
        traffic: Traffic::default(),
    }
}

/// Asks everybody and puts the answers together. `urls` and `dashboard` are the caller's.
pub(crate) async fn observe(known: &Known, target: &Target) -> SiteStatus {
    let mut status = nothing(target);
    status.release = locked(&known.release)
        .as_ref()
        .map(|(hash, _)| hash.clone())
        .unwrap_or_default();
    let roles = known.roles();
    for role in &roles {
        if role.report.borrow().state != RoleState::Ready {
            continue;
        }
        let Some(answer) = role.asker.ask(About::Status).await else {
            continue;
        };
        match role.role {
            "balancer" => add_balancer(&mut status, role, &answer),
            "sql-router" => add_router(&mut status.traffic, &answer),
            _ => {}
        }
    }
    let members = known.member_reports();
    let generation = members.iter().filter_map(|member| member.generation).max();
    status.generation = generation.map_or(0, |generation| generation.0);
    status.members = members
        .iter()
        .map(|report| member(report, target, generation))
        .collect();
    status.paused = members.iter().any(|member| member.request.paused);
    status.servers = servers(known, target, &roles, &members);
    status.backup = backup_side::status(known);
    status.problems = problems(&status);
    status.state = match (*locked(&known.serving), status.problems.is_empty()) {
        (false, _) => State::Starting,
        (true, true) => State::Serving,
        (true, false) if status.endpoints.iter().any(|endpoint| endpoint.up) => State::Degraded,
        (true, false) => State::Down,
    };
    status
}

fn add_balancer(status: &mut SiteStatus, role: &Role, answer: &str) {
    let Ok(answer) = serde_json::from_str::<balancer::snapshot::Status>(answer) else {
        return;
    };
    let traffic = &mut status.traffic;
    traffic.requests += answer.requests;
    traffic.bytes_out += answer.bytes_out;
    traffic.connections += answer.connections;
    for (total, count) in traffic.by_class.iter_mut().zip(answer.by_class) {
        *total += count;
    }
    traffic
        .latency
        .resize(answer.latency.len().max(traffic.latency.len()), 0);
    for (total, count) in traffic.latency.iter_mut().zip(answer.latency) {
        *total += count;
    }
    for backend in answer.backends {
        let endpoints = backend
            .endpoints
            .into_iter()
            .map(|endpoint| EndpointStatus {
                balancer: role.server.to_string(),
                backend: backend.name.clone(),
                name: endpoint.name,
                address: endpoint.address,
                up: endpoint.up,
                standing: endpoint.standing,
                since_ms: endpoint.since_ms,
                reason: endpoint.reason,
                weight: endpoint.weight,
                wished_weight: endpoint.wished_weight,
                backup: endpoint.backup,
                requests: endpoint.requests,
                failures: endpoint.failures,
                open: endpoint.open,
            });
        status.endpoints.extend(endpoints);
    }
}

fn add_router(traffic: &mut Traffic, answer: &str) {
    if let Ok(answer) = serde_json::from_str::<sql_router::snapshot::Status>(answer) {
        traffic.sql_to_primary += answer.to_primary;
        traffic.sql_to_replica += answer.to_replica;
    }
}

/// `generation`: the highest that any member knows. A primary of an earlier one is none: it has not heard
/// of its end.
fn member(report: &MemberReport, target: &Target, generation: Option<Generation>) -> MemberStatus {
    let is_former = report.role == database::Role::Primary && report.generation != generation;
    let role = match is_former {
        true => database::Role::Unknown,
        false => report.role,
    };

    let members = target.servers.values().flat_map(|server| &server.database);
    let address = members
        .into_iter()
        .find(|member| member.name == report.name)
        .map(|member| member.listen.to_string())
        .unwrap_or_default();
    MemberStatus {
        name: report.name.to_string(),
        server: report.server.to_string(),
        address,
        role: role.to_string(),
        state: report.state.to_string(),
        read_only: report.read_only.unwrap_or(true),
        lag_ms: report.lag_ms,
        gtid: match report.role {
            database::Role::Replica => report.gtid_slave_pos.clone(),
            _ => report.gtid_binlog_pos.clone(),
        },
        reason: match &report.state {
            MemberState::Down { reason, .. } => reason.clone(),
            _ => report.reason.clone(),
        },
    }
}

fn servers(
    known: &Known,
    target: &Target,
    roles: &[Role],
    members: &[MemberReport],
) -> Vec<ServerStatus> {
    let servers = target.servers.iter().map(|(name, server)| {
        let mut processes: Vec<ProcessStatus> = roles
            .iter()
            .filter(|role| role.server == *name)
            .map(|role| {
                let report = role.report.borrow();
                ProcessStatus {
                    name: role.role.to_owned(),
                    pid: report.pid,
                    state: report.state.as_str().to_owned(),
                    restarts: report.restarts,
                    since_ms: report.since_ms,
                    reason: report.reason.clone(),
                }
            })
            .collect();
        for report in known.instance_reports(name) {
            let number = report.name.rsplit('/').next().unwrap_or_default();
            processes.push(ProcessStatus {
                name: format!("app/{number}"),
                pid: report.pid,
                state: report.state.as_str().to_owned(),
                restarts: report.restarts,
                since_ms: report.since_ms,
                reason: report.reason,
            });
        }
        for report in members.iter().filter(|report| report.server == *name) {
            processes.push(ProcessStatus {
                name: format!("database/{}", report.name),
                pid: report.pid,
                state: match &report.state {
                    MemberState::Running => "ready".to_owned(),
                    state => state.to_string(),
                },
                restarts: report.restarts,
                since_ms: 0,
                reason: report.reason.clone(),
            });
        }
        let wanted = [
            ("balancer", server.balancer.is_some()),
            ("web", server.web.is_some()),
            ("app", server.app.is_some()),
            ("database", !server.database.is_empty()),
        ];
        ServerStatus {
            name: name.to_string(),
            address: server.address.to_string(),
            roles: wanted
                .iter()
                .filter(|(_, has)| *has)
                .map(|(r, _)| (*r).to_owned())
                .collect(),
            processes,
        }
    });
    servers.collect()
}

fn problems(status: &SiteStatus) -> Vec<String> {
    let mut problems = Vec::new();
    for endpoint in status.endpoints.iter().filter(|endpoint| !endpoint.up) {
        problems.push(format!(
            "endpoint {} is down: {}",
            endpoint.name, endpoint.reason
        ));
    }
    for server in &status.servers {
        for process in server
            .processes
            .iter()
            .filter(|process| process.state != "ready")
        {
            let why = if process.reason.is_empty() { "" } else { ": " };
            problems.push(format!(
                "{} on {} is {}{why}{}",
                process.name, server.name, process.state, process.reason
            ));
        }
    }
    if status.paused {
        problems.push(
            "the database is in maintenance: no failover, and no server of it is started again; \
             `mainstay db resume` ends it"
                .to_owned(),
        );
    }
    let members = &status.members;
    if !members.is_empty() && !members.iter().any(|m| m.role == "primary" && !m.read_only) {
        problems.push("the database has no primary: nothing can be written".to_owned());
    }
    for member in members
        .iter()
        .filter(|m| m.role == "replica" && m.lag_ms.is_none())
    {
        problems.push(format!(
            "replica {} does not follow: {}",
            member.name, member.reason
        ));
    }
    if let Some(backup) = &status.backup {
        let all = [
            ("the last backup failed", &backup.failed),
            ("the newest backup is bad", &backup.bad),
            ("binary logs are not archived", &backup.archive_failed),
        ];
        let wrong = all
            .iter()
            .filter_map(|(what, why)| Some((what, why.as_ref()?)));
        problems.extend(wrong.map(|(what, why)| format!("{what}: {why}")));
    }
    problems
}

/// The status of the site's first page, as a visitor would get it.
pub(crate) async fn ask_page(http: SocketAddr, host: &str) -> io::Result<u16> {
    let asked = async {
        let mut stream = TcpStream::connect(http).await?;
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        std::str::from_utf8(&head)
            .ok()
            .and_then(|head| head.split(' ').nth(1))
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| io::Error::other("the answer is not HTTP"))
    };
    tokio::time::timeout(Duration::from_secs(5), asked)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}
