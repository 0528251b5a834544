//! The parts put together: events and states in, log, history, alerts and the live page out.

use std::io;
use std::path::PathBuf;

use telemetry::{Event, Secret};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::dashboard::{self, Page};
use crate::events::EventLog;
use crate::limits::Limits;
use crate::notify;
use crate::status::SiteStatus;
use crate::watcher::Watcher;

/// What the monitor needs.
#[derive(Debug)]
pub struct Parts {
    pub site: String,
    /// The site's state, replaced about once a second and at every change.
    pub status: watch::Receiver<SiteStatus>,
    /// What happened, from every part of the site.
    pub events: mpsc::Receiver<Event>,
    /// File of JSON lines.
    pub event_log: PathBuf,
    /// Where alerts are posted.
    pub webhooks: Vec<String>,
    /// The live page asks for it.
    pub token: Secret,
}

/// The running monitor.
#[derive(Debug)]
pub struct Monitor {
    pub events: EventLog,
    page: Page,
    task: JoinHandle<()>,
}

/// Starts it as tasks of the current runtime, and a thread for each webhook.
pub fn start(parts: Parts) -> io::Result<Monitor> {
    start_with(parts, &Limits::default())
}

/// As `start`, with bounds and waits of one's own.
pub fn start_with(parts: Parts, limits: &Limits) -> io::Result<Monitor> {
    let events = EventLog::open(&parts.event_log)?;
    let receivers = notify::start(&parts.site, parts.webhooks, limits.webhook, &events)?;
    let (watcher, seen) = Watcher::new(
        parts.status,
        parts.events,
        events.clone(),
        receivers,
        limits.clone(),
    );
    let page = Page::new(&parts.site, parts.token, seen, limits);
    let task = tokio::spawn(watcher.run());
    Ok(Monitor { events, page, task })
}

impl Monitor {
    /// The live page and what it reads, under `/`. Every path asks for the token.
    pub fn routes(&self) -> axum::Router {
        dashboard::routes(self.page.clone())
    }

    /// Takes up the last events, tells of them, and ends. The senders must be gone. Pages that are open
    /// see the end of their stream.
    pub async fn stop(self) {
        if let Err(e) = self.task.await {
            tracing::error!("the monitor failed: {e}");
        }
    }
}
