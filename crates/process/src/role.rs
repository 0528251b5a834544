//! The child's half: what a role process does first, and its control loop.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::close;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::control::{self, ControlError};
use crate::exec;
use crate::message::{About, FromRole, ToRole};
use crate::sockets::UNIX;

/// Where the parent's control socket is.
pub const CONTROL: &str = "MAINSTAY_CONTROL";
/// What the parent calls this process, e.g. `app-1/web`.
pub const NAME: &str = "MAINSTAY_ROLE";

/// Messages waiting to be sent or handled; both sides are quick.
const QUEUE: usize = 64;

/// What a role process got from its parent.
#[derive(Debug)]
pub struct Inherited {
    pub name: String,
    pub control: PathBuf,
    sockets: Vec<(String, Inherit)>,
}

/// A listening socket that was handed over.
#[derive(Debug)]
pub enum Inherit {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Why a role cannot start.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    #[error("{0} is not set: roles are started by `mainstay up` or `mainstay agent`, not by hand")]
    Missing(&'static str),
    #[error("inherited sockets: {0}")]
    Sockets(io::Error),
    #[error("{0}")]
    Parent(io::Error),
}

/// Why a role process ends before its time.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    #[error(transparent)]
    Inherit(#[from] InheritError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

/// Open files for which there is room from the start: 512 KiB of the kernel's memory.
const DESCRIPTORS: u64 = 1 << 16;

/// Takes what was handed over. Call it once, before any thread is started.
pub fn inherit() -> Result<Inherited, InheritError> {
    exec::die_with_parent().map_err(InheritError::Parent)?;
    if let Err(e) = raise_descriptors() {
        tracing::warn!("the limit of open files stays as it is: {e}");
    }
    if let Err(e) = expand_table() {
        tracing::warn!("the table of open files grows while it is used: {e}");
    }
    let name = std::env::var(NAME).map_err(|_| InheritError::Missing(NAME))?;
    let control = std::env::var_os(CONTROL)
        .ok_or(InheritError::Missing(CONTROL))?
        .into();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut fds = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for (index, name) in names.split(':').filter(|name| !name.is_empty()).enumerate() {
        let socket = match name.strip_suffix(UNIX) {
            Some(name) => fds
                .take_unix_listener(index)
                .map(|socket| Some((name, Inherit::Unix(socket?)))),
            None => fds
                .take_tcp_listener(index)
                .map(|socket| Some((name, Inherit::Tcp(socket?)))),
        };
        if let Some((name, socket)) = socket.map_err(InheritError::Sockets)? {
            match &socket {
                Inherit::Tcp(socket) => socket.set_nonblocking(true),
                Inherit::Unix(socket) => socket.set_nonblocking(true),
            }
            .map_err(InheritError::Sockets)?;
            sockets.push((name.to_owned(), socket));
        }
    }
    Ok(Inherited {
        name,
        control,
        sockets,
    })
}

impl Inherited {
    /// The TCP sockets handed over under `name` (several listeners may share one).
    pub fn take(&mut self, name: &str) -> Vec<TcpListener> {
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sockets)
            .into_iter()
            .partition(|(of, socket)| of == name && matches!(socket, Inherit::Tcp(_)));
        self.sockets = left;
        let tcp = |(_, socket)| match socket {
            Inherit::Tcp(socket) => Some(socket),
            Inherit::Unix(_) => None,
        };
        taken.into_iter().filter_map(tcp).collect()
    }

    /// All that is left, with names.
    pub fn take_all(&mut self) -> Vec<(String, Inherit)> {
        std::mem::take(&mut self.sockets)
    }
}

/// Takes as many descriptors as the administrator allows: the soft limit is 1024 on most systems, for the
/// sake of programs that use select(2), and every proxied request needs two.
fn raise_descriptors() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

/// Makes the kernel's table of open files large at once. It doubles when it is full (at 64 for the first
/// time) and never shrinks; where threads share it, the one that opens a socket waits then until no core
/// can be using the old table (`synchronize_rcu`): 10 to 40 ms in which it serves nobody (measured).
fn expand_table() -> nix::Result<()> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let last = soft.saturating_sub(1).min(DESCRIPTORS - 1);
    let last = i32::try_from(last).unwrap_or(i32::MAX);
    let stdin = io::stdin();
    // Closed again at once: the room stays.
    let duplicate = fcntl(stdin.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(last))?;
    close(duplicate)
}

/// What the control connection brings to the role's own loop.
#[derive(Debug)]
pub enum Order<S> {
    /// Take this snapshot; answer with `Control::accepted` or `refused`.
    Snapshot { version: u64, value: Box<S> },
    /// Stop accepting, finish, then exit.
    Drain { deadline_ms: u64 },
    /// Answer with `Control::answer`.
    Ask { id: u64, about: About },
    /// The same, of a kind that only this role has.
    Question { id: u64, value: serde_json::Value },
    /// The parent is gone. Under `up` the kernel ends this process anyway.
    ParentGone,
}

/// The role's end of the control connection.
#[derive(Debug)]
pub struct Control<S> {
    orders: mpsc::Receiver<Order<S>>,
    out: mpsc::Sender<FromRole>,
}

/// Says things to the parent from anywhere in the role.
#[derive(Debug, Clone)]
pub struct Voice(mpsc::Sender<FromRole>);

impl Voice {
    /// An event for the site's log. Dropped when the parent does not keep up: events are for people.
    pub fn event(
        &self,
        severity: telemetry::Severity,
        subject: impl Into<String>,
        kind: &str,
        what: impl Into<String>,
    ) {
        let event = FromRole::Event {
            severity,
            subject: subject.into(),
            kind: kind.to_owned(),
            what: what.into(),
        };
        if self.0.try_send(event).is_err() {
            tracing::warn!("an event was dropped: the parent does not keep up");
        }
    }
}

impl<S: DeserializeOwned + Send + 'static> Control<S> {
    /// Calls the parent. Must run inside a tokio runtime that lives as long as the role.
    pub async fn call(inherited: &Inherited) -> Result<Self, ControlError> {
        let (mut receiver, mut sender) = control::call(&inherited.control, &inherited.name).await?;
        let (orders_in, orders) = mpsc::channel(QUEUE);
        let (out, mut out_queue) = mpsc::channel::<FromRole>(QUEUE);
        let refusals = out.clone();
        // Both tasks end with the connection or with this value, whichever is first.
        tokio::spawn(async move {
            while let Some(message) = out_queue.recv().await {
                if let Err(e) = sender.send(&message).await {
                    tracing::debug!("control: {e}");
                    return;
                }
            }
        });
        tokio::spawn(async move {
            loop {
                let order = match receiver.next::<ToRole>().await {
                    Ok(ToRole::Snapshot { version, value }) => {
                        match serde_json::from_value::<S>(value) {
                            Ok(value) => Order::Snapshot {
                                version,
                                value: Box::new(value),
                            },
                            Err(e) => {
                                let why = format!("the snapshot cannot be read: {e}");
                                if refusals
                                    .send(FromRole::Refused { version, why })
                                    .await
                                    .is_err()
                                {
                                    return;
                                }
                                continue;
                            }
                        }
                    }
                    Ok(ToRole::Drain { deadline_ms }) => Order::Drain { deadline_ms },
                    Ok(ToRole::Ask { id, about }) => Order::Ask { id, about },
                    Ok(ToRole::Question { id, value }) => Order::Question { id, value },
                    Err(e) => {
                        tracing::debug!("control: {e}");
                        Order::ParentGone
                    }
                };
                let last = matches!(order, Order::ParentGone);
                if orders_in.send(order).await.is_err() || last {
                    return;
                }
            }
        });
        Ok(Self { orders, out })
    }

    /// The next order; `ParentGone` for ever once the connection has ended. Safe to cancel.
    pub async fn next(&mut self) -> Order<S> {
        self.orders.recv().await.unwrap_or(Order::ParentGone)
    }

    pub fn voice(&self) -> Voice {
        Voice(self.out.clone())
    }

    pub async fn accepted(&self, version: u64) {
        self.say(FromRole::Accepted { version }).await;
    }

    pub async fn refused(&self, version: u64, why: String) {
        self.say(FromRole::Refused { version, why }).await;
    }

    /// "I serve now."
    pub async fn ready(&self) {
        self.say(FromRole::Ready).await;
    }

    pub async fn answer(&self, id: u64, text: String) {
        self.say(FromRole::Answer { id, text }).await;
    }

    async fn say(&self, message: FromRole) {
        if self.out.send(message).await.is_err() {
            tracing::debug!("control: the parent is gone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_open_all_that_is_allowed() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 256.min(hard), hard).unwrap();
        raise_descriptors().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((hard, hard)));
    }

    #[test]
    fn the_table_of_open_files_has_room_from_the_start() {
        expand_table().unwrap();
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mut lines = status.lines();
        let size = lines.find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        let size: u64 = size.trim().parse().unwrap();
        assert!(size >= soft.min(DESCRIPTORS), "{size} of {soft}");
    }
}
