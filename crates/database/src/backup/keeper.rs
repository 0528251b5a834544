//! Keeping backups of a running site: the face. The actor behind it is `keeper/actor.rs`.
//!
//! One task looks, decides by `schedule`, and does one thing after the other: a backup, a trial restore,
//! the removal of what is not needed. Archiving logs is a task of its own (`archiving.rs`): it must not wait
//! for a backup that takes an hour.

mod actor;

use std::path::PathBuf;
use std::time::Duration;

use cluster::{Cluster, Secrets, keys};
use process::spawn::Spawner;
use site::target::MemberTarget;
use telemetry::wall_clock::now_ms;
use telemetry::{Event, Secret, Severity};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::actor::Actor;
use super::archiving;
use super::catalog::Catalog;
use super::destination::Destination;
use super::key::Key;
use super::record::{HistoryRecord, Kind, Manifest, Verification};
use super::report::Report;
use super::schedule::Schedule;
use crate::engine::accounts;
use crate::engine::programs::Programs;
use crate::engine::tool::Cancel;
use crate::record::{FORMAT, MemberRecord};
use crate::report::MemberReport;

/// Orders that wait.
const ORDERS: usize = 16;
/// The first history of a site.
const FIRST_HISTORY: u64 = 1;

/// What a keeper of backups needs from its caller.
#[derive(Debug)]
pub struct Parts {
    pub site: String,
    pub destination: Destination,
    pub key: Option<Key>,
    pub schedule: Schedule,
    /// How far back a restore must reach.
    pub keep: Duration,
    /// How often logs are closed and archived; `None`: not at all.
    pub archive: Option<Duration>,
    /// Replicas further behind are not copied.
    pub max_lag: Duration,
    pub members: Vec<watch::Receiver<MemberReport>>,
    /// Whose settings a server on trial gets.
    pub member: MemberTarget,
    pub programs: Programs,
    pub spawner: Spawner,
    pub cluster: Cluster,
    pub secrets: Secrets,
    pub events: mpsc::Sender<Event>,
    /// Short: sockets. Made when it is needed; ours alone.
    pub runtime_dir: PathBuf,
    /// On a disk with room for a copy of the data: trial restores are made here.
    pub work_dir: PathBuf,
    pub log: PathBuf,
}

/// What a person wants done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    Take(Kind),
    /// A trial restore; `None`: of the newest.
    Verify(Option<String>),
}

/// What came of it: the backup, and its trial if there was one.
pub type Answer = Result<(Manifest, Option<Verification>), String>;

/// Running. Dropping it does not stop it: call `stop`.
#[derive(Debug)]
pub struct Backups {
    stop: watch::Sender<bool>,
    report: watch::Receiver<Report>,
    orders: mpsc::Sender<(Order, oneshot::Sender<Answer>)>,
    tasks: Vec<JoinHandle<()>>,
}

/// Gives orders to a running keeper.
#[derive(Debug, Clone)]
pub struct Orders(mpsc::Sender<(Order, oneshot::Sender<Answer>)>);

impl Orders {
    pub async fn give(&self, order: Order) -> Answer {
        let (reply, answer) = oneshot::channel();
        let stopping = || "the site is being stopped".to_owned();
        let sent = self.0.send((order, reply)).await;
        sent.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

/// Starts the tasks in the current runtime.
pub fn start(parts: Parts) -> Backups {
    let (stop, told) = watch::channel(false);
    let (report_in, report) = watch::channel(Report::default());
    let (orders, incoming) = mpsc::channel(ORDERS);
    let cancel = Cancel::new(told);
    let archiving = archiving::Parts {
        site: parts.site.clone(),
        destination: parts.destination.clone(),
        key: parts.key.clone(),
        every: parts.archive,
        members: parts.members.clone(),
        cluster: parts.cluster.clone(),
        secrets: parts.secrets.clone(),
        events: parts.events.clone(),
        report: report_in.clone(),
    };
    let mut tasks = Vec::new();
    // Both owned by `Backups`, joined by `stop`.
    tasks.push(tokio::spawn(archiving::run(archiving, cancel.clone())));
    let actor = Actor::new(parts, report_in, cancel.clone());
    tasks.push(tokio::spawn(actor.run(incoming, cancel)));
    Backups {
        stop,
        report,
        orders,
        tasks,
    }
}

impl Backups {
    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.clone()
    }

    pub fn orders(&self) -> Orders {
        Orders(self.orders.clone())
    }

    /// Ends what is under way; what it has not finished never was.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(e) = task.await {
                tracing::error!("the keeper of backups failed: {e}");
            }
        }
    }
}

pub(super) fn tell(events: &mpsc::Sender<Event>, severity: Severity, kind: &str, what: String) {
    let event = Event {
        at_ms: now_ms(),
        severity,
        server: String::new(),
        subject: "backup".to_owned(),
        kind: kind.to_owned(),
        what,
    };
    if let Err(e) = events.try_send(event) {
        tracing::warn!("an event was dropped: {e}");
    }
}

pub(super) fn admin(secrets: &Secrets) -> Result<Secret, String> {
    let admin = secrets.get_or_create(accounts::ADMIN_SECRET);
    admin.map_err(|e| e.to_string())
}

/// How a member of this machine is reached.
pub(super) async fn member_record(
    cluster: &Cluster,
    report: &MemberReport,
) -> Option<MemberRecord> {
    let entry = cluster
        .get(&keys::database_member(&report.name))
        .await
        .ok()??;
    let record: MemberRecord = serde_json::from_str(&entry.value).ok()?;
    (record.format == FORMAT && record.socket.exists()).then_some(record)
}

/// Which course of the data this is; `None` before anybody has said so.
pub async fn history(cluster: &Cluster) -> Result<Option<u64>, String> {
    let entry = cluster.get(keys::DATABASE_HISTORY).await;
    let Some(entry) = entry.map_err(|e| e.to_string())? else {
        return Ok(None);
    };
    serde_json::from_str::<HistoryRecord>(&entry.value)
        .map(|record| Some(record.history))
        .map_err(|e| format!("{}: {e}", keys::DATABASE_HISTORY))
}

/// From now on it is another course than any at the destination: data made new, or a restored state in the
/// place of the live one.
pub async fn begin_history(cluster: &Cluster, catalog: &Catalog) -> Result<u64, String> {
    let before = cluster.get(keys::DATABASE_HISTORY).await;
    let before = before.map_err(|e| e.to_string())?;
    let latest = history(cluster).await?.max(catalog.last_history());
    let history = latest.map_or(FIRST_HISTORY, |latest| latest.saturating_add(1));
    let record = HistoryRecord {
        format: super::record::FORMAT,
        history,
    };
    let value = serde_json::to_string(&record).map_err(|e| e.to_string())?;
    let version = before.map(|entry| entry.version);
    let put = cluster.put_if(keys::DATABASE_HISTORY, version, value).await;
    put.map(|_| history).map_err(|e| e.to_string())
}
