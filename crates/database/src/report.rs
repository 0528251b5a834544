//! Pure: what one member is now, for `status`, the live page and the SQL router.

use std::fmt;

use site::name::{MemberName, ServerName};

use crate::failover::decision::{Decision, Reason};
use crate::failover::diagnosis::Diagnosis;
use crate::failover::view::{Engine, Long, Status, View};
use crate::record::{Generation, RequestRecord};

/// One database member, as its keeper saw it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberReport {
    pub name: MemberName,
    pub server: ServerName,
    pub state: MemberState,
    pub role: Role,
    /// Of the cluster state as this member obeys it; `None` before there is one.
    pub generation: Option<Generation>,
    /// Who this member takes for the primary.
    pub primary: Option<MemberName>,
    /// `None` when the server does not answer.
    pub read_only: Option<bool>,
    /// How far a replica is behind, from the heartbeat table; 0 for the primary. `None`: not known,
    /// for instance because it is not connected to the primary.
    pub lag_ms: Option<u64>,
    /// What the server has in its binary log (`@@gtid_binlog_pos`).
    pub gtid_binlog_pos: String,
    /// What a replica has applied (`@@gtid_slave_pos`).
    pub gtid_slave_pos: String,
    /// What a replica has received (`Gtid_IO_Pos`).
    pub gtid_received: String,
    /// The server's version text.
    pub version: String,
    pub pid: Option<u32>,
    /// Times mariadbd was started again since the keeper started.
    pub restarts: u32,
    /// One sentence: how things stand and what is waited for.
    pub reason: String,
    /// What is waited for, to compare.
    pub waits: Reason,
    /// What people ask for, as far as this member knows.
    pub request: RequestRecord,
}

/// Whether the member's server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberState {
    /// The data directory is being made or the server is coming up.
    Starting,
    /// It answers.
    Running,
    /// Its data is being replaced by a copy of the primary's.
    Rebuilding,
    /// It does not run, or does not answer. `needs_you`: trying again will not help, what the reason
    /// says has to be done first (it is tried again all the same, seldom).
    Down { reason: String, needs_you: bool },
    /// Told to stop, and stopped.
    Stopped,
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Rebuilding => "rebuilding",
            Self::Down { .. } => "down",
            Self::Stopped => "stopped",
        })
    }
}

/// What a member is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Not known yet, or no longer: the server does not answer or there is no cluster state.
    Unknown,
    /// Named by the cluster state, and writable.
    Primary,
    /// Follows the primary.
    Replica,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Primary => "primary",
            Self::Replica => "replica",
        })
    }
}

impl MemberReport {
    /// Before anything was seen.
    pub fn starting(name: MemberName, server: ServerName) -> Self {
        Self {
            name,
            server,
            state: MemberState::Starting,
            role: Role::Unknown,
            generation: None,
            primary: None,
            read_only: None,
            lag_ms: None,
            gtid_binlog_pos: String::new(),
            gtid_slave_pos: String::new(),
            gtid_received: String::new(),
            version: String::new(),
            pid: None,
            restarts: 0,
            reason: "not started yet".to_owned(),
            waits: Reason::AsDiagnosed,
            request: RequestRecord::default(),
        }
    }

    /// After a look: `before` gives the name and what does not change with one.
    pub(crate) fn after(before: &Self, view: &View, decision: &Decision) -> Self {
        let answers: Option<&Status> = match &view.engine {
            Engine::Answers(status) if view.in_flight.is_none() => Some(status),
            _ => None,
        };
        let state = view.state();
        let role = role(&before.name, view, decision);
        let replication = answers.and_then(|status| status.replication.as_ref());
        Self {
            name: before.name.clone(),
            server: before.server.clone(),
            state: member_state(decision),
            role,
            generation: state.map(|state| state.generation),
            primary: state.map(|state| state.primary.clone()),
            read_only: answers.map(|status| status.read_only),
            lag_ms: match (&decision.diagnosis, role) {
                (_, Role::Primary) => Some(0),
                (Diagnosis::Following(_) | Diagnosis::Lagging { .. }, _) => answers
                    .and_then(|status| status.lag)
                    .map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
                _ => None,
            },
            gtid_binlog_pos: answers
                .map(|status| status.binlog_pos.to_string())
                .unwrap_or_default(),
            gtid_slave_pos: answers
                .map(|status| status.slave_pos.to_string())
                .unwrap_or_default(),
            gtid_received: replication
                .map(|replication| replication.received.to_string())
                .unwrap_or_default(),
            version: answers
                .map(|status| status.version.clone())
                .unwrap_or_default(),
            pid: None,
            restarts: before.restarts,
            reason: decision.sentence(),
            waits: decision.reason.clone(),
            request: view.request.clone(),
        }
    }

    /// A primary that was asked to make another one primary, and begins to.
    pub fn hands_over(&self) -> bool {
        let wanted = self.request.switchover.as_ref();
        let asked = wanted.is_some_and(|wanted| {
            Some(wanted.generation) == self.generation && wanted.to.as_ref() != Some(&self.name)
        });
        let refused = matches!(self.waits, Reason::SwitchoverRefused(_));
        self.role == Role::Primary && asked && !refused && !self.request.paused
    }

    /// A replica that follows, or a primary that takes writes.
    pub fn serves(&self) -> bool {
        self.state == MemberState::Running
            && match self.role {
                Role::Unknown => false,
                Role::Primary => self.read_only == Some(false),
                Role::Replica => self.lag_ms.is_some(),
            }
    }
}

fn member_state(decision: &Decision) -> MemberState {
    match &decision.diagnosis {
        Diagnosis::ActionInFlight(Long::Start) => MemberState::Starting,
        Diagnosis::ActionInFlight(Long::Rebuild) => MemberState::Rebuilding,
        Diagnosis::EngineDown { why, needs_you, .. } => MemberState::Down {
            reason: why.clone(),
            needs_you: *needs_you,
        },
        Diagnosis::EngineSilent { why } => MemberState::Down {
            reason: why.clone(),
            needs_you: false,
        },
        _ => MemberState::Running,
    }
}

fn role(me: &MemberName, view: &View, decision: &Decision) -> Role {
    match &decision.diagnosis {
        Diagnosis::PrimaryServes => Role::Primary,
        // Until writes are held, what has begun may end.
        Diagnosis::Switching if view.status().is_some_and(|it| !it.read_only) => Role::Primary,
        Diagnosis::EngineDown { .. }
        | Diagnosis::EngineSilent { .. }
        | Diagnosis::ActionInFlight(Long::Start)
        | Diagnosis::WritableUnentitled => Role::Unknown,
        _ => match view.state() {
            Some(state) if state.primary != *me => Role::Replica,
            _ => Role::Unknown,
        },
    }
}
