//! Keeping one member: the face. The actor behind it is `keeper/actor.rs`.

mod actor;
mod announce;
mod process;
mod voice;

use std::path::PathBuf;
use std::time::Duration;

use ::process::spawn::Spawner;
use cluster::{Cluster, Secrets};
use site::name::ServerName;
use site::target::MemberTarget;
use telemetry::Event;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::engine::accounts;
use crate::engine::programs::Programs;
use crate::engine::tool::Cancel;
use crate::fence::Fence;
use crate::report::{MemberReport, MemberState};
use actor::Actor;

/// Between two tries to read the keeper's own password.
const SECRETS_AGAIN: Duration = Duration::from_secs(1);

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
    pub events: mpsc::Sender<Event>,
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
                let fence = match Fence::start(parts.target.name.as_str()) {
                    Ok(fence) => fence,
                    Err(e) => {
                        let e = format!("no thread for the fence: {e}");
                        report.send_modify(|report| report.reason = e);
                        return;
                    }
                };
                Actor::new(parts, admin, report, cancel.clone(), fence)
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
            () = tokio::time::sleep(SECRETS_AGAIN) => {}
            () = cancel.told() => return,
        }
    }
}
