//! The actor: look, decide by `schedule`, do one thing, report.

use std::time::Duration;

use telemetry::Severity;
use telemetry::wall_clock::now_ms;
use tokio::sync::{mpsc, oneshot, watch};

use super::super::catalog::{Backup, Catalog};
use super::super::moment::Moment;
use super::super::record::{Kind, Manifest, Verification};
use super::super::report::Report;
use super::super::schedule::{self, Copyable, Due, Failures};
use super::super::shelf::{Shelf, ShelfError};
use super::super::take::{self, Bench};
use super::super::verify::{self, Trial};
use super::super::{lineage, retention, source};
use super::{
    Answer, FIRST_HISTORY, Order, Parts, admin, begin_history, history, member_record, tell,
};
use crate::engine::create;
use crate::engine::tool::Cancel;
use crate::record::MemberRecord;
use crate::report::MemberReport;

/// Between two looks at the destination, at most: somebody may have put something there.
const LOOK: Duration = Duration::from_secs(60);
/// At least: members come and go, and the first backup should not wait a minute for a replica.
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);

pub(super) struct Actor {
    parts: Parts,
    shelf: Shelf,
    catalog: Catalog,
    history: u64,
    failures: Failures,
    report: watch::Sender<Report>,
    cancel: Cancel,
}

impl Actor {
    pub(super) fn new(parts: Parts, report: watch::Sender<Report>, cancel: Cancel) -> Self {
        Self {
            shelf: Shelf::new(parts.destination.clone(), parts.site.clone()),
            catalog: Catalog::default(),
            history: FIRST_HISTORY,
            failures: Failures::default(),
            report,
            cancel,
            parts,
        }
    }

    pub(super) async fn run(
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
        let Some(inventory) = self.on_the_shelf(Shelf::load).await else {
            return false;
        };
        for unreadable in &inventory.unreadable {
            tracing::warn!("{unreadable}");
        }
        self.catalog = inventory.catalog;
        let known = match history(&self.parts.cluster).await {
            // A site made new, perhaps at a place where an older one's backups are.
            Ok(None) => begin_history(&self.parts.cluster, &self.catalog).await,
            Ok(Some(history)) => Ok(history),
            Err(why) => Err(why),
        };
        match known {
            Ok(history) => self.history = history,
            Err(why) => {
                self.failed(why);
                return false;
            }
        }
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
        for report in source::sources(&reports, self.parts.max_lag) {
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
