//! The actor that keeps one member: wait → observe → diagnose → decide → tell → act.
//!
//! One task, one closed `enum Event`, one state. What takes longer than a tick (starting the server,
//! rebuilding it) is a task of its own that reports back as an event; while it runs, the decision is
//! to wait for it. Everything that waits also waits for the order to stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cluster::{Cluster, PutError, Secrets, Version, keys};
use process::restart::{self, History};
use process::spawn::{Exit, Running, Spawner};
use site::name::{MemberName, ServerName};
use site::target::{MemberAddress, MemberTarget};
use telemetry::{Event as News, Severity};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::act::{self, Hands};
use crate::engine::accounts;
use crate::engine::admin::Admin;
use crate::engine::identity;
use crate::engine::mariadb::{STOP_GRACE, Server, StartError};
use crate::engine::programs::Programs;
use crate::engine::tool::Cancel;
use crate::failover::attempts::Attempts;
use crate::failover::decide::decide;
use crate::failover::decision::{Action, Decision, Reason};
use crate::failover::diagnosis::Diagnosis;
use crate::failover::rejoin;
use crate::failover::view::{Engine, InFlight, Long, Time, View};
use crate::observe;
use crate::rebuild::{self, Job, Outcome, RebuildError};
use crate::record::{FORMAT, Generation, Identity, MemberRecord};
use crate::report::{MemberReport, MemberState};
use crate::tell::{self, Told, news};

/// Between two looks when nothing happens: a replica's lag is known twice a second, and a look costs
/// three statements of 0.1 ms.
const TICK: Duration = Duration::from_millis(500);
/// The same while a replica is about to be of use.
const SETTLING: Duration = Duration::from_millis(100);
/// Rebuilds remembered; the limit on their frequency looks at three.
const REBUILDS_KEPT: usize = 8;
/// The same action failing this often in a row is told.
const FAILURES_TOLD: u32 = 2;

/// What a keeper needs from its caller.
#[derive(Debug)]
pub struct Parts {
    /// The site's name: a data directory of another site is refused.
    pub site: String,
    pub target: MemberTarget,
    /// Holds the data; made when it does not exist. Copies are made beside it, to be renamed into
    /// place, so it cannot be a mount point itself.
    pub data_dir: PathBuf,
    /// Holds socket, pid file and option file; ours alone. Must be short: a socket's path has at most
    /// 107 bytes (unix(7)).
    pub runtime_dir: PathBuf,
    /// What mariadbd prints; its tools' output goes beside it (`NAME.tools.log`).
    pub log: PathBuf,
    /// Usually `Programs::from_path(std::env::var_os("PATH"))`.
    pub programs: Programs,
    pub spawner: Spawner,
    pub cluster: Cluster,
    pub secrets: Secrets,
    /// Where changes are told. Bounded by the caller; when it is full an event is dropped, and said
    /// so in the log.
    pub events: mpsc::Sender<News>,
}

/// A running keeper. Dropping it does not stop it: call `stop`.
#[derive(Debug)]
pub struct Keeper {
    stop: watch::Sender<bool>,
    report: watch::Receiver<MemberReport>,
    task: JoinHandle<()>,
}

/// Starts the keeper of one member as a task of the current runtime.
pub fn start(parts: Parts) -> Keeper {
    let name = &parts.target.name;
    let server = parts
        .target
        .members
        .iter()
        .find(|member| member.name == *name)
        .map_or_else(|| ServerName::new(name.as_str()), |m| m.server.clone());
    let (report_in, report) = watch::channel(MemberReport::starting(name.clone(), server));
    let (stop, told) = watch::channel(false);
    // Owned by the `Keeper`, joined by `stop`.
    let task = tokio::spawn(run(parts, report_in, Cancel::new(told)));
    Keeper { stop, report, task }
}

impl Keeper {
    /// What the member is now, and every change of it.
    pub fn report(&self) -> watch::Receiver<MemberReport> {
        self.report.clone()
    }

    /// Stops mariadbd (SIGTERM; SIGKILL after 20 s) and the keeper; returns when both are gone.
    /// Replicas before their primary is the caller's matter.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(e) = self.task.await {
            tracing::error!("the keeper failed: {e}");
        }
    }
}

/// Secrets first: without them nothing else can be done.
async fn run(parts: Parts, report: watch::Sender<MemberReport>, mut cancel: Cancel) {
    loop {
        match parts.secrets.get_or_create(accounts::ADMIN_SECRET) {
            Ok(admin) => {
                Actor::new(parts, admin, report, cancel.clone())
                    .keep(cancel)
                    .await;
                return;
            }
            Err(e) => report.send_modify(|report| {
                let reason = e.to_string();
                report.reason.clone_from(&reason);
                report.state = MemberState::Down {
                    reason,
                    needs_you: true,
                };
            }),
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = cancel.told() => return,
        }
    }
}

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
    Start(Result<Running, StartError>),
    Rebuild(Box<Outcome>),
    /// Its task panicked.
    Lost(String),
}

#[derive(Debug)]
struct Actor {
    server: Server,
    cluster: Cluster,
    secrets: Secrets,
    events: mpsc::Sender<News>,
    report: watch::Sender<MemberReport>,
    cancel: Cancel,
    began: Instant,
    machine: String,

    admin: Admin,
    identity: Option<Identity>,
    running: Option<Running>,
    answered_at: Time,
    history: History,
    starts: u32,
    down: Engine,
    silent_since: Option<Time>,
    long: Option<(InFlight, JoinHandle<Done>)>,

    accounts_for: Option<Generation>,
    last_beat: Option<Time>,
    replication_starts: Attempts,
    rebuilds: Vec<Time>,
    others: BTreeMap<MemberName, MemberRecord>,
    recorded: Option<(Version, MemberRecord)>,
    told: Told,
    last_actions: Vec<Action>,
    trouble: Option<Trouble>,
}

/// An action that failed, and how often in a row.
#[derive(Debug)]
struct Trouble {
    action: std::mem::Discriminant<Action>,
    times: u32,
    text: String,
}

impl Actor {
    fn new(
        parts: Parts,
        admin: telemetry::Secret,
        report: watch::Sender<MemberReport>,
        cancel: Cancel,
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
            admin: server.connection(),
            server,
            cluster: parts.cluster,
            secrets: parts.secrets,
            events: parts.events,
            report,
            cancel,
            began: Instant::now(),
            machine: machine(),
            identity: None,
            running: None,
            answered_at: Time::default(),
            history: History::default(),
            starts: 0,
            down: Engine::Down {
                why: "not started yet".to_owned(),
                start_at: Time::default(),
                needs_you: false,
            },
            silent_since: None,
            long: None,
            accounts_for: None,
            last_beat: None,
            replication_starts: Attempts::default(),
            rebuilds: Vec::new(),
            others: BTreeMap::new(),
            recorded: None,
            told: Told::default(),
            last_actions: Vec::new(),
            trouble: None,
        }
    }

    fn now(&self) -> Time {
        Time(self.began.elapsed())
    }

    fn me(&self) -> &MemberName {
        &self.server.target.name
    }

    async fn keep(mut self, mut cancel: Cancel) {
        let mut state = self.cluster.watch("database/");
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
                exit = exited(&mut self.running) => Event::EngineExited(exit),
                done = done(&mut self.long) => Event::ActionDone(done),
                _ = state.changed() => Event::StateChanged,
                () = tokio::time::sleep(pause) => Event::Tick,
                () = cancel.told() => break,
            };
            self.absorb(event);
        }
        self.shut_down().await;
    }

    /// One round. `None`: something was done, look again at once; else until when to wait.
    async fn step(&mut self) -> Option<Time> {
        self.write_record().await;
        let now = self.now();
        let view = self.view(now).await;
        let decision = decide(&view, &self.server.target.name, now);
        self.publish(&view, &decision);
        self.tell(&view, &decision, now);
        if matches!(
            decision.diagnosis,
            Diagnosis::Following(_) | Diagnosis::Lagging { .. } | Diagnosis::LagUnknown(_)
        ) {
            self.replication_starts = self.replication_starts.works(now);
        }
        let acted = self.act(&view, &decision, now).await;
        let repeated = decision.actions == self.last_actions;
        self.last_actions = decision.actions;
        if acted && !repeated {
            return None;
        }
        let tick = match decision.diagnosis {
            Diagnosis::LagUnknown(_) | Diagnosis::SourceUnreachable { .. } => SETTLING,
            _ => TICK,
        };
        let tick = now.after(tick);
        Some(match decision.reason {
            Reason::StartNotBefore(time) => time.min(tick),
            _ => tick,
        })
    }

    async fn view(&mut self, now: Time) -> View {
        let store = observe::store(&self.cluster).await;
        self.others = observe::others(&self.cluster, self.me()).await;
        let engine = self.engine(now).await;
        View {
            members: self.server.target.members.clone(),
            first_primary: self.server.target.first_primary,
            max_lag: self.server.target.max_lag,
            store,
            obeyed: self.identity.as_ref().and_then(|i| i.obeyed.clone()),
            heard: self
                .others
                .iter()
                .map(|(name, record)| (name.clone(), record.obeyed.clone()))
                .collect(),
            engine,
            in_flight: self.long.as_ref().map(|(what, _)| what.clone()),
            accounts_for: self.accounts_for,
            last_beat: self.last_beat,
            replication_starts: self.replication_starts,
            rebuilds: self.rebuilds.clone(),
        }
    }

    async fn engine(&mut self, now: Time) -> Engine {
        if self.running.is_none() {
            return self.down.clone();
        }
        let start_from = self
            .identity
            .as_ref()
            .is_some_and(|identity| identity.start_from.is_some());
        let server_id = self.server.target.server_id;
        match observe::status(&mut self.admin, server_id, start_from).await {
            Ok(status) => {
                self.silent_since = None;
                Engine::Answers(Box::new(status))
            }
            Err(e) => Engine::Silent {
                why: e.to_string(),
                since: *self.silent_since.get_or_insert(now),
            },
        }
    }

    fn publish(&self, view: &View, decision: &Decision) {
        self.report.send_if_modified(|report| {
            let mut next = MemberReport::after(report, view, decision);
            next.pid = self.running.as_ref().map(|running| running.pid);
            next.restarts = self.starts.saturating_sub(1);
            if let Some(trouble) = &self.trouble {
                next.reason = format!("{}; {}", next.reason, trouble.text);
            }
            let changed = *report != next;
            *report = next;
            changed
        });
    }

    fn tell(&mut self, view: &View, decision: &Decision, now: Time) {
        // An exit that the process's own watcher has not reported yet looks like silence.
        let dying = matches!(decision.diagnosis, Diagnosis::EngineSilent { .. })
            && self.silent_since == Some(now);
        if dying {
            return;
        }
        let (told, all) = tell::tell(&self.told, view, decision, now);
        self.told = told;
        all.into_iter().for_each(|news| self.send(news));
    }

    fn send(&self, news: tell::News) {
        let at_us = observe::wall_clock_us();
        let event = News {
            at_ms: u64::try_from(at_us / 1000).unwrap_or(0),
            severity: news.severity,
            server: self.report.borrow().server.to_string(),
            subject: format!("member {}", self.me()),
            kind: news.kind.to_owned(),
            what: news.what,
        };
        if let Err(e) = self.events.try_send(event) {
            tracing::warn!("an event was dropped: {e}");
        }
    }

    /// Carries the actions out, in order; stops at the first failure. Whether all were done.
    async fn act(&mut self, view: &View, decision: &Decision, now: Time) -> bool {
        for action in &decision.actions {
            match action {
                Action::Start => self.begin_start(now),
                Action::Rebuild { source, why, .. } => self.begin_rebuild(view, source, why, now),
                short => {
                    let mut hands = Hands {
                        server: &self.server,
                        admin: &mut self.admin,
                        cluster: &self.cluster,
                        secrets: &self.secrets,
                        identity: &mut self.identity,
                    };
                    let result = act::perform(&mut hands, short).await;
                    if let Action::StartReplication(_) = short {
                        self.replication_starts = self.replication_starts.tried(now);
                    }
                    if let Err(e) = result {
                        self.failed(short, &e);
                        return false;
                    }
                    self.did(short, now);
                }
            }
        }
        !decision.actions.is_empty()
    }

    fn did(&mut self, action: &Action, now: Time) {
        let kind = std::mem::discriminant(action);
        if self.trouble.as_ref().is_some_and(|t| t.action == kind) {
            self.trouble = None;
        }
        match action {
            Action::PrepareAccounts(generation) => self.accounts_for = Some(*generation),
            Action::Beat(_) => self.last_beat = Some(now),
            _ => {}
        }
    }

    fn failed(&mut self, action: &Action, error: &act::ActError) {
        let kind = std::mem::discriminant(action);
        let times = match &self.trouble {
            Some(trouble) if trouble.action == kind => trouble.times.saturating_add(1),
            _ => 1,
        };
        tracing::debug!("{}: {action:?}: {error}", self.me());
        let text = error.to_string();
        if times == FAILURES_TOLD {
            self.send(news(Severity::Warning, "member-stuck", text.clone()));
        }
        self.trouble = Some(Trouble {
            action: kind,
            times,
            text,
        });
    }

    fn begin_start(&mut self, now: Time) {
        let server = self.server.clone();
        let mut cancel = self.cancel.clone();
        // Joined by `done` or `shut_down`.
        let task = tokio::spawn(async move { Done::Start(server.start(&mut cancel).await) });
        self.begin(Long::Start, now, task);
    }

    fn begin_rebuild(&mut self, view: &View, source: &MemberAddress, why: &str, now: Time) {
        let Some(identity) = self.identity.clone() else {
            return;
        };
        if let Engine::Answers(status) = &view.engine
            && let Some(extra) = rejoin::extra(status)
        {
            let what = format!(
                "it has transactions that the primary does not have ({extra}); they stay in the \
                 binary log of its old data directory, which is moved aside"
            );
            self.send(news(Severity::Warning, "replica-extra-transactions", what));
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
            cancel: self.cancel.clone(),
        };
        let running = self.running.take();
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
        match event {
            Event::Tick | Event::StateChanged => {}
            Event::EngineExited(exit) => {
                let how = exit.map_or_else(|| "ended".to_owned(), |exit| exit.to_string());
                let ran_for = self.now().since(self.answered_at);
                self.is_down(format!("mariadbd {how}"), false, ran_for);
            }
            Event::ActionDone(Done::Start(Ok(running))) => {
                self.running = Some(running);
                self.answered_at = self.now();
                self.starts = self.starts.saturating_add(1);
                self.admin = self.server.connection();
                self.read_identity();
            }
            Event::ActionDone(Done::Start(Err(e))) => {
                self.is_down(e.to_string(), e.needs_you(), Duration::ZERO);
            }
            Event::ActionDone(Done::Rebuild(outcome)) => self.rebuilt(*outcome),
            Event::ActionDone(Done::Lost(why)) => self.is_down(why, false, Duration::ZERO),
        }
    }

    fn is_down(&mut self, why: String, needs_you: bool, ran_for: Duration) {
        let restart = restart::after_exit(self.history, ran_for);
        self.history = restart.history;
        self.running = None;
        self.silent_since = None;
        self.down = Engine::Down {
            why,
            start_at: self.now().after(restart.after),
            needs_you,
        };
    }

    fn rebuilt(&mut self, outcome: Outcome) {
        self.running = outcome.running;
        match outcome.result {
            Ok(rebuilt) => {
                self.down = Engine::Down {
                    why: "its data was replaced".to_owned(),
                    start_at: self.now(),
                    needs_you: false,
                };
                let what = format!(
                    "its data was replaced by a copy of the primary's at {} ({}); the old data is \
                     in {}",
                    rebuilt.position,
                    rebuilt.with,
                    rebuilt.old_data.display()
                );
                self.send(news(Severity::Info, "replica-rebuilt", what));
            }
            Err(RebuildError::Cancelled) => {}
            Err(e) => {
                let what = format!("its data could not be replaced: {e}");
                self.send(news(Severity::Error, "replica-rebuild-failed", what));
            }
        }
        self.read_identity();
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

    /// Tells the others how this member is reached and what it followed last. A member whose data
    /// directory is another's says nothing.
    async fn write_record(&mut self) {
        let obeyed = match (&self.identity, &self.recorded) {
            (Some(identity), _) => identity.obeyed.clone(),
            (None, None) if identity::read(&self.server.data_dir, self.server.who()).is_err() => {
                return;
            }
            (None, _) => None,
        };
        let record = MemberRecord {
            format: FORMAT,
            server_id: self.server.target.server_id,
            machine: self.machine.clone(),
            socket: self.server.socket(),
            data_dir: self.server.data_dir.clone(),
            obeyed,
        };
        if self
            .recorded
            .as_ref()
            .is_some_and(|(_, last)| *last == record)
        {
            return;
        }
        let Ok(text) = serde_json::to_string(&record) else {
            return;
        };
        let key = keys::database_member(self.me());
        let known = self.recorded.as_ref().map(|(version, _)| *version);
        let mut put = self.cluster.put_if(&key, known, text.clone()).await;
        // The only writer is this member, in an earlier life.
        if let Err(PutError::Conflict(conflict)) = put {
            let current = conflict.current.map(|current| current.version);
            put = self.cluster.put_if(&key, current, text).await;
        }
        match put {
            Ok(version) => self.recorded = Some((version, record)),
            Err(e) => tracing::warn!("{}: {e}", self.me()),
        }
    }

    /// Everything was told by `cancel`; each wait below has its limit.
    async fn shut_down(mut self) {
        if let Some((_, task)) = self.long.take() {
            match task.await {
                Ok(Done::Start(Ok(running))) => self.running = Some(running),
                Ok(Done::Rebuild(outcome)) => self.running = outcome.running,
                Ok(Done::Start(Err(_)) | Done::Lost(_)) => {}
                Err(e) => tracing::error!("{}: {e}", self.me()),
            }
        }
        if let Some(running) = &mut self.running {
            running.stop(STOP_GRACE).await;
        }
        self.report.send_modify(|report| {
            report.state = MemberState::Stopped;
            report.role = crate::report::Role::Unknown;
            report.lag_ms = None;
            report.pid = None;
            "stopped".clone_into(&mut report.reason);
        });
    }
}

/// Waits for ever when nothing runs.
async fn exited(running: &mut Option<Running>) -> Option<Exit> {
    match running {
        Some(running) => running.exited().await,
        None => std::future::pending().await,
    }
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
