//! The parent's half: start, watch, stop a child, and keep what it prints.
//!
//! One thread does all of it. `PR_SET_PDEATHSIG` fires when the *thread* that forked ends
//! (prctl(2)), so children must be forked by a thread that lives as long as the process; and a child
//! is signalled only by the thread that reaps it, so a reused process id is never hit.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::CommandFdExt;
use command_fds::FdMapping;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

use crate::exec;
use crate::log_file::{LINE_LIMIT, LogFile};
use crate::sockets::Named;

/// Requests waiting for the spawning thread.
const QUEUE: usize = 64;

/// Variables of the parent that every child gets.
const PASSED_ON: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "MAINSTAY_LOG",
    "RUST_BACKTRACE",
];

/// What to start.
#[derive(Debug)]
pub struct Launch {
    /// Looked up in `PATH` unless it has a `/`.
    pub program: OsString,
    pub args: Vec<OsString>,
    /// All the child gets, besides `PASSED_ON`: what the operator's shell holds (keys, tokens) is
    /// not the application's.
    pub env: Vec<(String, OsString)>,
    /// Our own binary takes `PARENT` itself; any other program goes through `mainstay run exec`.
    pub ours: bool,
    pub dir: Option<PathBuf>,
    /// Handed over as systemd does, from descriptor 3.
    pub sockets: Vec<Named>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// Where a child's bytes come from and go to, when they are no lines for a log: ends of pipes, files.
#[derive(Debug, Default)]
pub struct Streams {
    /// `None`: it reads nothing.
    pub stdin: Option<OwnedFd>,
    /// `None`: lines for the log, as its standard error.
    pub stdout: Option<OwnedFd>,
}

/// Why a child could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("cannot write its log: {0}")]
    Log(io::Error),
    #[error("this process is stopping")]
    Stopping,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(ExitStatus);

impl Exit {
    pub fn success(self) -> bool {
        self.0.success()
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::os::unix::process::ExitStatusExt;
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "exited with status {code}"),
            (None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
            (None, None) => f.write_str("ended"),
        }
    }
}

/// A started child. Dropping it does not stop the child.
#[derive(Debug)]
pub struct Running {
    pub pid: u32,
    orders: mpsc::Sender<Signal>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Running {
    /// Waits for the end. Safe to cancel and to ask again.
    pub async fn exited(&mut self) -> Option<Exit> {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => *exit,
            Err(_) => None,
        }
    }

    /// The end, if it has come.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Sends a signal to the child's whole process group.
    pub async fn signal(&self, signal: Signal) {
        if self.orders.send(signal).await.is_err() {
            tracing::debug!("process {} has ended already", self.pid);
        }
    }

    /// SIGTERM, then SIGKILL after `grace`; returns when it is gone.
    pub async fn stop(&mut self, grace: Duration) -> Option<Exit> {
        self.signal(Signal::SIGTERM).await;
        match tokio::time::timeout(grace, self.exited()).await {
            Ok(exit) => exit,
            Err(_) => {
                self.signal(Signal::SIGKILL).await;
                self.exited().await
            }
        }
    }
}

type Reply = oneshot::Sender<Result<Running, SpawnError>>;
type Request = (Launch, Streams, Reply);

/// The thread that forks.
#[derive(Debug, Clone)]
pub struct Spawner(mpsc::Sender<Request>);

impl Spawner {
    /// `die_with_us`: children are killed by the kernel when this process dies.
    /// `mark`: put into every child's environment (`leash::MARK`).
    pub fn start(die_with_us: bool, mark: String) -> io::Result<Self> {
        Self::start_with(Some(std::env::current_exe()?), die_with_us, mark)
    }

    /// `shim`: the binary that answers to `run exec`; without one, foreign programs are started
    /// directly and may outlive this process (tests of crates that have no such binary).
    pub fn start_with(shim: Option<PathBuf>, die_with_us: bool, mark: String) -> io::Result<Self> {
        let (requests, mut queue) = mpsc::channel::<Request>(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    while let Some((launch, streams, reply)) = queue.recv().await {
                        let started = start(launch, streams, shim.as_deref(), die_with_us, &mark);
                        if reply.send(started).is_err() {
                            tracing::debug!("nobody waits for the started process");
                        }
                    }
                    // The thread must outlive the children: it ends with the process.
                    std::future::pending::<()>().await;
                });
            })?;
        Ok(Self(requests))
    }

    pub async fn spawn(&self, launch: Launch) -> Result<Running, SpawnError> {
        self.spawn_between(launch, Streams::default()).await
    }

    /// A child that reads or writes a stream. Both ends given here are closed on this side.
    pub async fn spawn_between(
        &self,
        launch: Launch,
        streams: Streams,
    ) -> Result<Running, SpawnError> {
        let (reply, answer) = oneshot::channel();
        self.0
            .send((launch, streams, reply))
            .await
            .map_err(|_| SpawnError::Stopping)?;
        answer.await.map_err(|_| SpawnError::Stopping)?
    }
}

fn start(
    launch: Launch,
    streams: Streams,
    shim: Option<&Path>,
    die_with_us: bool,
    mark: &str,
) -> Result<Running, SpawnError> {
    let program = launch.program.to_string_lossy().into_owned();
    let mut log = LogFile::open(&launch.log).map_err(SpawnError::Log)?;
    let mut command = match shim.filter(|_| !launch.ours) {
        None => Command::new(&launch.program),
        Some(shim) => {
            let mut command = Command::new(shim);
            command.args(["run", "exec", "--"]).arg(&launch.program);
            command
        }
    };
    command
        .args(&launch.args)
        .env_clear()
        .envs(
            PASSED_ON
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .envs(launch.env)
        .env(crate::leash::MARK, mark)
        .stdin(streams.stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(streams.stdout.map_or_else(Stdio::piped, Stdio::from))
        .stderr(Stdio::piped())
        .process_group(0);
    if die_with_us {
        command.env(exec::PARENT, std::process::id().to_string());
    }
    if let Some(dir) = &launch.dir {
        command.current_dir(dir);
    }
    if !launch.sockets.is_empty() {
        let names: Vec<&str> = launch
            .sockets
            .iter()
            .map(|socket| socket.name.as_str())
            .collect();
        command
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"));
    }
    let mappings = launch
        .sockets
        .into_iter()
        .zip(3..)
        .map(|(socket, child_fd)| FdMapping {
            parent_fd: socket.fd,
            child_fd,
        })
        .collect();
    let failed = |source| SpawnError::Start {
        program: program.clone(),
        source,
    };
    command
        .fd_mappings(mappings)
        .map_err(|e| failed(io::Error::other(e.to_string())))?;
    let mut child = command.spawn().map_err(failed)?;
    let pid = child.id().unwrap_or_default();
    let (orders, order_queue) = mpsc::channel(8);
    let (exit_in, exit) = watch::channel(None);
    let (lines, mut line_queue) = mpsc::channel::<Vec<u8>>(256);
    read_lines(child.stdout.take(), &lines);
    read_lines(child.stderr.take(), &lines);
    drop(lines);
    tokio::spawn(async move {
        while let Some(line) = line_queue.recv().await {
            let at = format!("{:.3}", jiff::Timestamp::now());
            if let Err(e) = log.line(&at, &line) {
                tracing::error!("log: {e}");
            }
        }
    });
    tokio::spawn(watch_child(child, pid, order_queue, exit_in));
    Ok(Running { pid, orders, exit })
}

/// Owns the child: signals it and reaps it, in one place.
async fn watch_child(
    mut child: Child,
    pid: u32,
    mut orders: mpsc::Receiver<Signal>,
    exit: watch::Sender<Option<Exit>>,
) {
    let group = Pid::from_raw(pid.cast_signed());
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            Some(signal) = orders.recv() => {
                // A child that has not reached its own group yet is signalled alone.
                if killpg(group, signal).is_err()
                    && let Err(e) = kill(group, signal)
                {
                    tracing::debug!("signal {signal} to {pid}: {e}");
                }
            }
        }
    };
    // What it left in its group must not go on without it (an app server's workers, say).
    if let Err(e) = killpg(group, Signal::SIGKILL) {
        tracing::trace!("group {pid}: {e}");
    }
    match status {
        Ok(status) => {
            exit.send_replace(Some(Exit(status)));
        }
        Err(e) => tracing::error!("waiting for process {pid}: {e}"),
    }
}

/// One task per stream: lines, bounded in length, to the one writer of the log.
fn read_lines<R>(stream: Option<R>, lines: &mpsc::Sender<Vec<u8>>)
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let Some(stream) = stream else { return };
    let lines = lines.clone();
    tokio::spawn(async move {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            let (taken, complete) = match reader.fill_buf().await {
                Ok([]) | Err(_) => break,
                Ok(bytes) => {
                    let end = bytes.iter().position(|b| *b == b'\n');
                    let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
                    let room = LINE_LIMIT.saturating_sub(line.len());
                    line.extend_from_slice(part.get(..room).unwrap_or(part));
                    (end.map_or(bytes.len(), |end| end + 1), end.is_some())
                }
            };
            reader.consume(taken);
            if complete && lines.send(std::mem::take(&mut line)).await.is_err() {
                return;
            }
        }
        if !line.is_empty() && lines.send(line).await.is_err() {
            tracing::debug!("the last line of a process had nowhere to go");
        }
    });
}
