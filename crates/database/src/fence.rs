//! The fence: SIGKILL of mariadbd when its lease is over, by a thread that waits for nothing else.
//!
//! SIGKILL and nothing milder. Measured on MariaDB 10.11: `SET GLOBAL read_only = 1` hangs while a commit
//! waits for an acknowledgement; KILL of that connection, or SIGTERM, commits it. The keeper's own
//! runtime may be held up by anything, so this does not run on it. It ends with the keeper.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The moment, shared with who looks at it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deadline(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    until: Option<Instant>,
    server: Option<Server>,
    over: bool,
}

/// A process, told from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Server {
    pid: u32,
    /// Clock ticks from boot to its start (proc_pid_stat(5), field 22).
    started: Option<u64>,
}

impl Deadline {
    /// There is time left.
    pub(crate) fn allows(&self) -> bool {
        self.0
            .inner()
            .until
            .is_some_and(|until| Instant::now() < until)
    }

    pub(crate) fn set(&self, until: Option<Instant>) {
        self.0.inner().until = until;
        self.0.changed.notify_all();
    }
}

impl Shared {
    /// Every change is one store; a panic elsewhere leaves nothing half-changed.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Fence {
    pub(crate) deadline: Deadline,
    thread: Option<JoinHandle<()>>,
}

impl Fence {
    pub(crate) fn start(member: &str) -> std::io::Result<Self> {
        let deadline = Deadline::default();
        let shared = Arc::clone(&deadline.0);
        let name = member.to_owned();
        let thread = std::thread::Builder::new()
            .name(format!("fence-{member}"))
            .spawn(move || watch(&shared, &name))?;
        Ok(Self {
            deadline,
            thread: Some(thread),
        })
    }

    /// The server it would kill; `None`: there is none.
    pub(crate) fn guard(&self, pid: Option<u32>) {
        let server = pid.map(|pid| Server {
            pid,
            started: started(pid),
        });
        self.deadline.0.inner().server = server;
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.deadline.0.inner().over = true;
        self.deadline.0.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the fence failed");
        }
    }
}

fn watch(shared: &Shared, member: &str) {
    let mut inner = shared.inner();
    while !inner.over {
        let Some(until) = inner.until else {
            inner = shared
                .changed
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            (inner, _) = shared
                .changed
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        inner.until = None;
        if let Some(server) = inner.server.take() {
            end(server, member);
        }
    }
}

fn end(server: Server, member: &str) {
    if started(server.pid) != server.started {
        return;
    }
    tracing::error!(
        "{member}: its lease is over: mariadbd {} is killed",
        server.pid
    );
    if let Err(e) = kill(Pid::from_raw(server.pid.cast_signed()), Signal::SIGKILL) {
        tracing::error!("{member}: killing {}: {e}", server.pid);
    }
}

/// `None`: it is gone.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, which may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::time::Duration;

    #[test]
    fn a_process_whose_lease_is_over_is_killed_in_time_and_not_before() {
        let fence = Fence::start("db-1").unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        fence.guard(Some(child.id()));
        let began = Instant::now();
        fence.deadline.set(Some(began + Duration::from_millis(50)));
        fence.deadline.set(Some(began + Duration::from_millis(200)));
        assert!(fence.deadline.allows());
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9));
        assert!(began.elapsed() >= Duration::from_millis(200));
        assert!(!fence.deadline.allows());
    }

    #[test]
    fn it_ends_with_its_keeper_and_kills_nobody() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let fence = Fence::start("db-1").unwrap();
        fence.guard(Some(child.id()));
        fence
            .deadline
            .set(Some(Instant::now() + Duration::from_secs(60)));
        drop(fence);
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
