//! What an open page is told, as Server-Sent Events: `status` (the whole site), `point` (one second of
//! the history), `alerts` (all of them), `event` (one of the log), `missed` (events were lost: read them
//! anew).
//!
//! The page pulls: one that is slow gets fewer statuses, and holds up nobody.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::response::sse;
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::{Instant, sleep_until};

use super::routes::Page;
use crate::limits::Limits;
use crate::watcher::Seen;

struct Listener {
    seen: Seen,
    events: broadcast::Receiver<telemetry::Event>,
    limits: Limits,
    told_status: Instant,
    ready: VecDeque<sse::Event>,
    /// The page's place among those that may be open.
    _permit: OwnedSemaphorePermit,
}

pub(super) fn stream(
    page: &Page,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<sse::Event, Infallible>> + use<> {
    let mut seen = page.seen.clone();
    let events = seen.log.subscribe();
    let status = named("status", &*seen.status.borrow_and_update());
    let alerts = named("alerts", &*seen.alerts.borrow_and_update());
    seen.history.mark_unchanged();
    let listener = Listener {
        seen,
        events,
        limits: page.limits.clone(),
        told_status: Instant::now(),
        ready: [status, alerts].into_iter().flatten().collect(),
        _permit: permit,
    };
    unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    })
}

impl Listener {
    /// The next thing to tell; none when the monitor is gone.
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.wait().await?;
        }
    }

    async fn wait(&mut self) -> Option<()> {
        let soonest = self.told_status + self.limits.live_at_most;
        let latest = self.told_status + self.limits.live_at_least;
        let Seen {
            status,
            history,
            alerts,
            ..
        } = &mut self.seen;
        let next = tokio::select! {
            changed = async { sleep_until(soonest).await; status.changed().await } => {
                changed.ok()?;
                self.told_status = Instant::now();
                named("status", &*status.borrow_and_update())
            }
            () = sleep_until(latest) => {
                self.told_status = Instant::now();
                named("status", &*status.borrow_and_update())
            }
            changed = history.changed() => {
                changed.ok()?;
                history.borrow_and_update().latest().and_then(|point| named("point", point))
            }
            changed = alerts.changed() => {
                changed.ok()?;
                named("alerts", &*alerts.borrow_and_update())
            }
            event = self.events.recv() => match event {
                Ok(event) => named("event", &event),
                Err(broadcast::error::RecvError::Lagged(count)) => named("missed", &count),
                Err(broadcast::error::RecvError::Closed) => return None,
            },
        };
        self.ready.extend(next);
        Some(())
    }
}

/// What cannot be written as JSON is left out; none of ours is such.
fn named(name: &str, value: &impl Serialize) -> Option<sse::Event> {
    match sse::Event::default().event(name).json_data(value) {
        Ok(event) => Some(event),
        Err(e) => {
            tracing::error!("{name} for the live page: {e}");
            None
        }
    }
}
