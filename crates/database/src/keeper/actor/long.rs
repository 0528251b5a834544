//! Actions that take longer than a round: tasks of their own, which report back as an event.

use std::path::Path;

use process::spawn::Running;
use site::name::MemberName;
use site::target::MemberAddress;
use telemetry::Severity;
use tokio::task::JoinHandle;

use super::Actor;
use crate::engine::mariadb::{Recovery, STOP_GRACE, StartError};
use crate::failover::rejoin;
use crate::failover::view::{Engine, InFlight, Long, Store, Time, View};
use crate::rebuild::{self, Extra, Job, Outcome as Rebuilding, RebuildError, Salvaged};
use crate::tell::news;

/// Rebuilds remembered; the limit on their frequency looks at three.
const REBUILDS_KEPT: usize = 8;

/// How a long action ended.
#[derive(Debug)]
pub(super) enum Done {
    Start(Recovery, Result<Running, StartError>),
    Rebuild(Box<Rebuilding>),
    /// Its task panicked.
    Lost(String),
}

impl Actor {
    pub(super) fn begin_start(&mut self, view: &View, now: Time) {
        let server = self.server.clone();
        let mut cancel = self.cancel.clone();
        let recovery = match rejoin::is_succeeded(view, self.me()) && !self.cannot_forget {
            true => Recovery::Forget,
            false => Recovery::Commit,
        };
        // Joined by `done` or `shut_down`.
        let task = tokio::spawn(async move {
            let started = server.start(recovery, &mut cancel).await;
            Done::Start(recovery, started)
        });
        self.begin(Long::Start, now, task);
    }

    pub(super) fn begin_restart(&mut self, now: Time) {
        let what = "its server is ended and started again, as asked for";
        self.voice
            .send(news(Severity::Info, "member-restarted", what));
        let running = self.process.take();
        let server = self.server.clone();
        let mut cancel = self.cancel.clone();
        // Joined by `done` or `shut_down`.
        let task = tokio::spawn(async move {
            if let Some(mut running) = running {
                running.stop(STOP_GRACE).await;
            }
            let started = server.start(Recovery::Commit, &mut cancel).await;
            Done::Start(Recovery::Commit, started)
        });
        self.begin(Long::Start, now, task);
    }

    pub(super) fn begin_rebuild(
        &mut self,
        view: &View,
        source: &MemberAddress,
        why: &str,
        now: Time,
    ) {
        let Some(identity) = self.identity.clone() else {
            return;
        };
        let extra = extra(view, self.me());
        if let Some(extra) = &extra {
            let what = format!(
                "it has transactions that the primary does not have (up to {}); before its data is \
                 replaced they are written into a file of SQL statements",
                extra.last
            );
            self.voice
                .send(news(Severity::Warning, "replica-extra-transactions", what));
        }
        tracing::info!("{}: rebuilding: {why}", self.me());
        self.rebuilds.push(now);
        if self.rebuilds.len() > REBUILDS_KEPT {
            self.rebuilds.remove(0);
        }
        let job = Job {
            server: self.server.clone(),
            identity,
            source: self.others.get(&source.name).cloned(),
            machine: self.machine.clone(),
            extra,
            cancel: self.cancel.clone(),
        };
        let running = self.process.take();
        // Joined by `done` or `shut_down`.
        let task =
            tokio::spawn(
                async move { Done::Rebuild(Box::new(rebuild::rebuild(job, running).await)) },
            );
        self.begin(Long::Rebuild, now, task);
    }

    fn begin(&mut self, what: Long, now: Time, task: JoinHandle<Done>) {
        self.long = Some((InFlight { what, since: now }, task));
    }

    pub(super) fn rebuilt(&mut self, outcome: Rebuilding, now: Time) {
        self.process.give_back(outcome.running, now);
        match outcome.result {
            Ok(rebuilt) => {
                let what = format!(
                    "its data was replaced by a copy of the primary's at {} ({}); the old data is \
                     in {}",
                    rebuilt.position,
                    rebuilt.with,
                    rebuilt.old_data.display()
                );
                self.voice
                    .send(news(Severity::Info, "replica-rebuilt", what));
                if let Some(extra) = rebuilt.extra {
                    self.salvaged(extra, &rebuilt.old_data);
                }
            }
            Err(RebuildError::Cancelled) => {}
            Err(e) => {
                let what = format!("its data could not be replaced: {e}");
                self.voice
                    .send(news(Severity::Error, "replica-rebuild-failed", what));
            }
        }
        self.read_identity();
    }

    fn salvaged(&mut self, extra: Result<Salvaged, String>, old_data: &Path) {
        let (severity, what) = match extra {
            Ok(Salvaged { file, transactions }) => (
                Severity::Warning,
                format!(
                    "{transactions} transactions that only it had are in {}; read them, and apply what the \
                     site still wants to the primary",
                    file.display()
                ),
            ),
            Err(why) => (
                Severity::Error,
                format!(
                    "the transactions that only it had could not be read from its binary log ({why}); \
                     its old data stays in {} until you remove it",
                    old_data.display()
                ),
            ),
        };
        self.voice.send(news(severity, "replica-extra-saved", what));
    }
}

/// What `me` has and the primary has not.
fn extra(view: &View, me: &MemberName) -> Option<Extra> {
    let (Engine::Answers(status), Store::Names(state)) = (&view.engine, &view.store) else {
        return None;
    };
    let began = rejoin::began_after(state, me);
    Some(Extra {
        last: rejoin::extra(status, began.as_ref())?,
        after: rejoin::common(status, began.as_ref()),
    })
}

/// Waits for ever when nothing is under way.
pub(super) async fn done(long: &mut Option<(InFlight, JoinHandle<Done>)>) -> Done {
    let Some((_, task)) = long else {
        return std::future::pending().await;
    };
    let done = task.await;
    *long = None;
    done.unwrap_or_else(|e| Done::Lost(format!("the keeper's own task failed: {e}")))
}
