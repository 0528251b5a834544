//! Pure: what one member is now, for `status`, the live page and the SQL router.

use std::fmt;

use site::name::{MemberName, ServerName};

use crate::record::Generation;

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
        }
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
