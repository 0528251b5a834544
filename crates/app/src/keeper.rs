//! The actor that keeps one instance: starts it, waits for its health, watches it, starts it again,
//! stops it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use process::restart::{self, History};
use process::spawn::{Launch, Running, Spawner};
use site::target::AppTarget;
use telemetry::wall_clock::now_ms;
use telemetry::{Event, Severity};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::health;
use crate::instance::{InstanceReport, InstanceState, Listen};
use crate::release::Release;

/// How often a starting instance is asked: its start is what people wait for.
const STARTING_INTERVAL: Duration = Duration::from_millis(25);
/// How long a health check may take.
const CHECK: Duration = Duration::from_secs(2);
/// Failures in a row that take a ready instance out of service…
const UNHEALTHY_AFTER: u32 = 2;
/// …and that have it started anew: it is not going to recover by itself.
const RESTART_AFTER: u32 = 15;
/// Between "takes no new requests" and SIGTERM: the web server hears of it within milliseconds.
const DRAIN: Duration = Duration::from_millis(200);

/// What a keeper needs from its caller.
#[derive(Debug)]
pub struct Parts {
    /// `app-1/2`.
    pub name: String,
    pub server: String,
    pub target: AppTarget,
    pub release: Release,
    pub listen: Listen,
    /// All of it: see `env::environment`.
    pub env: Vec<(String, OsString)>,
    pub log: PathBuf,
    pub spawner: Spawner,
    pub events: mpsc::Sender<Event>,
}

/// A running keeper. Dropping it does not stop it: call `stop`.
#[derive(Debug)]
pub struct Keeper {
    stop: watch::Sender<bool>,
    report: watch::Receiver<InstanceReport>,
    task: JoinHandle<()>,
}

/// Starts the keeper of one instance as a task of the current runtime.
pub fn start(parts: Parts) -> Keeper {
    let (stop, stopped) = watch::channel(false);
    let (report_in, report) = watch::channel(InstanceReport {
        name: parts.name.clone(),
        listen: parts.listen.clone(),
        state: InstanceState::Starting,
        pid: None,
        restarts: 0,
        since_ms: now_ms(),
        reason: String::new(),
        last_end: String::new(),
    });
    let actor = Actor {
        parts,
        report: report_in,
        stopped,
        history: History::default(),
    };
    Keeper {
        stop,
        report,
        task: tokio::spawn(actor.run()),
    }
}

impl Keeper {
    /// What the instance is now, and every change of it.
    pub fn report(&self) -> watch::Receiver<InstanceReport> {
        self.report.clone()
    }

    /// Takes the instance out of service, then SIGTERM, then SIGKILL after the target's stop timeout.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(e) = self.task.await {
            tracing::error!("the keeper of an instance failed: {e}");
        }
    }
}

/// Program and arguments with the program's place found: a first word with a `/` is in the release.
pub(crate) fn program(release: &Release, command: &[String]) -> (OsString, Vec<OsString>) {
    let mut words = command.iter();
    let first = words.next().map(String::as_str).unwrap_or_default();
    let program = match first.contains('/') {
        true => release.root.join(first).into_os_string(),
        false => first.into(),
    };
    (program, words.map(Into::into).collect())
}

struct Actor {
    parts: Parts,
    report: watch::Sender<InstanceReport>,
    stopped: watch::Receiver<bool>,
    history: History,
}

/// Why a run of the instance is over.
enum Over {
    /// It ended, or had to be ended.
    Ended(String),
    Stop,
}

impl Actor {
    async fn run(mut self) {
        loop {
            // Of this run: set when it is healthy.
            let ready = OnceLock::new();
            let reason = match self.run_once(&ready).await {
                Over::Stop => break,
                Over::Ended(reason) => reason,
            };
            self.report
                .send_modify(|report| report.last_end.clone_from(&reason));
            let restart = restart::after_exit(
                self.history,
                ready.get().map(Instant::elapsed).unwrap_or_default(),
            );
            let first_of_loop =
                restart.crash_looping && self.history.short_runs + 1 == restart::CRASH_LOOP;
            self.history = restart.history;
            let state = match restart.crash_looping {
                true => InstanceState::CrashLooping,
                false => InstanceState::Waiting,
            };
            self.set(state, None, &reason);
            if first_of_loop {
                let what = format!(
                    "instance {} ends again and again: {reason}",
                    self.parts.name
                );
                self.tell(Severity::Error, "instance-crash-looping", what);
            } else if !restart.crash_looping {
                let what = format!("instance {} ended: {reason}", self.parts.name);
                self.tell(Severity::Warning, "instance-exited", what);
            }
            tokio::select! {
                () = tokio::time::sleep(restart.after) => {}
                _ = self.stopped.wait_for(|stop| *stop) => break,
            }
            self.report.send_modify(|report| report.restarts += 1);
        }
        self.set(InstanceState::Stopped, None, "stopped");
    }

    /// One run, from start to end.
    async fn run_once(&mut self, ready: &OnceLock<Instant>) -> Over {
        let mut running = match self.start().await {
            Ok(running) => running,
            Err(e) => return Over::Ended(e),
        };
        self.set(
            InstanceState::Starting,
            Some(running.pid),
            "waiting for its health check",
        );
        let over = tokio::select! {
            exit = running.exited() => {
                let how = exit.map_or("it is gone".to_owned(), |exit| exit.to_string());
                return Over::Ended(how);
            }
            over = watch_health(&self.parts, &self.report, self.history, ready) => over,
            _ = self.stopped.wait_for(|stop| *stop) => Over::Stop,
        };
        // Out of service first, so that no request is lost; then it is told.
        let reason = match &over {
            Over::Stop => "asked to stop".to_owned(),
            Over::Ended(reason) => reason.clone(),
        };
        self.set(InstanceState::Draining, Some(running.pid), &reason);
        tokio::time::sleep(DRAIN).await;
        running.stop(self.parts.target.stop_timeout).await;
        over
    }

    async fn start(&self) -> Result<Running, String> {
        if let Listen::Socket(path) = &self.parts.listen {
            // Left by the instance before: it would refuse to bind.
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("{}: {e}", path.display()));
                }
                _ => {}
            }
        }
        let (program, args) = program(&self.parts.release, &self.parts.target.command);
        let launch = Launch {
            program,
            args,
            env: self.parts.env.clone(),
            ours: false,
            dir: Some(self.parts.release.root.clone()),
            sockets: Vec::new(),
            log: self.parts.log.clone(),
        };
        self.parts
            .spawner
            .spawn(launch)
            .await
            .map_err(|e| e.to_string())
    }

    fn set(&self, state: InstanceState, pid: Option<u32>, reason: &str) {
        self.report.send_modify(|report| {
            report.state = state;
            report.pid = pid;
            report.since_ms = now_ms();
            reason.clone_into(&mut report.reason);
        });
    }

    fn tell(&self, severity: Severity, kind: &str, what: String) {
        tell(&self.parts, severity, kind, what);
    }
}

/// Asks the instance until it has to be ended; the answer is why.
async fn watch_health(
    parts: &Parts,
    report: &watch::Sender<InstanceReport>,
    history: History,
    ready: &OnceLock<Instant>,
) -> Over {
    let started = Instant::now();
    let path = &parts.target.health_path;
    while let Err(reason) = health::ask(&parts.listen, path, CHECK).await {
        if started.elapsed() > parts.target.start_timeout {
            let seconds = parts.target.start_timeout.as_secs();
            return Over::Ended(format!("not healthy within {seconds} s: {reason}"));
        }
        // No change of state, so nobody is woken; but who looks sees why.
        report.send_if_modified(|report| {
            report.reason = reason;
            false
        });
        tokio::time::sleep(STARTING_INTERVAL).await;
    }
    ready.get_or_init(Instant::now);
    let took = started.elapsed().as_millis();
    change(
        report,
        InstanceState::Ready,
        &format!("healthy after {took} ms"),
    );
    if history.short_runs > 0 {
        let what = format!("instance {} is ready again", parts.name);
        tell(parts, Severity::Info, "instance-ready", what);
    }
    let mut failures = 0;
    loop {
        tokio::time::sleep(parts.target.health_interval).await;
        match health::ask(&parts.listen, path, CHECK).await {
            Ok(()) if failures >= UNHEALTHY_AFTER => {
                failures = 0;
                change(report, InstanceState::Ready, "healthy again");
                let what = format!("instance {} is healthy again", parts.name);
                tell(parts, Severity::Info, "instance-ready", what);
            }
            Ok(()) => failures = 0,
            Err(reason) => {
                failures += 1;
                if failures == UNHEALTHY_AFTER {
                    change(report, InstanceState::Unhealthy, &reason);
                    let what = format!("instance {} is not healthy: {reason}", parts.name);
                    tell(parts, Severity::Warning, "instance-unhealthy", what);
                }
                if failures >= RESTART_AFTER {
                    return Over::Ended(format!("unhealthy for too long: {reason}"));
                }
            }
        }
    }
}

fn change(report: &watch::Sender<InstanceReport>, state: InstanceState, reason: &str) {
    report.send_modify(|report| {
        report.state = state;
        report.since_ms = now_ms();
        reason.clone_into(&mut report.reason);
    });
}

fn tell(parts: &Parts, severity: Severity, kind: &str, what: String) {
    let event = Event {
        at_ms: now_ms(),
        severity,
        server: parts.server.clone(),
        subject: format!("instance {}", parts.name),
        kind: kind.to_owned(),
        what,
    };
    if parts.events.try_send(event).is_err() {
        tracing::warn!("an event was dropped: nobody takes them up");
    }
}
