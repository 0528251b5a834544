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
use tokio::task::JoinHandle;

use crate::listeners::named;

/// From its start to its call; from a snapshot to "ready".
const CALL: Duration = Duration::from_secs(10);
/// How long open requests may go on when the site is stopped.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
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

/// What a role can be asked.
#[derive(Debug)]
enum Question {
    About(About),
    OfItsOwn(serde_json::Value),
}

/// Asks a role from anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Asker(mpsc::Sender<Ask>);

impl Asker {
    /// `None`: it does not run, or does not answer in time.
    pub(crate) async fn ask(&self, about: About) -> Option<String> {
        self.put(Question::About(about)).await
    }

    /// A question whose type stands in the role's `snapshot.rs`.
    pub(crate) async fn question(&self, value: serde_json::Value) -> Option<String> {
        self.put(Question::OfItsOwn(value)).await
    }

    async fn put(&self, question: Question) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.0.send((question, reply)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(ANSWER, asked).await.ok().flatten()
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
}

enum Over {
    Ended(String),
    Stop,
}

impl Actor {
    async fn run(mut self) {
        loop {
            let started = Instant::now();
            let reason = match self.run_once().await {
                Over::Stop => break,
                Over::Ended(reason) => reason,
            };
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
        self.set(RoleState::Stopped, None, "stopped");
    }

    async fn run_once(&mut self) -> Over {
        let mut running = match self.start().await {
            Ok(running) => running,
            Err(e) => return Over::Ended(e),
        };
        self.set(RoleState::Starting, Some(running.pid), "");
        let called = tokio::select! {
            exit = running.exited() => {
                return Over::Ended(exit.map_or_else(String::new, |exit| exit.to_string()));
            }
            called = tokio::time::timeout(CALL, self.calls.recv()) => called.ok().flatten(),
            () = told_to(&mut self.stopped) => {
                running.stop(Duration::from_secs(1)).await;
                return Over::Stop;
            }
        };
        let Some((receiver, sender)) = called else {
            running.stop(Duration::ZERO).await;
            return Over::Ended(format!("it did not call within {} s", CALL.as_secs()));
        };
        let (messages_in, messages) = mpsc::channel(QUEUE);
        // Ends with the connection.
        let reading = tokio::spawn(read(receiver, messages_in));
        let over = self.converse(&mut running, sender, messages).await;
        reading.abort();
        over
    }

    /// Everything between the first snapshot and the end.
    async fn converse(
        &mut self,
        running: &mut Running,
        mut sender: Sender,
        mut messages: mpsc::Receiver<FromRole>,
    ) -> Over {
        let mut pending: HashMap<u64, oneshot::Sender<String>> = HashMap::new();
        let mut next_id = 0;
        self.parts.snapshot.mark_changed();
        loop {
            tokio::select! {
                exit = running.exited() => {
                    return Over::Ended(exit.map_or_else(String::new, |exit| exit.to_string()));
                }
                () = told_to(&mut self.stopped) => {
                    self.drain(running, &mut sender).await;
                    return Over::Stop;
                }
                changed = self.parts.snapshot.changed() => {
                    let value = self.parts.snapshot.borrow_and_update().clone();
                    if let (Ok(()), Some(value)) = (changed, value) {
                        self.version += 1;
                        let message = ToRole::Snapshot { version: self.version, value };
                        self.send(&mut sender, &message).await;
                    }
                }
                Some((question, reply)) = self.questions.recv() => {
                    pending.retain(|_, waiting| !waiting.is_closed());
                    next_id += 1;
                    let id = next_id;
                    pending.insert(id, reply);
                    let message = match question {
                        Question::About(about) => ToRole::Ask { id, about },
                        Question::OfItsOwn(value) => ToRole::Question { id, value },
                    };
                    self.send(&mut sender, &message).await;
                }
                Some(message) = messages.recv() => match message {
                    FromRole::Answer { id, text } => {
                        if let Some(Err(_)) = pending.remove(&id).map(|reply| reply.send(text)) {
                            tracing::debug!("{}: an answer came too late", self.name);
                        }
                    }
                    message => self.take(message, running.pid),
                },
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
        let ourselves = std::env::current_exe().map_err(|e| format!("our own binary: {e}"))?;
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
