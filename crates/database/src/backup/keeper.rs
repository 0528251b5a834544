//! Keeping backups of a running site: the face, and the actor.
//!
//! One task looks, decides by `schedule`, and does one thing after the other: a backup, a trial restore,
//! the removal of what is not needed. Archiving logs is a task of its own (`archiving.rs`): it must not wait
//! for a backup that takes an hour.

use std::path::PathBuf;
use std::time::Duration;

use cluster::{Cluster, Secrets, keys};
use process::spawn::Spawner;
use site::target::MemberTarget;
use telemetry::wall_clock::now_ms;
use telemetry::{Event, Secret, Severity};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::archiving;
use super::catalog::{Backup, Catalog};
use super::destination::Destination;
use super::key::Key;
use super::moment::Moment;
use super::record::{HistoryRecord, Kind, Manifest, Verification};
use super::report::Report;
use super::retention;
use super::schedule::{self, Copyable, Due, Failures, Schedule};
use super::shelf::{Shelf, ShelfError};
use super::take::{self, Bench};
use super::verify::{self, Trial};
use super::{lineage, source};
use crate::engine::accounts;
use crate::engine::create;
use crate::engine::programs::Programs;
use crate::engine::tool::Cancel;
use crate::record::{FORMAT, MemberRecord};
use crate::report::MemberReport;

/// Between two looks at the destination, at most: somebody may have put something there.
const LOOK: Duration = Duration::from_secs(60);
/// At least: members come and go, and the first backup should not wait a minute for a replica.
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);
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
    let actor = Actor {
        shelf: Shelf::new(parts.destination.clone(), parts.site.clone()),
        catalog: Catalog::default(),
        history: FIRST_HISTORY,
        failures: Failures::default(),
        report: report_in,
        cancel: cancel.clone(),
        parts,
    };
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

struct Actor {
    parts: Parts,
    shelf: Shelf,
    catalog: Catalog,
    history: u64,
    failures: Failures,
    report: watch::Sender<Report>,
    cancel: Cancel,
}

impl Actor {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<(Order, oneshot::Sender<Answer>)>,
        mut cancel: Cancel,
    ) {
        let mut swept = false;
        loop {
            if !swept {
                swept = self.on_the_shelf(|shelf| shelf.sweep()).await.is_some();
            }
            let wait = self.look().await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Some((order, reply)) = orders.recv() => {
                    let answer = self.obey(order).await;
                    if reply.send(answer).is_err() {
                        tracing::debug!("nobody waits for the answer");
                    }
                }
                () = cancel.told() => return,
            }
        }
    }

    /// Looks, does what is due, says how long nothing will be.
    async fn look(&mut self) -> Duration {
        if !self.reload().await {
            return LOOK;
        }
        let members = self.reachable().await;
        if members.is_empty() {
            self.say(|report| report.reason = "no database member can be copied now".to_owned());
            return LOOK_AT_LEAST;
        }
        let copyable: Vec<Copyable> = members
            .iter()
            .map(|(report, record)| Copyable {
                member: report.name.clone(),
                lineage: lineage::read(&record.data_dir),
            })
            .collect();
        let now = Moment(now_ms());
        let (due, reason) = schedule::due(
            &self.catalog,
            self.history,
            &copyable,
            self.failures,
            now,
            &self.parts.schedule,
        );
        self.say(|report| report.reason = reason.to_string());
        let done = match due {
            Due::Nothing { until } => return until.since(now).clamp(LOOK_AT_LEAST, LOOK),
            Due::Full => self.take(Kind::Full).await.map(drop),
            Due::Incremental { .. } => self.take(Kind::Incremental).await.map(drop),
            Due::Verify { id } => self.verify(&id).await.map(drop),
        };
        if let Err(why) = done {
            self.failed(why);
        }
        LOOK_AT_LEAST
    }

    async fn obey(&mut self, order: Order) -> Answer {
        self.reload().await;
        match order {
            Order::Take(kind) => self.take(kind).await.map(|manifest| (manifest, None)),
            Order::Verify(id) => {
                let newest = || Some(self.catalog.backups.last()?.manifest.id.clone());
                let id = id.or_else(newest).ok_or("there is no backup yet")?;
                let verification = self.verify(&id).await?;
                let backup = self.catalog.backup(&id).ok_or("it was removed meanwhile")?;
                Ok((backup.manifest.clone(), Some(verification)))
            }
        }
    }

    /// Takes a backup; an incremental one only where it has a base.
    async fn take(&mut self, kind: Kind) -> Result<Manifest, String> {
        let members = self.reachable().await;
        let base = match kind {
            Kind::Full => None,
            Kind::Incremental => Some(self.base(&members)?),
        };
        let (member, source) = match &base {
            Some(base) => members.iter().find(|(m, _)| m.name == base.member),
            None => members.first(),
        }
        .ok_or("no database member can be copied now; `mainstay status` shows why")?;
        let order = take::Order {
            member: member.name.clone(),
            source: source.clone(),
            base,
            history: self.history,
        };
        let doing = format!("a {kind} backup of {}", order.member);
        self.say(|report| report.doing = Some(doing.clone()));
        let mut bench = self.bench().await?;
        let key = self.parts.key.clone();
        let destination = self.parts.destination.clone();
        let taken = take::take(&mut bench, &destination, key.as_ref(), order).await;
        self.say(|report| report.doing = None);
        let manifest = taken.map_err(|e| e.to_string())?;
        let record = manifest.clone();
        self.shelved(move |shelf| shelf.add_backup(&record)).await?;
        self.succeeded();
        let what = format!(
            "{}: {} of {} at {}, {} bytes stored",
            manifest.id, manifest.kind, manifest.member, manifest.position, manifest.data.bytes
        );
        self.tell(Severity::Info, "backup-taken", what);
        self.reload().await;
        self.remove_what_may_go().await;
        Ok(manifest)
    }

    /// The newest backup, if its data is still there to go on from.
    fn base(&self, members: &[(MemberReport, MemberRecord)]) -> Result<Manifest, String> {
        let usable = |backup: &&Backup| self.catalog.chain(&backup.manifest.id).is_some();
        let newest = self.catalog.of_history(self.history).rfind(usable);
        let newest = newest.ok_or("there is no backup yet to build on; take a full one")?;
        let same = |(member, record): &&(MemberReport, MemberRecord)| {
            let mark = lineage::read(&record.data_dir);
            member.name == newest.manifest.member && mark.as_ref() == Some(&newest.manifest.lineage)
        };
        match members.iter().find(same) {
            Some(_) => Ok(newest.manifest.clone()),
            None => Err(format!(
                "the data that {} was taken of is not there any more; take a full one",
                newest.manifest.id
            )),
        }
    }

    async fn verify(&mut self, id: &str) -> Result<Verification, String> {
        let chain = self.catalog.backup(id).map(|backup| {
            let chain = chain_whatever(&self.catalog, backup);
            (backup.clone(), chain)
        });
        let (backup, Some(chain)) = chain.ok_or_else(|| format!("there is no backup `{id}`"))?
        else {
            return Err(format!("a backup that `{id}` builds on is missing"));
        };
        let trial = Trial {
            chain,
            backup,
            destination: self.parts.destination.clone(),
            key: self.parts.key.clone(),
            member: self.parts.member.clone(),
        };
        self.say(|report| report.doing = Some(format!("a trial restore of {id}")));
        let mut bench = self.bench().await?;
        let dir = self.parts.work_dir.join("trial");
        let tried = verify::verify(&mut bench, &trial, &dir).await;
        self.say(|report| report.doing = None);
        let verification = tried.map_err(|e| e.to_string())?;
        let record = verification.clone();
        self.shelved(move |shelf| shelf.add_verification(&record))
            .await?;
        self.succeeded();
        match &verification.failed {
            None => {
                let what = format!("{id}: {} tables checked", verification.tables.len());
                self.tell(Severity::Info, "backup-verified", what);
            }
            Some(why) => self.tell(Severity::Error, "backup-bad", format!("{id}: {why}")),
        }
        self.reload().await;
        Ok(verification)
    }

    async fn remove_what_may_go(&mut self) {
        let now = Moment(now_ms());
        let removable = retention::removable(&self.catalog, self.parts.keep, now);
        let (backups, logs) = (removable.backups.len(), removable.logs.len());
        if backups + logs == 0 {
            return;
        }
        let removed = self
            .shelved(move |shelf| {
                // Logs first: a backup without them is still one.
                removable
                    .logs
                    .iter()
                    .try_for_each(|id| shelf.remove_log(id))?;
                // What builds on another goes before it.
                let mut backups = removable.backups.iter().rev();
                backups.try_for_each(|id| shelf.remove_backup(id))
            })
            .await;
        match removed {
            Ok(()) => {
                let what = format!("{backups} backups and {logs} logs are older than is kept");
                self.tell(Severity::Info, "backups-removed", what);
            }
            Err(why) => tracing::warn!("removing old backups: {why}"),
        }
        self.reload().await;
    }

    /// Whether the catalog is known.
    async fn reload(&mut self) -> bool {
        self.history = history(&self.parts.cluster).await;
        let Some(inventory) = self.on_the_shelf(Shelf::load).await else {
            return false;
        };
        for unreadable in &inventory.unreadable {
            tracing::warn!("{unreadable}");
        }
        self.catalog = inventory.catalog;
        let (catalog, history) = (&self.catalog, self.history);
        self.report.send_if_modified(|report| {
            let before = report.clone();
            report.counted(catalog, history);
            *report != before
        });
        true
    }

    /// A failure is counted, and told once.
    async fn on_the_shelf<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Shelf) -> Result<T, ShelfError> + Send + 'static,
    ) -> Option<T> {
        match self.shelved(work).await {
            Ok(done) => Some(done),
            Err(why) => {
                self.failed(why);
                None
            }
        }
    }

    /// On a thread that may block.
    async fn shelved<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Shelf) -> Result<T, ShelfError> + Send + 'static,
    ) -> Result<T, String> {
        let empty = Shelf::new(self.parts.destination.clone(), self.parts.site.clone());
        let mut shelf = std::mem::replace(&mut self.shelf, empty);
        let worked = tokio::task::spawn_blocking(move || {
            let done = work(&mut shelf);
            (shelf, done)
        });
        let (shelf, done) = worked.await.map_err(|e| e.to_string())?;
        self.shelf = shelf;
        done.map_err(|e| e.to_string())
    }

    /// Members that can be copied now, the best first.
    async fn reachable(&self) -> Vec<(MemberReport, MemberRecord)> {
        let reports: Vec<MemberReport> = self
            .parts
            .members
            .iter()
            .map(|report| report.borrow().clone())
            .collect();
        let mut reachable = Vec::new();
        for (report, _) in source::sources(&reports, self.parts.max_lag) {
            if let Some(record) = member_record(&self.parts.cluster, report).await {
                reachable.push((report.clone(), record));
            }
        }
        reachable
    }

    async fn bench(&self) -> Result<Bench, String> {
        let admin = admin(&self.parts.secrets)?;
        for dir in [&self.parts.runtime_dir, &self.parts.work_dir] {
            create::make_empty(dir).map_err(|e| e.to_string())?;
        }
        Ok(Bench {
            site: self.parts.site.clone(),
            programs: self.parts.programs.clone(),
            spawner: self.parts.spawner.clone(),
            log: self.parts.log.clone(),
            runtime_dir: self.parts.runtime_dir.clone(),
            work_dir: self.parts.work_dir.join("tool"),
            admin,
            cancel: self.cancel.clone(),
        })
    }

    fn succeeded(&mut self) {
        self.failures = Failures::default();
        self.say(|report| {
            report.failed = None;
            report.failures = 0;
        });
    }

    fn failed(&mut self, why: String) {
        self.failures.count = self.failures.count.saturating_add(1);
        self.failures.last = Moment(now_ms());
        let is_news = self.report.borrow().failed.as_ref() != Some(&why);
        let count = self.failures.count;
        self.say(|report| {
            report.failed = Some(why.clone());
            report.failures = count;
        });
        if is_news {
            self.tell(Severity::Error, "backup-failed", why);
        }
    }

    fn say(&self, change: impl FnOnce(&mut Report)) {
        self.report.send_modify(change);
    }

    fn tell(&self, severity: Severity, kind: &str, what: String) {
        tell(&self.parts.events, severity, kind, what);
    }
}

/// Also with bad ones in it: a trial may show that one is good after all.
fn chain_whatever(catalog: &Catalog, backup: &Backup) -> Option<Vec<Manifest>> {
    let untried = catalog.backups.iter().map(|backup| Backup {
        manifest: backup.manifest.clone(),
        verification: None,
    });
    let catalog = Catalog::new(untried.collect(), Vec::new());
    let chain = catalog.chain(&backup.manifest.id)?;
    Some(chain.iter().map(|backup| backup.manifest.clone()).collect())
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

/// Which course of the data this is; the first one when nobody has ever restored in place.
pub async fn history(cluster: &Cluster) -> u64 {
    let entry = cluster.get(keys::DATABASE_HISTORY).await.ok().flatten();
    entry
        .and_then(|entry| serde_json::from_str::<HistoryRecord>(&entry.value).ok())
        .map_or(FIRST_HISTORY, |record| record.history)
}
