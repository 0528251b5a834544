//! One thread: what its sessions share, and its loop of accepting. Nothing here is seen by another
//! thread except counters, the register of sessions, and the snapshot.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::net::{IpAddr, TcpListener as StdListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql::packet::Channel;
use process::snapshot::Shared;
use site::name::MemberName;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::digests::Digests;
use crate::known::Known;
use crate::limits::{AVOID, CONNECT, Patience, SCHEMAS, TEND};
use crate::listening::{Listener, Listening};
use crate::loads::Loads;
use crate::login;
use crate::metrics::{Counts, bump};
use crate::pool::{Kind, Pool};
use crate::server::{Identity, OpenError, Past, ServerConnection, Target};
use crate::session;
use crate::sessions::Sessions;
use crate::slots::{Slot, Slots};
use crate::slow::SlowLog;
use crate::snapshot::Snapshot;
use crate::state::Settings;
use crate::statement::cache::{self, Cache};
use crate::tls::Tls;
use crate::users::Store;
use crate::visitors::Floor;
use crate::warm::Wanted;

/// What a thread is given.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) snapshot: Shared<Snapshot>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) digests: Arc<Digests>,
    pub(crate) slow: SlowLog,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) tls: Arc<Tls>,
    pub(crate) known: Arc<Known>,
    pub(crate) users: Arc<Store>,
    pub(crate) listeners: Vec<StdListener>,
    pub(crate) floor: Arc<Floor>,
    pub(crate) sockets: Vec<StdUnixListener>,
    pub(crate) draining: watch::Receiver<bool>,
    /// Of the router: each has its share of the connections to servers.
    pub(crate) threads: usize,
    pub(crate) patience: Patience,
}

/// What the sessions of one thread share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) snapshot: Shared<Snapshot>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) digests: Arc<Digests>,
    pub(crate) slow: SlowLog,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) tls: Arc<Tls>,
    pub(crate) known: Arc<Known>,
    pub(crate) users: Arc<Store>,
    cache: RefCell<Cache>,
    pub(crate) floor: Arc<Floor>,
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) slots: Slots,
    pub(crate) loads: Loads,
    threads: usize,
    pub(crate) patience: Patience,
    pub(crate) pool: RefCell<Pool>,
    /// For whom connections are kept ready.
    pub(crate) warm: RefCell<Vec<Wanted>>,
    /// Replicas that failed, and when.
    failed: RefCell<Vec<(MemberName, Instant)>>,
    turn: Cell<usize>,
    serial: Cell<u64>,
    schemas: RefCell<HashSet<(String, String)>>,
}

/// Runs a thread until it has drained.
pub(crate) async fn run(parts: Parts) {
    let worker = Rc::new(Worker {
        snapshot: parts.snapshot,
        counts: parts.counts,
        digests: parts.digests,
        slow: parts.slow,
        sessions: parts.sessions,
        users: parts.users,
        tls: parts.tls,
        known: parts.known,
        cache: RefCell::default(),
        floor: parts.floor,
        draining: parts.draining.clone(),
        slots: Slots::default(),
        loads: Loads::default(),
        threads: parts.threads,
        patience: parts.patience,
        pool: RefCell::default(),
        warm: RefCell::default(),
        failed: RefCell::default(),
        turn: Cell::new(0),
        serial: Cell::new(0),
        schemas: RefCell::default(),
    });
    let mut accepting = JoinSet::new();
    for listener in parts.listeners {
        accepting.spawn_local(accept(Rc::clone(&worker), listener.into()));
    }
    for socket in parts.sockets {
        accepting.spawn_local(accept(Rc::clone(&worker), socket.into()));
    }
    let sweeping = tokio::task::spawn_local(sweep(Rc::clone(&worker)));
    while accepting.join_next().await.is_some() {}
    sweeping.abort();
}

async fn sweep(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(TEND).await;
        worker.tend_pool().await;
    }
}

/// Accepts until the drain, then waits for its sessions.
async fn accept(worker: Rc<Worker>, socket: Listening) {
    let listener = match Listener::new(socket) {
        Ok(listener) => listener,
        Err(e) => return tracing::error!("the listening socket cannot be used: {e}"),
    };
    let mut draining = worker.draining.clone();
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(worker.patience) => match accepted {
                Ok((channel, peer)) => {
                    sessions.spawn_local(serve(Rc::clone(&worker), channel, peer));
                }
                // Out of descriptors, or the client left: the next try may work.
                Err(e) => {
                    tracing::warn!("accept: {e}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            Some(_) = sessions.join_next() => {}
            _ = draining.wait_for(|draining| *draining) => break,
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

async fn serve(worker: Rc<Worker>, channel: Channel, peer: IpAddr) {
    if let Some(admitted) = login::admit(&worker, channel, peer).await {
        session::serve(worker, admitted).await;
    }
}

impl Worker {
    /// The next turn of the round robin.
    pub(crate) fn turn(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        turn
    }

    /// What a statement is, and where it is counted.
    pub(crate) fn look(&self, text: &[u8]) -> cache::Known {
        self.cache.borrow_mut().look(text, &self.digests)
    }

    /// A replica failed: no reads for a while.
    pub(crate) fn avoid(&self, member: &MemberName) {
        let mut failed = self.failed.borrow_mut();
        failed.retain(|(name, _)| name != member);
        failed.push((member.clone(), Instant::now()));
    }

    /// Those that failed a moment ago; nothing is allocated while there are none.
    pub(crate) fn avoided(&self) -> Vec<MemberName> {
        let mut failed = self.failed.borrow_mut();
        if !failed.is_empty() {
            failed.retain(|(_, when)| when.elapsed() < AVOID);
        }
        failed.iter().map(|(name, _)| name.clone()).collect()
    }

    /// A connection to `member`: one from the pool, or a new one; none when as many are in use as
    /// may be, or others wait already.
    pub(crate) async fn connect_now(
        &self,
        snapshot: &Snapshot,
        member: &MemberName,
        who: &Identity,
        wants: &Settings,
    ) -> Result<Option<Box<ServerConnection>>, OpenError> {
        match self.slots.is_wanted(member) {
            true => Ok(None),
            false => self.obtain(snapshot, member, who, wants).await,
        }
    }

    /// The same; sessions that do nothing with theirs are asked for it, and it is waited for: `patience`
    /// at most. Who waits must have nothing that others may wait for.
    pub(crate) async fn connect(
        &self,
        snapshot: &Snapshot,
        member: &MemberName,
        who: &Identity,
        wants: &Settings,
        patience: Duration,
    ) -> Result<Box<ServerConnection>, OpenError> {
        let begun = Instant::now();
        if let Some(connection) = self.connect_now(snapshot, member, who, wants).await? {
            return Ok(connection);
        }
        bump(&self.counts.waited);
        let mut again = false;
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            let wait = self.slots.wait(member, again);
            if tokio::time::timeout(left, wait).await.is_err() {
                let (member, limit) = (member.clone(), self.share(snapshot));
                return Err(OpenError::Busy { member, limit });
            }
            if let Some(connection) = self.obtain(snapshot, member, who, wants).await? {
                return Ok(connection);
            }
            again = true;
        }
    }

    /// Connections to each server that this thread may have.
    pub(crate) fn share(&self, snapshot: &Snapshot) -> usize {
        let limit = usize::try_from(snapshot.target.connections).unwrap_or(usize::MAX);
        limit.div_ceil(self.threads).max(1)
    }

    async fn obtain(
        &self,
        snapshot: &Snapshot,
        member: &MemberName,
        who: &Identity,
        wants: &Settings,
    ) -> Result<Option<Box<ServerConnection>>, OpenError> {
        let schema = wants.schema.as_deref();
        let kind = Kind::new(member, who, schema);
        if let Some(connection) = self.pooled(snapshot, &kind, wants).await {
            return Ok(Some(connection));
        }
        let limit = self.share(snapshot);
        let slot = self.slots.take(member, limit).or_else(|| {
            // An idle one of another user makes room.
            self.pool.borrow_mut().close_one(member);
            self.slots.take(member, limit)
        });
        match slot {
            Some(slot) => self
                .open(snapshot, member, who, schema, slot)
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    /// One more connection, whatever is open: to end what somebody else does.
    pub(crate) async fn connect_at_once(
        &self,
        snapshot: &Snapshot,
        member: &MemberName,
        who: &Identity,
    ) -> Result<Box<ServerConnection>, OpenError> {
        if let Some(slot) = self.slots.take(member, usize::MAX) {
            return self.open(snapshot, member, who, None, slot).await;
        }
        let member = member.clone();
        Err(OpenError::Busy { member, limit: 0 })
    }

    async fn pooled(
        &self,
        snapshot: &Snapshot,
        kind: &Kind,
        wants: &Settings,
    ) -> Option<Box<ServerConnection>> {
        let generation = snapshot.servers.generation;
        loop {
            let taken = self.pool.borrow_mut().take(
                kind,
                wants,
                generation,
                snapshot.target.pool,
                Instant::now(),
            );
            let mut pooled = taken?;
            if pooled.past != Past::Unknown {
                bump(&self.counts.servers_reused);
                return Some(pooled);
            }
            let reset = tokio::time::timeout(CONNECT, pooled.reset()).await;
            if matches!(reset, Ok(Ok(()))) {
                bump(&self.counts.servers_reused);
                bump(&self.counts.servers_reset);
                return Some(pooled);
            }
        }
    }

    pub(crate) async fn open(
        &self,
        snapshot: &Snapshot,
        member: &MemberName,
        who: &Identity,
        schema: Option<&str>,
        slot: Slot,
    ) -> Result<Box<ServerConnection>, OpenError> {
        let target = target(snapshot, member, &self.tls)?;
        let serial = self.serial.get();
        self.serial.set(serial + 1);
        bump(&self.counts.servers_opened);
        ServerConnection::open(&target, who, schema, serial, slot).await
    }

    /// Takes back a connection that nothing is left on but `past`.
    pub(crate) fn give_back(
        &self,
        who: &Identity,
        mut connection: Box<ServerConnection>,
        past: Past,
    ) {
        connection.past = past;
        connection.ready = false;
        connection.used = false;
        let member = connection.member.clone();
        let kept = self.pool.borrow_mut().give(who, connection, Instant::now());
        match kept {
            Ok(()) => self.slots.freed(&member),
            // Its slot tells those who wait.
            Err(connection) => drop(connection),
        }
    }

    pub(crate) fn knows_schema(&self, user: &str, schema: &str) -> bool {
        let key = (user.to_owned(), schema.to_owned());
        self.schemas.borrow().contains(&key)
    }

    /// One of them may be gone. Other threads find that out by their first statement in it.
    pub(crate) fn forget_schemas(&self) {
        self.schemas.borrow_mut().clear();
    }

    /// This user may use this schema: a login need not ask again. That only spares a connection;
    /// what the user may do is always the servers' decision.
    pub(crate) fn learn_schema(&self, user: &str, schema: &str) {
        let mut schemas = self.schemas.borrow_mut();
        if schemas.len() >= SCHEMAS {
            schemas.clear();
        }
        schemas.insert((user.to_owned(), schema.to_owned()));
    }
}

fn target(snapshot: &Snapshot, member: &MemberName, tls: &Tls) -> Result<Target, OpenError> {
    let known = snapshot.target.members.iter();
    match known.into_iter().find(|known| known.name == *member) {
        Some(known) => Ok(Target {
            member: member.clone(),
            address: known.address,
            generation: snapshot.servers.generation,
            tls: tls.connector(snapshot),
        }),
        None => Err(OpenError::Unreachable {
            member: member.clone(),
            address: snapshot.target.listen,
            what: "it is no member of this site".to_owned(),
        }),
    }
}
