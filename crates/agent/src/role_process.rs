//! The actor that keeps one role process: starts it, sends it its snapshots, passes on what it says,
//! starts it again, drains it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use process::control::{self, Listener, Receiver, Sender};
use process::message::{About, FromRole, ToRole};
use process::restart::{self, History};
use process::role;
use process::spawn::{Launch, Running, Spawner};
use telemetry::wall_clock::now_ms;
use telemetry::{Event, Severity};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::listeners::named;

/// From its start to its call; from a snapshot to "ready".
const CALL: Duration = Duration::from_secs(10);
/// How long open requests may go on when the site is stopped.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
/// How long a process that was replaced may finish what it began: WebSockets and downloads go on. (nginx
/// and HAProxy by default: for ever.)
const LEAVE: Duration = Duration::from_secs(3600);
/// A question that is not answered by then is not answered.
const ANSWER: Duration = Duration::from_secs(2);
/// Messages of one role waiting to be handled.
const QUEUE: usize = 64;

/// Keepers by the name of their process.
type Waiting = HashMap<String, mpsc::Sender<(Receiver, Sender)>>;

/// Where all role processes of this site call in; hands each to its keeper.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) path: PathBuf,
    waiting: Arc<Mutex<Waiting>>,
    task: JoinHandle<()>,
}

impl Hub {
    pub(crate) fn open(path: PathBuf) -> Result<Self, control::ControlError> {
        let listener = Listener::bind(&path)?;
        let waiting: Arc<Mutex<Waiting>> = Arc::default();
        let known = Arc::clone(&waiting);
        let task = tokio::spawn(async move {
            loop {
                let (mut receiver, sender) = match listener.accept().await {
                    Ok(connection) => connection,
                    Err(e) => {
                        tracing::warn!("control: {e}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let known = Arc::clone(&known);
                // Ends by itself within `CALL`.
                tokio::spawn(async move {
                    let greeted =
                        tokio::time::timeout(CALL, control::greeting(&mut receiver)).await;
                    let Ok(Ok((name, _pid))) = greeted else {
                        return;
                    };
                    let keeper = known
                        .lock()
                        .ok()
                        .and_then(|known| known.get(&name).cloned());
                    match keeper {
                        Some(keeper) if keeper.try_send((receiver, sender)).is_ok() => {}
                        _ => {
                            tracing::warn!("a process calls itself {name}, and nobody waits for it")
                        }
                    }
                });
            }
        });
        Ok(Self {
            path,
            waiting,
            task,
        })
    }

    fn expect(&self, name: &str) -> mpsc::Receiver<(Receiver, Sender)> {
        let (sender, receiver) = mpsc::channel(1);
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.insert(name.to_owned(), sender);
        }
        receiver
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a keeper needs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) server: String,
    /// `balancer`, `web`, `sql-router`: also what is run.
    pub(crate) role: &'static str,
    /// Names and sockets to hand over.
    pub(crate) sockets: Vec<(String, OwnedFd)>,
    /// `None` until there is something to say.
    pub(crate) snapshot: watch::Receiver<Option<serde_json::Value>>,
    pub(crate) log: PathBuf,
    pub(crate) spawner: Spawner,
    pub(crate) events: mpsc::Sender<Event>,
}

/// A role process, as its keeper saw it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleReport {
    pub(crate) state: RoleState,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u32,
    pub(crate) since_ms: u64,
    pub(crate) reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoleState {
    Starting,
    Ready,
    Draining,
    Waiting,
    CrashLooping,
    Stopped,
}

impl RoleState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Waiting => "waiting",
            Self::CrashLooping => "crash-looping",
            Self::Stopped => "stopped",
        }
    }
}

/// A running keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) role: &'static str,
    report: watch::Receiver<RoleReport>,
    asks: Asker,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

type Ask = (Question, oneshot::Sender<String>);

/// What a keeper can be asked.
#[derive(Debug)]
enum Question {
    About(About),
    /// Its type stands in the role's `snapshot.rs`.
    OfItsOwn(serde_json::Value),
    /// Take this snapshot. The answer is empty, or says why not.
    Change(serde_json::Value),
    /// Put another process in the place of this one. The answer is empty, or says why not.
    Replace(Box<Replacement>),
}

/// A process for the place of another.
#[derive(Debug)]
pub(crate) struct Replacement {
    /// The binary, if it is another one.
    pub(crate) program: Option<PathBuf>,
    pub(crate) sockets: Vec<(String, OwnedFd)>,
    pub(crate) snapshot: serde_json::Value,
}

/// Asks a role from anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Asker(mpsc::Sender<Ask>);

impl Asker {
    /// `None`: it does not run, or does not answer in time.
    pub(crate) async fn ask(&self, about: About) -> Option<String> {
        self.put(Question::About(about), ANSWER).await
    }

    /// A question whose type stands in the role's `snapshot.rs`.
    pub(crate) async fn question(&self, value: serde_json::Value) -> Option<String> {
        self.put(Question::OfItsOwn(value), ANSWER).await
    }

    /// A new snapshot: in force when this returns, or refused with the reason.
    pub(crate) async fn change(&self, value: serde_json::Value) -> Result<(), String> {
        self.order(Question::Change(value), CALL).await
    }

    /// Another process: it serves when this returns, and the old one finishes what it began.
    pub(crate) async fn replace(&self, by: Replacement) -> Result<(), String> {
        self.order(Question::Replace(Box::new(by)), 2 * CALL).await
    }

    async fn order(&self, question: Question, within: Duration) -> Result<(), String> {
        match self.put(question, within).await {
            Some(done) if done.is_empty() => Ok(()),
            Some(why) => Err(why),
            None => Err("the process does not answer".to_owned()),
        }
    }

    async fn put(&self, question: Question, within: Duration) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.0.send((question, reply)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(within, asked).await.ok().flatten()
    }
}

impl Keeper {
    pub(crate) fn start(hub: &Hub, parts: Parts) -> Self {
        let name = format!("{}/{}", parts.server, parts.role);
        let calls = hub.expect(&name);
        let (report_in, report) = watch::channel(RoleReport {
            state: RoleState::Starting,
            pid: None,
            restarts: 0,
            since_ms: now_ms(),
            reason: String::new(),
        });
        let (stop, stopped) = watch::channel(false);
        let (asks, questions) = mpsc::channel(QUEUE);
        let role = parts.role;
        let control = hub.path.clone();
        let history = History::default();
        let actor = Actor {
            name,
            control,
            parts,
            calls,
            questions,
            stopped,
            report: report_in,
            history,
            version: 0,
            program: None,
            leaving: JoinSet::new(),
        };
        Self {
            role,
            report,
            asks: Asker(asks),
            stop,
            task: tokio::spawn(actor.run()),
        }
    }

    pub(crate) fn report(&self) -> watch::Receiver<RoleReport> {
        self.report.clone()
    }

    pub(crate) fn asker(&self) -> Asker {
        self.asks.clone()
    }

    /// Drains, then stops; returns when the process is gone.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(e) = self.task.await {
            tracing::error!("the keeper of a {} failed: {e}", self.role);
        }
    }
}

struct Actor {
    name: String,
    control: PathBuf,
    parts: Parts,
    calls: mpsc::Receiver<(Receiver, Sender)>,
    questions: mpsc::Receiver<Ask>,
    stopped: watch::Receiver<bool>,
    report: watch::Sender<RoleReport>,
    history: History,
    /// Of the snapshots sent.
    version: u64,
    /// In place of our own binary.
    program: Option<PathBuf>,
    /// Processes that were replaced and finish what they began.
    leaving: JoinSet<()>,
}

/// A process that has called in.
struct Live {
    running: Running,
    sender: Sender,
    messages: mpsc::Receiver<FromRole>,
    /// Ends with the connection.
    reading: JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

enum Over {
    Ended(String),
    Stop,
    Replace(Box<Replacement>, oneshot::Sender<String>),
}

impl Actor {
    async fn run(mut self) {
        let mut live = None;
        loop {
            let started = Instant::now();
            let over = match self.run_once(&mut live).await {
                Over::Replace(by, reply) => {
                    let done = self.replace(*by, &mut live).await.err().unwrap_or_default();
                    if reply.send(done).is_err() {
                        tracing::debug!("{}: nobody waits for the replacement", self.name);
                    }
                    continue;
                }
                over => over,
            };
            live = None;
            let Over::Ended(reason) = over else { break };
            let restart = restart::after_exit(self.history, started.elapsed());
            self.history = restart.history;
            let (state, severity, kind) = match restart.crash_looping {
                true => (
                    RoleState::CrashLooping,
                    Severity::Error,
                    "process-crash-looping",
                ),
                false => (RoleState::Waiting, Severity::Warning, "process-exited"),
            };
            self.set(state, None, &reason);
            let what = format!("{} on {}: {reason}", self.parts.role, self.parts.server);
            self.tell(severity, self.parts.role.to_owned(), kind.to_owned(), what);
            tokio::select! {
                () = tokio::time::sleep(restart.after) => {}
                () = told_to(&mut self.stopped) => break,
            }
            self.report.send_modify(|report| report.restarts += 1);
        }
        while self.leaving.join_next().await.is_some() {}
        self.set(RoleState::Stopped, None, "stopped");
    }

    /// Starts a process, unless there is one, and goes on with it until something has to be done.
    async fn run_once(&mut self, live: &mut Option<Live>) -> Over {
        let mut now = match live.take() {
            Some(live) => live,
            None => match self.launch().await {
                Ok(live) => {
                    self.parts.snapshot.mark_changed();
                    live
                }
                Err(over) => return over,
            },
        };
        let over = self.converse(&mut now).await;
        *live = Some(now);
        over
    }

    /// A new process that has called in.
    async fn launch(&mut self) -> Result<Live, Over> {
        let mut running = self.start().await.map_err(Over::Ended)?;
        self.set(RoleState::Starting, Some(running.pid), "");
        let called = tokio::select! {
            exit = running.exited() => {
                let exit = exit.map_or_else(String::new, |exit| exit.to_string());
                return Err(Over::Ended(exit));
            }
            called = tokio::time::timeout(CALL, self.calls.recv()) => called.ok().flatten(),
            () = told_to(&mut self.stopped) => {
                running.stop(Duration::from_secs(1)).await;
                return Err(Over::Stop);
            }
        };
        let Some((receiver, sender)) = called else {
            running.stop(Duration::ZERO).await;
            let what = format!("it did not call within {} s", CALL.as_secs());
            return Err(Over::Ended(what));
        };
        let (messages_in, messages) = mpsc::channel(QUEUE);
        Ok(Live {
            running,
            sender,
            messages,
            reading: tokio::spawn(read(receiver, messages_in)),
        })
    }

    /// Starts another process beside the one that serves; when it serves too, the first one finishes
    /// what it began. When it does not come up, everything stays as it was.
    async fn replace(&mut self, by: Replacement, live: &mut Option<Live>) -> Result<(), String> {
        let sockets = std::mem::replace(&mut self.parts.sockets, by.sockets);
        let program = by.program.or(self.program.clone());
        let former = std::mem::replace(&mut self.program, program);
        let report = self.report.borrow().clone();
        match self.launch_to_serve(by.snapshot).await {
            Ok(new) => {
                if let Some(old) = live.replace(new) {
                    self.let_go(old);
                }
                Ok(())
            }
            Err(why) => {
                self.parts.sockets = sockets;
                self.program = former;
                self.report.send_replace(report);
                Err(why)
            }
        }
    }

    async fn launch_to_serve(&mut self, snapshot: serde_json::Value) -> Result<Live, String> {
        let mut live = self.launch().await.map_err(|over| match over {
            Over::Ended(why) => why,
            _ => "the site is being stopped".to_owned(),
        })?;
        self.version += 1;
        let message = ToRole::Snapshot {
            version: self.version,
            value: snapshot,
        };
        if let Err(why) = live.sender.send(&message).await {
            live.running.stop(Duration::ZERO).await;
            return Err(why.to_string());
        }
        let serves = async {
            while let Some(message) = live.messages.recv().await {
                match message {
                    FromRole::Ready => return Ok(()),
                    FromRole::Refused { why, .. } => return Err(why),
                    message => self.take(message, live.running.pid),
                }
            }
            Err("it ended before it served".to_owned())
        };
        let serves = tokio::time::timeout(CALL, serves).await;
        match serves.unwrap_or_else(|_| Err("it did not serve in time".to_owned())) {
            Ok(()) => {
                self.set(RoleState::Ready, Some(live.running.pid), "");
                Ok(live)
            }
            Err(why) => {
                live.running.stop(Duration::ZERO).await;
                Err(why)
            }
        }
    }

    /// Lets a replaced process finish what it began; it ends with the site at the latest.
    fn let_go(&mut self, mut old: Live) {
        let mut stopped = self.stopped.clone();
        self.leaving.spawn(async move {
            let deadline_ms = u64::try_from(LEAVE.as_millis()).unwrap_or(u64::MAX);
            if let Err(e) = old.sender.send(&ToRole::Drain { deadline_ms }).await {
                tracing::debug!("a replaced process: {e}");
            }
            tokio::select! {
                _ = old.running.exited() => {}
                () = tokio::time::sleep(LEAVE) => {}
                // Open requests have as long as those of the one that serves.
                () = async {
                    told_to(&mut stopped).await;
                    tokio::time::sleep(DRAIN).await;
                } => {}
            }
            old.running.stop(Duration::from_secs(1)).await;
        });
    }

    /// Everything between the first snapshot and the end.
    async fn converse(&mut self, live: &mut Live) -> Over {
        let Live {
            running,
            sender,
            messages,
            ..
        } = live;
        let mut pending: HashMap<u64, oneshot::Sender<String>> = HashMap::new();
        let mut changes: HashMap<u64, oneshot::Sender<String>> = HashMap::new();
        let mut next_id = 0;
        loop {
            tokio::select! {
                exit = running.exited() => {
                    return Over::Ended(exit.map_or_else(String::new, |exit| exit.to_string()));
                }
                () = told_to(&mut self.stopped) => {
                    self.drain(running, sender).await;
                    return Over::Stop;
                }
                changed = self.parts.snapshot.changed() => {
                    let value = self.parts.snapshot.borrow_and_update().clone();
                    if let (Ok(()), Some(value)) = (changed, value) {
                        self.version += 1;
                        let message = ToRole::Snapshot { version: self.version, value };
                        if let Err(e) = sender.send(&message).await {
                            let (version, why) = (self.version, e.to_string());
                            self.take(FromRole::Refused { version, why }, running.pid);
                        }
                    }
                }
                Some((question, reply)) = self.questions.recv() => {
                    pending.retain(|_, waiting| !waiting.is_closed());
                    next_id += 1;
                    let id = next_id;
                    let message = match question {
                        Question::About(about) => ToRole::Ask { id, about },
                        Question::OfItsOwn(value) => ToRole::Question { id, value },
                        Question::Change(value) => {
                            self.version += 1;
                            let message = ToRole::Snapshot { version: self.version, value };
                            match sender.send(&message).await {
                                Ok(()) => drop(changes.insert(self.version, reply)),
                                Err(e) => drop(reply.send(e.to_string())),
                            }
                            continue;
                        }
                        Question::Replace(by) => return Over::Replace(by, reply),
                    };
                    pending.insert(id, reply);
                    self.send(sender, &message).await;
                }
                Some(message) = messages.recv() => {
                    let (answered, text) = match &message {
                        FromRole::Answer { id, text } => (pending.remove(id), text.clone()),
                        FromRole::Accepted { version } => (changes.remove(version), String::new()),
                        FromRole::Refused { version, why } => (changes.remove(version), why.clone()),
                        _ => (None, String::new()),
                    };
                    if let Some(Err(_)) = answered.map(|reply| reply.send(text)) {
                        tracing::debug!("{}: an answer came too late", self.name);
                    }
                    self.take(message, running.pid);
                }
            }
        }
    }

    fn take(&self, message: FromRole, pid: u32) {
        match message {
            FromRole::Ready => self.set(RoleState::Ready, Some(pid), ""),
            FromRole::Event {
                severity,
                subject,
                kind,
                what,
            } => {
                self.tell(severity, subject, kind, what);
            }
            FromRole::Refused { version, why } => {
                let what = format!("{} refused snapshot {version}: {why}", self.name);
                let role = self.parts.role.to_owned();
                self.tell(Severity::Error, role, "snapshot-refused".to_owned(), what);
                self.report.send_modify(|report| report.reason = why);
            }
            FromRole::Accepted { version } => {
                tracing::debug!("{}: snapshot {version} is in force", self.name);
            }
            FromRole::Hello { .. } | FromRole::Answer { .. } => {}
        }
    }

    async fn drain(&self, running: &mut Running, sender: &mut Sender) {
        self.set(RoleState::Draining, Some(running.pid), "asked to stop");
        let deadline_ms = u64::try_from(DRAIN.as_millis()).unwrap_or(u64::MAX);
        self.send(sender, &ToRole::Drain { deadline_ms }).await;
        let grace = DRAIN + Duration::from_secs(1);
        if tokio::time::timeout(grace, running.exited()).await.is_err() {
            running.stop(Duration::from_secs(1)).await;
        }
    }

    async fn send(&self, sender: &mut Sender, message: &ToRole) {
        // A role that is gone is noticed by its exit.
        if let Err(e) = sender.send(message).await {
            tracing::debug!("{}: {e}", self.name);
        }
    }

    async fn start(&self) -> Result<Running, String> {
        let mut sockets = Vec::new();
        for (name, listener) in &self.parts.sockets {
            sockets.push(named(name, listener).map_err(|e| format!("its socket: {e}"))?);
        }
        let ourselves = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(|e| format!("our own binary: {e}"))?,
        };
        let launch = Launch {
            program: ourselves.into_os_string(),
            args: ["run", self.parts.role].map(Into::into).to_vec(),
            env: vec![
                (role::NAME.to_owned(), self.name.clone().into()),
                (role::CONTROL.to_owned(), self.control.clone().into()),
            ],
            ours: true,
            dir: None,
            sockets,
            log: self.parts.log.clone(),
        };
        self.parts
            .spawner
            .spawn(launch)
            .await
            .map_err(|e| e.to_string())
    }

    fn set(&self, state: RoleState, pid: Option<u32>, reason: &str) {
        self.report.send_modify(|report| {
            report.state = state;
            report.pid = pid;
            report.since_ms = now_ms();
            reason.clone_into(&mut report.reason);
        });
    }

    fn tell(&self, severity: Severity, subject: String, kind: String, what: String) {
        let server = self.parts.server.clone();
        let event = Event {
            at_ms: now_ms(),
            severity,
            server,
            subject,
            kind,
            what,
        };
        if self.parts.events.try_send(event).is_err() {
            tracing::warn!("an event was dropped: nobody takes them up");
        }
    }
}

/// Returns when the value is true, or its owner is gone.
async fn told_to(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("the owner of a keeper is gone");
    }
}

async fn read(mut receiver: Receiver, messages: mpsc::Sender<FromRole>) {
    while let Ok(message) = receiver.next::<FromRole>().await {
        if messages.send(message).await.is_err() {
            return;
        }
    }
}
