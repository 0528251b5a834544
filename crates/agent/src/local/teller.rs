//! Tells the steps of a start to whoever shows them.

use std::time::Instant;

use tokio::sync::mpsc;

use crate::progress::Progress;

/// The start so far.
#[derive(Debug)]
pub(crate) struct Teller {
    pub(crate) to: mpsc::Sender<Progress>,
    pub(crate) started: Instant,
}

impl Teller {
    pub(crate) async fn tell(&self, progress: Progress) {
        if self.to.send(progress).await.is_err() {
            tracing::debug!("nobody watches the start");
        }
    }

    pub(crate) async fn begin(&self, step: &str) -> Instant {
        self.tell(Progress::Begin {
            step: step.to_owned(),
        })
        .await;
        Instant::now()
    }

    pub(crate) async fn done(&self, step: &str, since: Instant, detail: impl Into<String>) {
        let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (step, detail) = (step.to_owned(), detail.into());
        self.tell(Progress::Done {
            step,
            detail,
            took_ms,
        })
        .await;
    }
}

/// Milliseconds since a start, for `Ready`.
pub(crate) fn ms_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
