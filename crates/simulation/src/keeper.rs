//! Pure: a keeper as `database::keeper` is one, with simulated eyes and hands: it reads the store, looks at
//! its server, writes itself down, decides by `database::failover::decide`, and carries that out one action
//! after the other. Everything it asks of the store takes time and may be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use database::failover::attempts::Attempts;
use database::failover::candidate;
use database::failover::decision::Action;
use database::failover::memory::{Look, Memory};
use database::failover::view::{
    self, Engine as Seen, InFlight, Long, Peer, Status, Store as SeenStore, Time, View,
};
use database::record::{Generation, Obeyed, RequestRecord};
use site::name::{MemberName, ServerName};
use site::target::MemberAddress;

use crate::clock::Us;
use crate::engine::{Engine, Io};
use crate::store::Store;

/// Where a step stands.
#[derive(Debug, Clone)]
pub enum Phase {
    Idle,
    Reading,
    /// What it has seen waits until the others were told.
    Announcing(Box<(View, Peer)>),
    /// Actions not done yet, and the view they were decided on.
    Acting(Box<(View, Vec<Action>)>),
    /// The state is being written: the actions after it.
    Putting(Box<(View, Vec<Action>)>),
}

/// One life of a keeper.
#[derive(Debug, Clone)]
pub struct Keeper {
    pub life: u64,
    pub phase: Phase,
    /// Number of the question to the store that it waits for.
    pub asked: u64,
    pub step_began: Time,
    pub put_sent: Time,
    pub memory: Memory,
    pub recalled: bool,
    /// Version and content of its own record, as it wrote it last.
    pub written: Option<(u64, Peer)>,
    pub settled: bool,
    pub in_flight: Option<InFlight>,
    pub accounts_for: Option<Generation>,
    pub last_beat: Option<Time>,
    pub starts: Attempts,
    pub rebuilds: Vec<Time>,
    pub last_actions: Vec<Action>,
    pub down: Down,
    pub silent_since: Option<Time>,
    /// When its fence kills the server, by its own clock.
    pub deadline: Option<Time>,
}

#[derive(Debug, Clone, Default)]
pub struct Down {
    pub start_at: Time,
    pub short_runs: u32,
    pub answered_at: Time,
}

impl Keeper {
    pub fn new(life: u64) -> Self {
        Self {
            life,
            phase: Phase::Idle,
            asked: 0,
            step_began: Time::default(),
            put_sent: Time::default(),
            memory: Memory::default(),
            recalled: false,
            written: None,
            settled: false,
            in_flight: None,
            accounts_for: None,
            last_beat: None,
            starts: Attempts::default(),
            rebuilds: Vec::new(),
            last_actions: Vec::new(),
            down: Down::default(),
            silent_since: None,
            deadline: None,
        }
    }

    /// The server has ended, or did not come up: `process::restart` in small.
    pub fn engine_ended(&mut self, now: Time, came_up: bool) {
        let ran = now.since(self.down.answered_at);
        self.down.short_runs = match came_up && ran > Duration::from_secs(30) {
            true => 0,
            false => self.down.short_runs + 1,
        };
        let waits = self.down.short_runs.saturating_sub(1).min(6);
        let wait = match waits {
            0 if came_up => 0,
            n => 250u64 << n,
        };
        self.down.start_at = now.after(Duration::from_millis(wait.min(10_000)));
        self.silent_since = None;
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

/// What is seen, before the others are told.
pub fn look(
    keeper: &mut Keeper,
    site: &Site,
    me: usize,
    stored: Option<&Store>,
    obeyed: Option<&Obeyed>,
    engine: &Engine,
    (true_now, wall_ms): (Us, u64),
) -> View {
    let now = keeper.step_began;
    let my_name = name(me);
    let store = match stored {
        None => SeenStore::Unusable("no answer".to_owned()),
        Some(store) => match &store.state {
            None => SeenStore::Empty,
            Some(state) => SeenStore::Names(Box::new(state.clone())),
        },
    };
    let peers: BTreeMap<MemberName, Peer> = stored
        .map(|store| {
            let others = store.records.iter().filter(|(server, _)| **server != me);
            others
                .map(|(server, (_, peer))| (name(*server), peer.clone()))
                .collect()
        })
        .unwrap_or_default();
    let request = stored.map_or_else(RequestRecord::default, |store| store.request.clone());
    let seen = seen(keeper, me, engine, true_now, now);
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
        wall_ms,
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
            start_at: keeper.down.start_at,
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
        sql_error: None,
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
    let mine = view
        .state()
        .and_then(|state| candidate::standing(view, state, &name(me)));
    mine.unwrap_or_else(|| Peer {
        obeyed: view.obeyed.clone(),
        ..Peer::default()
    })
}
