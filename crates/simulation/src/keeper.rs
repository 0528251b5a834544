//! Pure: a keeper as `database::keeper` is one, with simulated eyes and hands: it reads the store, looks at
//! its server, writes itself down, decides by `database::failover::decide`, and carries that out one action
//! after the other. Everything it asks of the store takes time and may be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use database::failover::attempts::Attempts;
use database::failover::candidate;
use database::failover::decision::{Action, Decision};
use database::failover::memory::{Look, Memory};
pub use database::failover::view::View;
use database::failover::view::{
    self, Engine as Seen, InFlight, Peer, Status, Store as SeenStore, Time,
};
use database::record::{Generation, Obeyed, RequestRecord, StateRecord};
use mysql::gtid::mariadb::Position;
use process::restart::{self, History};
use site::name::{MemberName, ServerName};
use site::target::MemberAddress;

use crate::clock::Us;
use crate::engine::{Engine, Io};
use crate::store::Records;

/// Where a step stands.
#[derive(Debug)]
pub enum Phase {
    Idle,
    ReadingState,
    ReadingRecords,
    /// The server is asked, and does not answer until then.
    Asking,
    /// What it has seen waits until the others were told.
    Announcing {
        view: Box<View>,
        record: Box<Peer>,
    },
    Acting(Box<Acting>),
    /// The state is being written.
    Putting(Box<Acting>),
}

/// Actions not done yet, and what they were decided on.
#[derive(Debug)]
pub struct Acting {
    pub view: View,
    pub decision: Decision,
    pub next: usize,
    /// Since when the current one waits, and for which of the server's transactions.
    pub waits: Option<(Us, usize)>,
}

/// One life of a keeper.
#[derive(Debug)]
pub struct Keeper {
    pub life: u64,
    pub phase: Phase,
    /// Number of the question to the store, or of the wait, that it is in.
    pub asked: u64,
    /// Something happened while it was busy.
    pub poked: bool,
    pub state: Option<Option<StateRecord>>,
    pub records: Records,
    pub request: RequestRecord,
    pub looked_at: Time,
    pub put_sent: Time,
    pub memory: Memory,
    pub recalled: bool,
    /// Of its own record, as it was read or written last.
    pub version: u64,
    pub written: Option<Peer>,
    /// When; `None`: another one may be under way.
    pub written_at: Option<Time>,
    pub in_flight: Option<InFlight>,
    pub accounts_for: Option<Generation>,
    pub last_beat: Option<Time>,
    pub starts: Attempts,
    pub rebuilds: Vec<Time>,
    pub last_actions: Vec<Action>,
    /// For the trace.
    pub said: String,
    pub history: History,
    pub start_at: Time,
    pub answered_at: Time,
    pub silent_since: Option<Time>,
    /// When its fence kills the server, by its own clock.
    pub deadline: Option<Time>,
}

impl Keeper {
    pub fn new(life: u64) -> Self {
        Self {
            life,
            phase: Phase::Idle,
            asked: 0,
            poked: false,
            state: None,
            records: Records::new(),
            request: RequestRecord::default(),
            looked_at: Time::default(),
            put_sent: Time::default(),
            memory: Memory::default(),
            recalled: false,
            version: 0,
            written: None,
            written_at: None,
            in_flight: None,
            accounts_for: None,
            last_beat: None,
            starts: Attempts::default(),
            rebuilds: Vec::new(),
            last_actions: Vec::new(),
            said: String::new(),
            history: History::default(),
            start_at: Time::default(),
            answered_at: Time::default(),
            silent_since: None,
            deadline: None,
        }
    }

    /// The server has ended, or did not come up.
    pub fn engine_ended(&mut self, now: Time, came_up: bool) {
        let ran = match came_up {
            true => now.since(self.answered_at),
            false => Duration::ZERO,
        };
        let restart = restart::after_exit(self.history, ran);
        self.history = restart.history;
        self.start_at = now.after(restart.after);
        self.silent_since = None;
    }

    /// The promise that stands in the store still holds.
    pub fn recall(&mut self, me: usize, keeps_promises: bool) {
        if !std::mem::replace(&mut self.recalled, true) {
            let own = self.records.get(&me);
            self.version = own.map_or(0, |(version, _)| *version);
            let promised = own.and_then(|(_, peer)| peer.stopped_for);
            self.memory.recall(promised.filter(|_| keeps_promises));
        }
    }

    /// What others decide by is written at once, what only moves on once a second; as
    /// `database::keeper::announce` does it.
    pub fn is_news(&self, record: &Peer) -> bool {
        let (Some(last), Some(at)) = (&self.written, self.written_at) else {
            return true;
        };
        let coarse = |peer: &Peer| Peer {
            seen: 0,
            received: Position::default(),
            applied: Position::default(),
            ..peer.clone()
        };
        let pause = Duration::from_secs(1);
        let due = record.stopped_for.is_some() || self.looked_at.since(at) >= pause;
        coarse(record) != coarse(last) || (record != last && due)
    }

    /// Its record is in the store and makes that promise.
    pub fn says(&self, promised: Option<u64>) -> bool {
        let last = self.written.as_ref().filter(|_| self.written_at.is_some());
        last.is_some_and(|last| last.stopped_for == promised)
    }
}

/// What a keeper is told of the site.
#[derive(Debug, Clone)]
pub struct Site {
    pub members: Vec<MemberAddress>,
    pub acknowledged: bool,
}

impl Site {
    pub fn new(servers: usize, acknowledged: bool) -> Self {
        let member = |server: usize| MemberAddress {
            name: name(server),
            server: ServerName::new(format!("db-{}", server + 1)),
            address: ([127, 0, 3, u8::try_from(server + 1).unwrap_or(1)], 3306).into(),
        };
        Self {
            members: (0..servers).map(member).collect(),
            acknowledged,
        }
    }
}

pub fn name(server: usize) -> MemberName {
    MemberName::new(format!("db-{}", server + 1))
}

pub fn number(name: &MemberName) -> usize {
    let number = name.as_str().strip_prefix("db-");
    number.and_then(|n| n.parse::<usize>().ok()).unwrap_or(1) - 1
}

/// What is seen, before the others are told. `announced` is not known yet.
pub fn look(
    keeper: &mut Keeper,
    site: &Site,
    me: usize,
    obeyed: Option<&Obeyed>,
    engine: &Engine,
    true_now: Us,
) -> View {
    let now = keeper.looked_at;
    let my_name = name(me);
    let store = match &keeper.state {
        None => SeenStore::Unusable("no answer".to_owned()),
        Some(None) => SeenStore::Empty,
        Some(Some(state)) => SeenStore::Names(Box::new(state.clone())),
    };
    let others = keeper.records.iter().filter(|(server, _)| **server != me);
    let peers: BTreeMap<MemberName, Peer> = others
        .map(|(server, (_, peer))| (name(*server), peer.clone()))
        .collect();
    let request = keeper.request.clone();
    let mut seen = seen(keeper, me, engine, true_now, now);
    keeper.memory.complete(&mut seen);
    let others: Vec<MemberName> = site
        .members
        .iter()
        .map(|member| member.name.clone())
        .filter(|name| *name != my_name)
        .collect();
    keeper.memory.looked(
        &Look {
            me: &my_name,
            others: &others,
            store: &store,
            obeyed,
            engine: &seen,
            peers: &peers,
            request: &request,
        },
        now,
    );
    let memory = &keeper.memory;
    View {
        members: site.members.clone(),
        first_primary: me == 0,
        max_lag: Duration::from_secs(5),
        acknowledged: site.acknowledged,
        wall_ms: true_now / 1000,
        store,
        seen_at: memory.seen_at(),
        held: memory.held.clone(),
        request,
        obeyed: obeyed.cloned(),
        peers,
        announced: false,
        promised: memory.promised,
        whole: memory.whole,
        engine: seen,
        unfit_since: memory.unfit_since,
        switching_since: memory.switching_since(),
        away: memory.away.clone(),
        barrier: memory.barrier.clone(),
        in_flight: keeper.in_flight.clone(),
        accounts_for: keeper.accounts_for,
        last_beat: keeper.last_beat,
        replication_starts: keeper.starts,
        rebuilds: keeper.rebuilds.clone(),
    }
}

fn seen(keeper: &mut Keeper, me: usize, engine: &Engine, true_now: Us, now: Time) -> Seen {
    if !engine.running {
        return Seen::Down {
            why: "it ended".to_owned(),
            start_at: keeper.start_at,
            needs_you: false,
        };
    }
    if !engine.answers(true_now) {
        return Seen::Silent {
            why: "no answer".to_owned(),
            since: *keeper.silent_since.get_or_insert(now),
        };
    }
    keeper.silent_since = None;
    Seen::Answers(Box::new(status(me, engine)))
}

fn status(me: usize, engine: &Engine) -> Status {
    let replication = engine.replication.as_ref().map(|r| view::Replication {
        host: format!("127.0.3.{}", r.source + 1),
        port: 3306,
        user: database::accounts::replication_user(&name(me)),
        by_gtid: r.by_gtid,
        io: match r.io {
            Io::Stopped => view::Io::Stopped,
            Io::Connecting => view::Io::Connecting,
            Io::Running => view::Io::Running,
        },
        io_error: r.diverged.then(|| view::ServerError {
            code: 1236,
            message: "diverged".to_owned(),
        }),
        sql_running: r.applies,
        sql_error: r.broken.then(|| view::ServerError {
            code: 1062,
            message: "duplicate".to_owned(),
        }),
        received: engine.received_pos(),
    });
    let set = |servers: &mut dyn Iterator<Item = usize>| servers.map(name).collect();
    Status {
        version: String::new(),
        read_only: engine.read_only,
        binlog_pos: engine.binlog_pos(),
        own: engine.own(me).into_iter().collect(),
        slave_pos: engine.slave_pos.clone(),
        lag: replication.as_ref().map(|_| Duration::ZERO),
        replication,
        start_from: engine.start_from,
        semi_sync: engine.semi_sync,
        connected: set(&mut engine.dumps.keys().copied()),
        locked: set(&mut engine.locked.iter().copied()),
    }
}

/// What this member writes of itself after that look.
pub fn standing(view: &View, me: usize) -> Peer {
    let state = view.state();
    let mine = state.and_then(|state| candidate::standing(view, state, &name(me)));
    Peer {
        obeyed: view.obeyed.clone(),
        ..mine.unwrap_or_default()
    }
}
