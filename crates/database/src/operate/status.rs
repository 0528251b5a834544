//! Pure: a database cluster as one value: the cluster state, and each member by its keeper's report and
//! its own record. What `mainstay db status --json` prints: its fields are a promise to scripts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mysql::gtid::mariadb::Position;
use serde::{Deserialize, Serialize};
use site::name::MemberName;
use site::target::MemberTarget;

use crate::failover::decision::Reason;
use crate::failover::switchover::Refusal;
use crate::record::{Generation, MemberRecord, RequestRecord, StateRecord, SyncSet};
use crate::report::{MemberReport, MemberState, Role};

/// A cluster now, or as it was written down last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    pub site: String,
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    /// `false`: nothing runs, this is what was written down last.
    pub running: bool,
    /// The site wants every write acknowledged by a replica.
    pub acknowledged: bool,
    pub state: Option<StateRecord>,
    pub request: RequestRecord,
    pub members: Vec<Member>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: MemberName,
    pub server: String,
    pub address: String,
    /// Where its server is reached on its own machine.
    pub socket: Option<PathBuf>,
    /// `primary`, `replica`, `unknown`.
    pub role: String,
    /// `running`, `starting`, `rebuilding`, `down`, `stopped`.
    pub state: String,
    /// It takes writes.
    pub writable: bool,
    /// It serves as what it is: a primary that takes writes, a replica that follows.
    pub serves: bool,
    /// Trying again will not help.
    pub needs_you: bool,
    /// It acknowledges writes.
    pub in_sync_set: bool,
    /// It has everything that it ever acknowledged.
    pub whole: bool,
    pub generation: Option<Generation>,
    pub lag_ms: Option<u64>,
    /// Transactions of the primary that it has not applied.
    pub behind: Option<u64>,
    /// What it has received (GTID list).
    pub received: String,
    /// What it has applied or committed.
    pub applied: String,
    pub pid: Option<u32>,
    pub restarts: u32,
    /// One sentence: how things stand and what it waits for.
    pub reason: String,
    /// What it knows of what people ask for.
    pub seen: RequestRecord,
    /// Why it does not hand over, as was asked.
    pub refusal: Option<Refused>,
    /// The lease is free: why nobody may be promoted, by name.
    pub nobody: Vec<(MemberName, String)>,
}

/// A switchover refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub why: String,
    /// It will not be tried again.
    pub is_final: bool,
}

/// What a status is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    pub site: &'a str,
    pub at_ms: u64,
    pub members: &'a [MemberTarget],
    /// Empty: nothing runs.
    pub reports: &'a [MemberReport],
    pub state: Option<StateRecord>,
    pub request: RequestRecord,
    pub records: &'a BTreeMap<MemberName, MemberRecord>,
}

/// Puts it together.
pub fn of(parts: Parts<'_>) -> ClusterStatus {
    let position = last_position(&parts);
    let members = parts
        .members
        .iter()
        .map(|target| member(&parts, target, &position))
        .collect();
    ClusterStatus {
        site: parts.site.to_owned(),
        at_ms: parts.at_ms,
        running: !parts.reports.is_empty(),
        acknowledged: parts.members.iter().any(|member| member.acknowledged),
        state: parts.state,
        request: parts.request,
        members,
    }
}

/// What the primary has, as it was seen last.
fn last_position(parts: &Parts<'_>) -> Position {
    let mut all = Position::default();
    let Some(state) = &parts.state else {
        return all;
    };
    all.join(&state.position.parse().unwrap_or_default());
    let report = parts.reports.iter().find(|it| it.name == state.primary);
    if let Some(report) = report.filter(|report| report.role == Role::Primary) {
        all.join(&report.gtid_binlog_pos.parse().unwrap_or_default());
    }
    all
}

fn member(parts: &Parts<'_>, target: &MemberTarget, position: &Position) -> Member {
    let name = &target.name;
    let report = parts.reports.iter().find(|report| report.name == *name);
    let record = parts.records.get(name);
    let state = parts.state.as_ref();
    let standing = record.map(|record| &record.standing);
    let server = target.members.iter().find(|it| it.name == *name);
    let (received, applied) = match report {
        Some(report) if !report.gtid_binlog_pos.is_empty() => positions(report),
        _ => standing.map_or_else(Default::default, |standing| {
            (standing.received.clone(), standing.applied.clone())
        }),
    };
    Member {
        name: name.clone(),
        server: server.map_or_else(String::new, |it| it.server.to_string()),
        // Of a site that does not run it is not known.
        address: report.map_or_else(String::new, |_| target.listen.to_string()),
        socket: record.map(|record| record.socket.clone()),
        role: role(report, state, name).to_string(),
        state: report.map_or_else(|| "stopped".to_owned(), |report| report.state.to_string()),
        writable: report.is_some_and(|report| report.read_only == Some(false)),
        serves: report.is_some_and(MemberReport::serves)
            && report.and_then(|report| report.generation) == state.map(|state| state.generation),
        needs_you: matches!(
            report.map(|report| &report.state),
            Some(MemberState::Down {
                needs_you: true,
                ..
            })
        ),
        in_sync_set: state
            .and_then(|state| state.sync_set.members())
            .is_some_and(|members| members.contains(name)),
        whole: standing.is_some_and(|standing| standing.whole),
        generation: report.and_then(|report| report.generation),
        lag_ms: report.and_then(|report| report.lag_ms),
        behind: (!applied.is_empty() && !position.is_empty())
            .then(|| behind(position, &applied.parse().unwrap_or_default())),
        received,
        applied,
        pid: report.and_then(|report| report.pid),
        restarts: report.map_or(0, |report| report.restarts),
        reason: report.map_or_else(|| "it does not run".to_owned(), |it| it.reason.clone()),
        seen: report.map_or_else(RequestRecord::default, |report| report.request.clone()),
        refusal: report.and_then(|report| refusal(&report.waits)),
        nobody: report.map_or_else(Vec::new, |report| nobody(&report.waits)),
    }
}

fn positions(report: &MemberReport) -> (String, String) {
    let mut applied: Position = report.gtid_binlog_pos.parse().unwrap_or_default();
    applied.join(&report.gtid_slave_pos.parse().unwrap_or_default());
    let mut received = applied.clone();
    received.join(&report.gtid_received.parse().unwrap_or_default());
    (received.to_string(), applied.to_string())
}

/// Of the current generation: a former primary that has not heard of its end is none.
fn role(report: Option<&MemberReport>, state: Option<&StateRecord>, name: &MemberName) -> Role {
    let named = state.is_some_and(|state| state.primary == *name);
    match (report.map(|report| report.role), state) {
        (Some(Role::Primary), _) if named => Role::Primary,
        (Some(Role::Primary), _) => Role::Unknown,
        (Some(role), _) => role,
        (None, Some(_)) if named => Role::Primary,
        (None, Some(_)) => Role::Replica,
        (None, None) => Role::Unknown,
    }
}

/// Transactions of `all` that are not in `has`: by their numbers, domain by domain.
pub fn behind(all: &Position, has: &Position) -> u64 {
    let missing = all.gtids().iter().map(|gtid| {
        let has = has.gtids().iter().find(|it| it.domain == gtid.domain);
        gtid.sequence
            .saturating_sub(has.map_or(0, |it| it.sequence))
    });
    missing.fold(0, u64::saturating_add)
}

fn refusal(waits: &Reason) -> Option<Refused> {
    let Reason::SwitchoverRefused(refusal) = waits else {
        return None;
    };
    Some(Refused {
        why: refusal.to_string(),
        is_final: match refusal {
            Refusal::Unknown(_) | Refusal::Nobody | Refusal::GaveUp => true,
            Refusal::NotInSyncSet(_) | Refusal::NotConnected(_) | Refusal::Behind(_) => false,
        },
    })
}

fn nobody(waits: &Reason) -> Vec<(MemberName, String)> {
    match waits {
        Reason::NoCandidate(all) => all
            .iter()
            .map(|(member, why)| (member.clone(), why.to_string()))
            .collect(),
        _ => Vec::new(),
    }
}

impl ClusterStatus {
    pub fn member(&self, name: &MemberName) -> Option<&Member> {
        self.members.iter().find(|member| member.name == *name)
    }

    /// The primary, when it takes writes.
    pub fn serving_primary(&self) -> Option<&Member> {
        let named = self.member(&self.state.as_ref()?.primary)?;
        (named.role == "primary" && named.serves).then_some(named)
    }

    /// The members know that they are in maintenance, or will in a moment.
    pub fn is_paused(&self) -> bool {
        self.request.paused || self.members.iter().any(|member| member.seen.paused)
    }

    pub fn generation(&self) -> Option<Generation> {
        self.state.as_ref().map(|state| state.generation)
    }

    /// A replica of which nothing is missing: it follows, and acknowledges when that is wanted.
    pub fn is_settled(&self, member: &Member) -> bool {
        let Some(state) = &self.state else {
            return false;
        };
        let acknowledges = match state.sync_set {
            SyncSet::Async => !self.acknowledged,
            SyncSet::Members(_) => member.in_sync_set,
        };
        member.role == "replica" && member.serves && member.whole && acknowledges
    }
}

#[cfg(test)]
mod tests {
    use site::name::ServerName;

    use super::*;
    use crate::engine::fixtures::target;

    #[test]
    fn missing_transactions_are_counted_domain_by_domain() {
        let position = |text: &str| text.parse().unwrap();
        let count = |all, has| behind(&position(all), &position(has));
        assert_eq!(count("0-1-20", "0-1-13"), 7);
        assert_eq!(count("0-2-20", "0-1-20"), 0, "whoever wrote it");
        assert_eq!(count("0-1-20,3-1-5", "0-1-18"), 7);
        assert_eq!(count("0-1-20", "0-1-25"), 0);
    }

    /// It has not heard of its end.
    #[test]
    fn a_former_primary_is_not_shown_as_one() {
        let mut report = MemberReport::starting(MemberName::new("db-1"), ServerName::new("db-1"));
        report.role = Role::Primary;
        let state = |primary: &str| {
            let mut state = super::super::samples::cluster().state;
            if let Some(state) = &mut state {
                state.primary = MemberName::new(primary);
            }
            state
        };
        let shown = |primary: &str| {
            let status = of(Parts {
                site: "foobar",
                at_ms: 0,
                members: &[target()],
                reports: std::slice::from_ref(&report),
                state: state(primary),
                request: RequestRecord::default(),
                records: &BTreeMap::new(),
            });
            status.members[0].role.clone()
        };
        assert_eq!(shown("db-1"), "primary");
        assert_eq!(shown("db-1.2"), "unknown");
    }
}
