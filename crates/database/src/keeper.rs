//! The actor that keeps one member.

use std::path::PathBuf;

use cluster::{Cluster, Secrets};
use process::spawn::Spawner;
use site::target::MemberTarget;
use telemetry::Event;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::report::MemberReport;

/// What a keeper needs from its caller.
#[derive(Debug)]
pub struct Parts {
    /// The site's name: a data directory of another site is refused.
    pub site: String,
    pub target: MemberTarget,
    /// Holds the data; made when it does not exist. Its parent must exist or be creatable: copies are
    /// made beside it, to be renamed into place.
    pub data_dir: PathBuf,
    /// Holds socket, pid file and option file; ours alone. Must be short: a socket's path has at most
    /// 107 bytes (unix(7)).
    pub runtime_dir: PathBuf,
    /// What mariadbd and its tools print.
    pub log: PathBuf,
    pub spawner: Spawner,
    pub cluster: Cluster,
    pub secrets: Secrets,
    /// Where changes are told. Bounded by the caller; when it is full an event is dropped, and said
    /// so in the log.
    pub events: mpsc::Sender<Event>,
}

/// A running keeper. Dropping it does not stop it: call `stop`.
#[derive(Debug)]
pub struct Keeper {
    stop: mpsc::Sender<()>,
    report: watch::Receiver<MemberReport>,
    task: JoinHandle<()>,
}

/// Starts the keeper of one member as a task of the current runtime.
pub fn start(parts: Parts) -> Keeper {
    let server = parts
        .target
        .members
        .iter()
        .find(|member| member.name == parts.target.name)
        .map_or_else(
            || site::name::ServerName::new(parts.target.name.as_str()),
            |member| member.server.clone(),
        );
    let (report_in, report) =
        watch::channel(MemberReport::starting(parts.target.name.clone(), server));
    let (stop, mut stopped) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        drop((parts, report_in));
        stopped.recv().await;
    });
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
        if self.stop.send(()).await.is_err() {
            tracing::debug!("the keeper has stopped before");
        }
        if let Err(e) = self.task.await {
            tracing::error!("the keeper failed: {e}");
        }
    }
}
