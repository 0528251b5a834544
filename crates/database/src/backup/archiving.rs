//! The task that archives the primary's logs, as often as the site file says.

use std::time::Duration;

use cluster::{Cluster, Secrets};
use mysql::gtid::mariadb::Position;
use telemetry::{Event, Severity};
use tokio::sync::{mpsc, watch};

use super::archive::{Archiver, Primary};
use super::catalog::Catalog;
use super::destination::Destination;
use super::keeper::{admin, history, member_record, tell};
use super::key::Key;
use super::moment::Moment;
use super::record::LogRecord;
use super::report::Report;
use super::shelf::Shelf;
use crate::engine::admin::Admin;
use crate::engine::tool::Cancel;
use crate::report::{MemberReport, Role};

pub(super) struct Parts {
    pub(super) site: String,
    pub(super) destination: Destination,
    pub(super) key: Option<Key>,
    pub(super) every: Option<Duration>,
    pub(super) members: Vec<watch::Receiver<MemberReport>>,
    pub(super) cluster: Cluster,
    pub(super) secrets: Secrets,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) report: watch::Sender<Report>,
}

/// Until the order to stop.
pub(super) async fn run(parts: Parts, mut cancel: Cancel) {
    let Some(every) = parts.every else {
        return;
    };
    let mut archiver = Archiver::new(
        parts.site.clone(),
        parts.destination.clone(),
        parts.key.clone(),
    );
    let mut shelf = Shelf::new(parts.destination.clone(), parts.site.clone());
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = cancel.told() => return,
        }
        let (back, done) = tokio::select! {
            done = pass(&parts, &mut archiver, shelf) => done,
            () = cancel.told() => return,
        };
        shelf = back;
        said(&parts, done.err());
    }
}

/// Told when it begins and when it is over.
fn said(parts: &Parts, failed: Option<String>) {
    let before = parts.report.borrow().archive_failed.clone();
    match (&before, &failed) {
        (None, Some(why)) => tell(
            &parts.events,
            Severity::Error,
            "log-archive-failed",
            why.clone(),
        ),
        (Some(_), None) => {
            let what = "logs are archived again".to_owned();
            tell(&parts.events, Severity::Info, "log-archive-works", what);
        }
        _ => {}
    }
    parts
        .report
        .send_modify(|report| report.archive_failed = failed);
}

/// All closed logs that are not archived yet. The shelf comes back.
async fn pass(
    parts: &Parts,
    archiver: &mut Archiver,
    mut shelf: Shelf,
) -> (Shelf, Result<(), String>) {
    let Some((primary, mut admin)) = (match primary(parts).await {
        Ok(found) => found,
        Err(e) => return (shelf, Err(e)),
    }) else {
        // There is none now: there is nothing to archive, and others say so.
        return (shelf, Ok(()));
    };
    let history = match history(&parts.cluster).await {
        Ok(Some(history)) => history,
        // Nothing was backed up yet.
        Ok(None) => return (shelf, Ok(())),
        Err(e) => return (shelf, Err(e)),
    };
    let mut is_closed = false;
    loop {
        let loaded = blocking(shelf, Shelf::load).await;
        shelf = loaded.0;
        let catalog = match loaded.1 {
            Ok(inventory) => inventory.catalog,
            Err(e) => return (shelf, Err(e)),
        };
        if !is_closed && catalog.of_history(history).next().is_some() {
            if let Err(e) = archiver.close(&mut admin, &catalog, history).await {
                return (shelf, Err(e.to_string()));
            }
            is_closed = true;
        }
        let next = archiver.next(&mut admin, &primary, &catalog, history).await;
        let record = match next {
            Ok(Some(record)) => record,
            Ok(None) => return (shelf, Ok(())),
            Err(e) => return (shelf, Err(e.to_string())),
        };
        gap(parts, &catalog, &record);
        let closed = Moment::from_s(record.closed_s);
        let written = blocking(shelf, move |shelf| shelf.add_log(&record)).await;
        shelf = written.0;
        if let Err(e) = written.1 {
            return (shelf, Err(e));
        }
        parts.report.send_modify(|report| {
            report.archived = report.archived.max(Some(closed));
            report.logs = report.logs.saturating_add(1);
        });
    }
}

/// What was purged before it was archived is in no log: said, because nothing can be restored into it.
fn gap(parts: &Parts, catalog: &Catalog, next: &LogRecord) {
    let mut have = catalog.archived(next.history);
    for backup in catalog.of_history(next.history) {
        have.join(&backup.position());
    }
    let before: Position = next.before.parse().unwrap_or_default();
    if !have.contains(&before) {
        let what = format!(
            "the logs between {have} and {before} were gone before they could be archived: no time in \
             between can be restored; `mainstay db backup` makes what follows restorable"
        );
        tell(&parts.events, Severity::Error, "log-archive-gap", what);
    }
}

async fn primary(parts: &Parts) -> Result<Option<(Primary, Admin)>, String> {
    let reports = parts.members.iter().map(|report| report.borrow().clone());
    let Some(report) = reports
        .into_iter()
        .find(|report| report.role == Role::Primary && report.serves())
    else {
        return Ok(None);
    };
    let Some(record) = member_record(&parts.cluster, &report).await else {
        return Ok(None);
    };
    let admin = Admin::new(&record.socket, &admin(&parts.secrets)?);
    let member = report.name;
    Ok(Some((Primary { member, record }, admin)))
}

async fn blocking<T: Send + 'static>(
    mut shelf: Shelf,
    work: impl FnOnce(&mut Shelf) -> Result<T, super::shelf::ShelfError> + Send + 'static,
) -> (Shelf, Result<T, String>) {
    let again = Shelf::new(shelf.destination.clone(), shelf.site().to_owned());
    let worked = tokio::task::spawn_blocking(move || {
        let done = work(&mut shelf);
        (shelf, done)
    });
    match worked.await {
        Ok((shelf, done)) => (shelf, done.map_err(|e| e.to_string())),
        Err(e) => (again, Err(e.to_string())),
    }
}
