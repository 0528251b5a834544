//! Pure: all that a keeper knows of its member, the cluster state and the other members.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use mysql::gtid::mariadb::{Gtid, Position};
use site::name::MemberName;
use site::target::MemberAddress;

use super::attempts::Attempts;
use crate::record::{Generation, Obeyed, RequestRecord, Standing, StateRecord};

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
    /// The site wants every write acknowledged by a replica (semi-synchronous replication).
    pub acknowledged: bool,
    /// Wall clock, milliseconds since 1970: for people and for the pauses between failovers only.
    pub wall_ms: u64,
    pub store: Store,
    /// When this keeper first saw the revision that the store has.
    pub seen_at: Time,
    /// The last renewal of the lease that this keeper knows to be in the store.
    pub held: Option<Held>,
    pub request: RequestRecord,
    /// What this member followed last, from its own data directory.
    pub obeyed: Option<Obeyed>,
    /// The other members, as they wrote themselves down. A member that is not here was not heard.
    pub peers: BTreeMap<MemberName, Peer>,
    /// The record that this keeper wrote of itself last is in the store, and no earlier one is under way.
    pub announced: bool,
    /// The revision for which this member has promised to receive nothing.
    pub promised: Option<u64>,
    /// Everything this member acknowledged is in its relay log or applied.
    pub whole: bool,
    pub engine: Engine,
    /// Since when the server has not answered; `None`: it does.
    pub unfit_since: Option<Time>,
    /// Since when this primary is read-only for the switchover that is asked for; kept until another is
    /// asked for.
    pub switching_since: Option<Time>,
    /// Primary: since when each other member is not there. One that receives from here, hears this
    /// server and reads the store has no entry.
    pub away: BTreeMap<MemberName, Time>,
    /// Primary: what its binary log had when it was first looked at after the last change of who
    /// acknowledges. Whoever has that has every write acknowledged before.
    pub barrier: Option<Position>,
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
    Names(Box<StateRecord>),
}

/// A renewal of the lease that has reached the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub revision: u64,
    /// Before it was sent.
    pub sent: Time,
    /// Nothing was sent after it whose outcome is unknown.
    pub settled: bool,
}

/// Another member, by its own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    pub obeyed: Option<Obeyed>,
    pub seen: u64,
    pub stopped_for: Option<u64>,
    pub received: Position,
    pub applied: Position,
    pub whole: bool,
    pub errant: bool,
    pub broken: bool,
    pub receives: bool,
    pub linked: bool,
}

/// Revisions a member may be behind and still count as one that reads the store: renewals are two
/// seconds apart, and members write themselves down once a second.
const SEEN_LATELY: u64 = 2;

impl Peer {
    /// It reads the store.
    pub fn is_current(&self, revision: u64) -> bool {
        self.seen.saturating_add(SEEN_LATELY) >= revision
    }

    /// A position that cannot be read counts as none.
    pub fn new(obeyed: Option<Obeyed>, standing: &Standing) -> Self {
        Self {
            obeyed,
            seen: standing.seen,
            stopped_for: standing.stopped_for,
            received: standing.received.parse().unwrap_or_default(),
            applied: standing.applied.parse().unwrap_or_default(),
            whole: standing.whole,
            errant: standing.errant,
            broken: standing.broken,
            receives: standing.receives,
            linked: standing.linked,
        }
    }
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
    /// `@@rpl_semi_sync_master_enabled`: a commit waits until a replica has acknowledged it.
    pub semi_sync: bool,
    /// Members that receive from this server now.
    pub connected: BTreeSet<MemberName>,
    /// Members whose replication account is locked here.
    pub locked: BTreeSet<MemberName>,
}

/// `SHOW SLAVE STATUS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    pub host: String,
    pub port: u16,
    pub user: String,
    /// It goes by GTID, not by file and place.
    pub by_gtid: bool,
    pub io: Io,
    pub io_error: Option<ServerError>,
    pub sql_running: bool,
    pub sql_error: Option<ServerError>,
    /// `Gtid_IO_Pos`: what was received.
    pub received: Position,
}

impl Replication {
    pub fn follows(&self, source: SocketAddr, user: &str) -> bool {
        let there = self.host == source.ip().to_string() && self.port == source.port();
        there && self.user == user && self.by_gtid
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
    pub fn state(&self) -> Option<&StateRecord> {
        match (&self.store, &self.obeyed) {
            (Store::Names(named), Some(obeyed)) if named.generation < obeyed.generation => None,
            (Store::Names(named), _) => Some(named),
            (Store::Unusable(_) | Store::Empty, _) => None,
        }
    }

    pub fn status(&self) -> Option<&Status> {
        match &self.engine {
            Engine::Answers(status) if self.in_flight.is_none() => Some(status),
            _ => None,
        }
    }
}

impl Status {
    /// What this server has received or committed: with its relay log, what it can apply by itself.
    pub fn received(&self) -> Position {
        let mut all = self.binlog_pos.clone();
        all.join(&self.slave_pos);
        if let Some(replication) = &self.replication {
            all.join(&replication.received);
        }
        all
    }

    /// What it has applied or committed.
    pub fn applied(&self) -> Position {
        let mut all = self.binlog_pos.clone();
        all.join(&self.slave_pos);
        all
    }
}
