//! Looking again and again at a running site's database, and asking for changes of it; Ctrl-C ends a wait.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use database::operate::message::Change;
use database::operate::status::ClusterStatus;
use database::record::RequestRecord;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin_client;

/// Between two looks: how long writes were held is known to so much.
const PAUSE: Duration = Duration::from_millis(25);

/// The site, and who may interrupt the wait.
pub(super) struct Looking {
    state: PathBuf,
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Looking {
    /// From here on Ctrl-C does not end this process by itself.
    pub(super) fn at(state: &Path) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let inside = runtime.enter();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        drop(inside);
        Ok(Self {
            state: state.to_owned(),
            runtime,
            interrupt,
            terminate,
        })
    }

    pub(super) fn status(&self) -> anyhow::Result<ClusterStatus> {
        status(&self.state)
    }

    pub(super) fn ask(&self, change: &Change) -> anyhow::Result<RequestRecord> {
        ask(&self.state, change)
    }

    /// Until the next look. Whether somebody wants it to end.
    pub(super) fn pause(&mut self) -> bool {
        let Self {
            interrupt,
            terminate,
            ..
        } = self;
        self.runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => true,
                _ = terminate.recv() => true,
                () = tokio::time::sleep(PAUSE) => false,
            }
        })
    }
}

/// How the database stands now.
pub(super) fn status(state: &Path) -> anyhow::Result<ClusterStatus> {
    admin_client::get(state, "/database")
}

/// Writes down what is asked for; all that is asked for now.
pub(super) fn ask(state: &Path, change: &Change) -> anyhow::Result<RequestRecord> {
    let answer = admin_client::post_json(state, "/database/request", change)?;
    serde_json::from_slice(&answer).context("the site's answer cannot be read")
}
