//! The actor: wait → observe → diagnose → decide → tell → act.
//!
//! One task, one closed `enum Event`, one state. What takes longer than a tick (starting the server,
//! rebuilding it) is a task of its own that reports back as an event; while it runs, the decision is
//! to wait for it. Everything that waits also waits for the order to stop.

mod eyes;
mod long;

use std::collections::BTreeMap;
use std::time::Instant;

use cluster::{Cluster, PutError, Secrets, Version, keys};
use process::spawn::Exit;
use site::name::MemberName;
use telemetry::Secret;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Parts;
use super::announce::Announcement;
use super::process::Process;
use super::voice::Voice;
use crate::act::{self, ActError, Hands};
use crate::engine::admin::Admin;
use crate::engine::identity;
use crate::engine::mariadb::{Recovery, Server, StartError};
use crate::engine::tool::Cancel;
use crate::failover::attempts::Attempts;
use crate::failover::decide::decide;
use crate::failover::decision::{Action, Decision, Put};
use crate::failover::diagnosis::Diagnosis;
use crate::failover::lease;
use crate::failover::memory::{Memory, Outcome};
use crate::failover::pace;
use crate::failover::restart;
use crate::failover::view::{InFlight, Status, Time, View};
use crate::fence::Fence;
use crate::observe;
use crate::record::{Generation, Identity, MemberRecord, RequestRecord, StateRecord};
use crate::report::MemberReport;
use long::{Done, done};

/// What wakes the keeper.
#[derive(Debug)]
enum Event {
    Tick,
    EngineExited(Option<Exit>),
    StateChanged,
    ActionDone(Done),
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

/// One machine until it boots again (proc(5)); empty when it cannot be told.
fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}
