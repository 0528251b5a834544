//! The actor: wait → observe → diagnose → decide → tell → act.
//!
//! One task, one closed `enum Event`, one state. What takes longer than a tick (starting the server,
//! rebuilding it) is a task of its own that reports back as an event; while it runs, the decision is
//! to wait for it. Everything that waits also waits for the order to stop.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use cluster::{Cluster, PutError, Secrets, Version, keys};
use process::spawn::{Exit, Running};
use site::name::MemberName;
use site::target::MemberAddress;
use telemetry::{Secret, Severity};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Parts;
use super::announce::Announcement;
use super::process::Process;
use super::voice::Voice;
use crate::act::{self, ActError, Hands};
use crate::engine::admin::Admin;
use crate::engine::identity;
use crate::engine::mariadb::{Recovery, STOP_GRACE, Server, StartError};
use crate::engine::tool::Cancel;
use crate::failover::attempts::Attempts;
use crate::failover::candidate;
use crate::failover::decide::decide;
use crate::failover::decision::{Action, Decision, Put};
use crate::failover::diagnosis::Diagnosis;
use crate::failover::lease;
use crate::failover::memory::{Look, Memory, Outcome};
use crate::failover::pace;
use crate::failover::rejoin;
use crate::failover::restart;
use crate::failover::switchover;
use crate::failover::view::{Engine, InFlight, Long, Peer, Status, Store, Time, View};
use crate::fence::Fence;
use crate::observe;
use crate::rebuild::{self, Extra, Job, Outcome as Rebuilding, RebuildError, Salvaged};
use crate::record::{Generation, Identity, MemberRecord, RequestRecord, Standing, StateRecord};
use crate::report::MemberReport;
use crate::tell::news;

/// Rebuilds remembered; the limit on their frequency looks at three.
const REBUILDS_KEPT: usize = 8;

/// What wakes the keeper.
#[derive(Debug)]
enum Event {
    Tick,
    EngineExited(Option<Exit>),
    StateChanged,
    ActionDone(Done),
}

/// How a long action ended.
#[derive(Debug)]
enum Done {
    Start(Recovery, Result<Running, StartError>),
    Rebuild(Box<Rebuilding>),
    /// Its task panicked.
    Lost(String),
}

#[derive(Debug)]
pub(super) struct Actor {
    server: Server,
    cluster: Cluster,
    secrets: Secrets,
    voice: Voice,
    cancel: Cancel,
    began: Instant,
    /// This machine's boot id.
    machine: String,

    admin: Admin,
    process: Process,
    long: Option<(InFlight, JoinHandle<Done>)>,
    identity: Option<Identity>,
    announced: Announcement,
    others: BTreeMap<MemberName, MemberRecord>,
    /// As it was read last.
    request: RequestRecord,
    /// The version of `database/state` that was read last.
    state_version: Option<Version>,
    memory: Memory,
    fence: Fence,

    // remembered for the View
    accounts_for: Option<Generation>,
    last_beat: Option<Time>,
    replication_starts: Attempts,
    rebuilds: Vec<Time>,
    /// The server did not start with what nobody acknowledged cut off: it is started with it, and its data
    /// replaced.
    cannot_forget: bool,

    /// So as not to repeat oneself without a pause.
    last_actions: Vec<Action>,
}

impl Actor {
    pub(super) fn new(
        parts: Parts,
        admin: Secret,
        report: watch::Sender<MemberReport>,
        cancel: Cancel,
        fence: Fence,
    ) -> Self {
        let server = Server {
            site: parts.site,
            target: parts.target,
            data_dir: parts.data_dir,
            runtime_dir: parts.runtime_dir,
            log: parts.log,
            programs: parts.programs,
            spawner: parts.spawner,
            admin,
        };
        Self {
            voice: Voice::new(server.target.name.clone(), parts.events, report),
            admin: server.connection(),
            server,
            cluster: parts.cluster,
            secrets: parts.secrets,
            cancel,
            began: Instant::now(),
            machine: machine(),
            process: Process::new(),
            long: None,
            identity: None,
            announced: Announcement::default(),
            others: BTreeMap::new(),
            request: RequestRecord::default(),
            state_version: None,
            memory: Memory::default(),
            fence,
            accounts_for: None,
            last_beat: None,
            replication_starts: Attempts::default(),
            rebuilds: Vec::new(),
            cannot_forget: false,
            last_actions: Vec::new(),
        }
    }

    fn now(&self) -> Time {
        Time(self.began.elapsed())
    }

    fn me(&self) -> &MemberName {
        &self.server.target.name
    }

    /// Until the order to stop.
    pub(super) async fn keep(mut self, mut cancel: Cancel) {
        let mut state = self.cluster.watch(keys::DATABASE_STATE);
        let mut request = self.cluster.watch(keys::DATABASE_REQUEST);
        self.read_identity();
        loop {
            // Every statement in a step has its limit; an order to stop does not wait for them.
            let wait = tokio::select! {
                wait = self.step() => wait,
                () = cancel.told() => break,
            };
            let Some(until) = wait else { continue };
            let pause = until.since(self.now());
            let event = tokio::select! {
                exit = self.process.wait() => Event::EngineExited(exit),
                done = done(&mut self.long) => Event::ActionDone(done),
                _ = state.changed() => Event::StateChanged,
                _ = request.changed() => Event::StateChanged,
                () = tokio::time::sleep(pause) => Event::Tick,
                () = cancel.told() => break,
            };
            self.absorb(event);
        }
        self.shut_down().await;
    }

    /// One round. `None`: something was done, look again at once; else until when to wait.
    async fn step(&mut self) -> Option<Time> {
        let mut view = self.observe().await;
        view.announced = self.announce(&view).await;
        // Everything before took its time: a lease may have ended meanwhile.
        let now = self.now();
        let decision = decide(&view, self.me(), now);
        self.voice.say(&view, &decision, &self.process, now);
        if matches!(
            decision.diagnosis,
            Diagnosis::Following(_) | Diagnosis::Lagging { .. } | Diagnosis::LagUnknown(_)
        ) {
            self.replication_starts = self.replication_starts.works(now);
        }
        if restart::is_due(&view, self.me(), self.process.pid(), now) {
            return match self.hold_writes(&view, now).await {
                true => {
                    self.begin_restart(now);
                    None
                }
                false => Some(pace::next_look(&decision, now)),
            };
        }
        let latest = pace::at_latest(&view, now);
        let acted = self.act(&view, &decision, now).await;
        let repeated = decision.actions == self.last_actions;
        self.last_actions.clone_from(&decision.actions);
        // An action that changed nothing must not be repeated without a pause.
        let next = pace::next_look(&decision, now);
        (!acted || repeated).then(|| latest.map_or(next, |latest| next.min(latest)))
    }

    async fn observe(&mut self) -> View {
        if !self.announced.is_known() {
            match self.announced.recall(&self.cluster, &self.server).await {
                Ok(promised) => self.memory.recall(promised),
                Err(why) => tracing::warn!("{}: {why}", self.me()),
            }
        }
        let (store, version) = observe::store(&self.cluster).await;
        self.state_version = version;
        // One that does not answer would not answer the other questions either, and the primary is in a
        // hurry. What was asked for stays asked for.
        if !matches!(store, Store::Unusable(_)) {
            self.others = observe::others(&self.cluster, self.me()).await;
            if let Some(request) = observe::request(&self.cluster).await {
                self.request = request;
            }
        }
        // After the answer: what a lease is counted from is never before its renewal was sent.
        let now = self.now();
        let mut engine = self.engine(now).await;
        self.memory.complete(&mut engine);
        let members = self.server.target.members.clone();
        let me = self.me().clone();
        let obeyed = self.identity.as_ref().and_then(|i| i.obeyed.clone());
        let others: Vec<MemberName> = members
            .iter()
            .map(|member| member.name.clone())
            .filter(|name| *name != me)
            .collect();
        let peers: BTreeMap<MemberName, Peer> = self
            .others
            .iter()
            .map(|(name, record)| {
                let peer = Peer::new(record.obeyed.clone(), &record.standing);
                (name.clone(), peer)
            })
            .collect();
        let look = Look {
            peers: &peers,
            me: &me,
            others: &others,
            store: &store,
            obeyed: obeyed.as_ref(),
            engine: &engine,
            request: &self.request,
        };
        self.memory.looked(&look, now);
        View {
            members,
            first_primary: self.server.target.first_primary,
            max_lag: self.server.target.max_lag,
            acknowledged: self.server.target.acknowledged,
            wall_ms: u64::try_from(observe::wall_clock_us() / 1000).unwrap_or(0),
            store,
            seen_at: self.memory.seen_at(),
            held: self.memory.held.clone(),
            request: self.request.clone(),
            obeyed,
            peers,
            announced: false,
            promised: self.memory.promised,
            whole: self.memory.whole,
            engine,
            unfit_since: self.memory.unfit_since,
            switching_since: self.memory.switching_since(),
            away: self.memory.away.clone(),
            barrier: self.memory.barrier.clone(),
            in_flight: self.long.as_ref().map(|(what, _)| what.clone()),
            accounts_for: self.accounts_for,
            last_beat: self.last_beat,
            replication_starts: self.replication_starts,
            rebuilds: self.rebuilds.clone(),
        }
    }

    /// Writes down what this member has, after a look. Whether the others can count on it.
    async fn announce(&mut self, view: &View) -> bool {
        // Writing before the earlier promise is known would take it back.
        if !self.announced.is_known() || matches!(view.store, Store::Unusable(_)) {
            return false;
        }
        let now = self.now();
        let me = self.me().clone();
        let state = view.state();
        let standing = state.and_then(|state| candidate::standing(view, state, &me));
        let lag = view.status().and_then(|status| status.lag);
        let standing = standing.map(|peer| Standing {
            seen: peer.seen,
            stopped_for: peer.stopped_for,
            received: peer.received.to_string(),
            applied: peer.applied.to_string(),
            whole: peer.whole,
            errant: peer.errant,
            broken: peer.broken,
            receives: peer.receives,
            linked: peer.linked,
            lag_ms: lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
        });
        let standing = standing.unwrap_or_default();
        let promised = standing.stopped_for;
        self.announced.hurry = switchover::is_asked(view);
        self.announced
            .keep(
                &self.cluster,
                &self.server,
                self.identity.as_ref(),
                &self.machine,
                standing,
                now,
            )
            .await;
        self.announced.says(promised)
    }

    async fn engine(&mut self, now: Time) -> Engine {
        if let Some(down) = self.process.down() {
            return down;
        }
        let identity = self.identity.as_ref();
        let start_from = identity.is_some_and(|identity| identity.start_from.is_some());
        let server_id = self.server.target.server_id;
        match observe::status(&mut self.admin, server_id, start_from).await {
            Ok(status) => {
                self.process.answers();
                Engine::Answers(Box::new(status))
            }
            Err(e) => self.process.is_silent(e.to_string(), now),
        }
    }

    /// Carries the actions out, in order; stops at the first failure. Whether all were done.
    async fn act(&mut self, view: &View, decision: &Decision, now: Time) -> bool {
        for action in &decision.actions {
            match action {
                Action::Start => self.begin_start(view, now),
                Action::Rebuild { source, why, .. } => self.begin_rebuild(view, source, why, now),
                Action::Fence => self.process.kill().await,
                Action::PutState(why, next) => {
                    if let Err(e) = self.put_state(*why, next).await {
                        self.voice.failed(action, &e);
                        return false;
                    }
                }
                short => {
                    if let Err(e) = self.act_shortly(short, now).await {
                        self.voice.failed(short, &e);
                        return false;
                    }
                    self.did(short, view.status(), now);
                }
            }
        }
        !decision.actions.is_empty()
    }

    async fn act_shortly(&mut self, action: &Action, now: Time) -> Result<(), ActError> {
        if let Action::StartReplication(_) | Action::ApplyReceived(_) = action {
            self.replication_starts = self.replication_starts.tried(now);
        }
        let mut hands = Hands {
            server: &self.server,
            admin: &mut self.admin,
            lease: &self.fence.deadline,
            secrets: &self.secrets,
            identity: &mut self.identity,
        };
        act::perform(&mut hands, action).await
    }

    /// Compares and puts. The deadline counts from before it is sent.
    async fn put_state(&mut self, why: Put, next: &StateRecord) -> Result<(), ActError> {
        let (sent, sent_at) = (self.now(), Instant::now());
        let text = serde_json::to_string(next).map_err(ActError::Record)?;
        let put = self
            .cluster
            .put_if(keys::DATABASE_STATE, self.state_version, text);
        let put = tokio::time::timeout(observe::STORE_LIMIT, put).await;
        let outcome = match &put {
            Ok(Ok(_)) => Outcome::Written,
            Ok(Err(PutError::Conflict(_) | PutError::Bounds(_))) => Outcome::Refused,
            Ok(Err(PutError::Store(_))) | Err(_) => Outcome::Unknown,
        };
        self.memory.put(why, next, sent, outcome);
        if outcome == Outcome::Written {
            let margin = lease::TTL.saturating_sub(lease::FENCE_MARGIN);
            let held = self.memory.held.is_some();
            self.fence.deadline.set(held.then(|| sent_at + margin));
        }
        match put {
            Ok(put) => {
                put?;
                Ok(())
            }
            Err(_) => Err(ActError::StoreSilent),
        }
    }

    fn did(&mut self, action: &Action, status: Option<&Status>, now: Time) {
        self.voice.did(action);
        self.memory.did(action, status);
        match action {
            Action::PrepareAccounts(generation) => self.accounts_for = Some(*generation),
            Action::Beat(_) => self.last_beat = Some(now),
            _ => {}
        }
    }

    fn begin_start(&mut self, view: &View, now: Time) {
        let server = self.server.clone();
        let mut cancel = self.cancel.clone();
        let recovery = match rejoin::is_succeeded(view, self.me()) && !self.cannot_forget {
            true => Recovery::Forget,
            false => Recovery::Commit,
        };
        // Joined by `done` or `shut_down`.
        let task = tokio::spawn(async move {
            let started = server.start(recovery, &mut cancel).await;
            Done::Start(recovery, started)
        });
        self.begin(Long::Start, now, task);
    }

    /// A primary that is ended takes no writes from here on: its lease may end while it is away.
    async fn hold_writes(&mut self, view: &View, now: Time) -> bool {
        let Some(state) = view.state().filter(|state| state.primary == *self.me()) else {
            return true;
        };
        let action = Action::HoldWrites(state.generation);
        match self.act_shortly(&action, now).await {
            Ok(()) => true,
            Err(e) => {
                self.voice.failed(&action, &e);
                false
            }
        }
    }

    fn begin_restart(&mut self, now: Time) {
        let what = "its server is ended and started again, as asked for";
        self.voice
            .send(news(Severity::Info, "member-restarted", what));
        let running = self.process.take();
        let server = self.server.clone();
        let mut cancel = self.cancel.clone();
        // Joined by `done` or `shut_down`.
        let task = tokio::spawn(async move {
            if let Some(mut running) = running {
                running.stop(STOP_GRACE).await;
            }
            let started = server.start(Recovery::Commit, &mut cancel).await;
            Done::Start(Recovery::Commit, started)
        });
        self.begin(Long::Start, now, task);
    }

    fn begin_rebuild(&mut self, view: &View, source: &MemberAddress, why: &str, now: Time) {
        let Some(identity) = self.identity.clone() else {
            return;
        };
        let extra = extra(view, self.me());
        if let Some(extra) = &extra {
            let what = format!(
                "it has transactions that the primary does not have (up to {}); before its data is \
                 replaced they are written into a file of SQL statements",
                extra.last
            );
            self.voice
                .send(news(Severity::Warning, "replica-extra-transactions", what));
        }
        tracing::info!("{}: rebuilding: {why}", self.me());
        self.rebuilds.push(now);
        if self.rebuilds.len() > REBUILDS_KEPT {
            self.rebuilds.remove(0);
        }
        let job = Job {
            server: self.server.clone(),
            identity,
            source: self.others.get(&source.name).cloned(),
            machine: self.machine.clone(),
            extra,
            cancel: self.cancel.clone(),
        };
        let running = self.process.take();
        // Joined by `done` or `shut_down`.
        let task =
            tokio::spawn(
                async move { Done::Rebuild(Box::new(rebuild::rebuild(job, running).await)) },
            );
        self.begin(Long::Rebuild, now, task);
    }

    fn begin(&mut self, what: Long, now: Time, task: JoinHandle<Done>) {
        self.long = Some((InFlight { what, since: now }, task));
    }

    fn absorb(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Tick | Event::StateChanged => {}
            Event::EngineExited(exit) => {
                self.fence.guard(None);
                self.process.exited(exit, now);
            }
            Event::ActionDone(Done::Start(_, Ok(running))) => {
                self.cannot_forget = false;
                self.fence.guard(Some(running.pid));
                self.memory.engine_started();
                self.process.started(running, now);
                self.admin = self.server.connection();
                self.read_identity();
            }
            Event::ActionDone(Done::Start(recovery, Err(e))) => {
                self.cannot_forget |=
                    recovery == Recovery::Forget && matches!(e, StartError::Exited { .. });
                self.process.failed(e.to_string(), e.needs_you(), now);
            }
            Event::ActionDone(Done::Rebuild(outcome)) => self.rebuilt(*outcome, now),
            Event::ActionDone(Done::Lost(why)) => self.process.failed(why, false, now),
        }
    }

    fn rebuilt(&mut self, outcome: Rebuilding, now: Time) {
        self.process.give_back(outcome.running, now);
        match outcome.result {
            Ok(rebuilt) => {
                let what = format!(
                    "its data was replaced by a copy of the primary's at {} ({}); the old data is \
                     in {}",
                    rebuilt.position,
                    rebuilt.with,
                    rebuilt.old_data.display()
                );
                self.voice
                    .send(news(Severity::Info, "replica-rebuilt", what));
                if let Some(extra) = rebuilt.extra {
                    self.salvaged(extra, &rebuilt.old_data);
                }
            }
            Err(RebuildError::Cancelled) => {}
            Err(e) => {
                let what = format!("its data could not be replaced: {e}");
                self.voice
                    .send(news(Severity::Error, "replica-rebuild-failed", what));
            }
        }
        self.read_identity();
    }

    fn salvaged(&mut self, extra: Result<Salvaged, String>, old_data: &Path) {
        let (severity, what) = match extra {
            Ok(Salvaged { file, transactions }) => (
                Severity::Warning,
                format!(
                    "{transactions} transactions that only it had are in {}; read them, and apply what the \
                     site still wants to the primary",
                    file.display()
                ),
            ),
            Err(why) => (
                Severity::Error,
                format!(
                    "the transactions that only it had could not be read from its binary log ({why}); \
                     its old data stays in {} until you remove it",
                    old_data.display()
                ),
            ),
        };
        self.voice.send(news(severity, "replica-extra-saved", what));
    }

    /// An identity that cannot be read is said by the next start.
    fn read_identity(&mut self) {
        self.identity = match identity::read(&self.server.data_dir, self.server.who()) {
            Ok(identity) => identity,
            Err(e) => {
                tracing::debug!("{}: {e}", self.me());
                None
            }
        };
    }

    /// The order to stop has reached the long action too; each wait below has its limit.
    async fn shut_down(mut self) {
        if let Some((_, task)) = self.long.take() {
            match task.await {
                Ok(done) => self.absorb(Event::ActionDone(done)),
                Err(e) => tracing::error!("{}: {e}", self.me()),
            }
        }
        let exit = self.process.stop().await;
        self.voice.stopped(exit);
    }
}

/// What `me` has and the primary has not.
fn extra(view: &View, me: &MemberName) -> Option<Extra> {
    let (Engine::Answers(status), Store::Names(state)) = (&view.engine, &view.store) else {
        return None;
    };
    let began = rejoin::began_after(state, me);
    Some(Extra {
        last: rejoin::extra(status, began.as_ref())?,
        after: rejoin::common(status, began.as_ref()),
    })
}

/// Waits for ever when nothing is under way.
async fn done(long: &mut Option<(InFlight, JoinHandle<Done>)>) -> Done {
    let Some((_, task)) = long else {
        return std::future::pending().await;
    };
    let done = task.await;
    *long = None;
    done.unwrap_or_else(|e| Done::Lost(format!("the keeper's own task failed: {e}")))
}

/// One machine until it boots again (proc(5)); empty when it cannot be told.
fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}
