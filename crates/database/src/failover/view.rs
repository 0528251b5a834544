//! Pure: all that a keeper knows of its member, the cluster state and the other members.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use mysql::gtid::mariadb::{Gtid, Position};
use site::name::MemberName;
use site::target::MemberAddress;

use super::attempts::Attempts;
use crate::record::{Generation, Obeyed};

/// A moment: the time since the keeper started, by a clock that never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time(pub Duration);

impl Time {
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// How long ago `earlier` was; zero when it is not over yet.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// What is known. Memory across ticks lives here (with when it was seen), nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Every member of the site, this one included.
    pub members: Vec<MemberAddress>,
    /// This member makes the very first primary.
    pub first_primary: bool,
    pub max_lag: Duration,
    pub store: Store,
    /// What this member followed last, from its own data directory.
    pub obeyed: Option<Obeyed>,
    /// What the other members said they followed last. A member that is not here was not heard.
    pub heard: BTreeMap<MemberName, Option<Obeyed>>,
    pub engine: Engine,
    pub in_flight: Option<InFlight>,
    /// The generation for which the accounts were made or looked over.
    pub accounts_for: Option<Generation>,
    pub last_beat: Option<Time>,
    /// Starts of stopped replication in a row.
    pub replication_starts: Attempts,
    /// When rebuilds were begun, the failed ones too.
    pub rebuilds: Vec<Time>,
}

/// The key `database/state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// It cannot be read, or what it holds cannot be understood.
    Unusable(String),
    Empty,
    Names(Obeyed),
}

/// The server process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// No process. `start_at`: by the back-off after the exits so far.
    Down {
        why: String,
        start_at: Time,
        needs_you: bool,
    },
    /// It runs and does not answer.
    Silent {
        why: String,
        since: Time,
    },
    Answers(Box<Status>),
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub version: String,
    pub read_only: bool,
    /// `@@gtid_binlog_pos`
    pub binlog_pos: Position,
    /// Out of `@@gtid_binlog_state`: the last transaction in each domain that was committed here and
    /// not received.
    pub own: Vec<Gtid>,
    /// `@@gtid_slave_pos`
    pub slave_pos: Position,
    pub replication: Option<Replication>,
    /// The data was copied from another server and stands at a known position.
    pub start_from: bool,
    /// Behind the newest heartbeat that was applied; `None` when there is none, or no connection.
    pub lag: Option<Duration>,
}

/// `SHOW SLAVE STATUS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub io: Io,
    pub io_error: Option<ServerError>,
    pub sql_running: bool,
    pub sql_error: Option<ServerError>,
    /// `Gtid_IO_Pos`: what was received.
    pub received: String,
}

impl Replication {
    pub fn follows(&self, source: SocketAddr, user: &str) -> bool {
        self.host == source.ip().to_string() && self.port == source.port() && self.user == user
    }
}

/// The thread that receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    Running,
    /// Not connected; the server itself tries again.
    Connecting,
    Stopped,
}

/// An error a server gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    pub code: u16,
    pub message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (error {})", self.message, self.code)
    }
}

/// A long action that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    pub what: Long,
    pub since: Time,
}

/// Actions that take longer than a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    Start,
    Rebuild,
}

impl View {
    pub fn address(&self, member: &MemberName) -> Option<&MemberAddress> {
        self.members.iter().find(|address| address.name == *member)
    }

    /// The state this member may obey: the store's, unless it is older than what was followed.
    pub fn state(&self) -> Option<&Obeyed> {
        match (&self.store, &self.obeyed) {
            (Store::Names(named), Some(obeyed)) if named.generation < obeyed.generation => None,
            (Store::Names(named), _) => Some(named),
            // Without the store nothing changes hands.
            (Store::Unusable(_), obeyed) => obeyed.as_ref(),
            (Store::Empty, _) => None,
        }
    }
}
