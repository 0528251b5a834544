//! Pure: what an instance is, and where it listens.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use site::target::InstanceListen;

/// One process of the app, as its keeper saw it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReport {
    /// `app-1/2`: its server and its number there, from 1.
    pub name: String,
    pub listen: Listen,
    pub state: InstanceState,
    pub pid: Option<u32>,
    /// Times it was started again since its keeper started.
    pub restarts: u32,
    /// Wall clock of the last change of state, milliseconds since 1970.
    pub since_ms: u64,
    /// Why it is in this state.
    pub reason: String,
    /// Why its last run ended; empty while the first one lasts.
    pub last_end: String,
}

/// Where an instance listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Socket(PathBuf),
    Port(SocketAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Started, not yet healthy.
    Starting,
    /// Healthy: takes requests.
    Ready,
    /// Runs, but does not answer its health check.
    Unhealthy,
    /// Takes no new requests; will be stopped.
    Draining,
    /// Ended; will be started again.
    Waiting,
    /// Ended again and again; will be started again, seldom.
    CrashLooping,
    Stopped,
}

impl InstanceState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Waiting => "waiting",
            Self::CrashLooping => "crash-looping",
            Self::Stopped => "stopped",
        }
    }
}

/// Where instance `number` (from 1) listens.
pub fn listen(how: &InstanceListen, address: IpAddr, runtime_dir: &Path, number: u16) -> Listen {
    match how {
        InstanceListen::Socket => Listen::Socket(runtime_dir.join(format!("app-{number}.sock"))),
        InstanceListen::Port { first } => {
            let port = first.saturating_add(number.saturating_sub(1));
            Listen::Port(SocketAddr::new(address, port))
        }
    }
}
