//! The command that is run once per release, before its first instance.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use process::spawn::{Launch, Spawner};

use crate::keeper;
use crate::release::Release;

/// A migration that takes longer is stuck (or should not run while a site waits for it).
const LIMIT: Duration = Duration::from_secs(600);

/// Why it did not work. What it printed is in its log.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("the migration {command}: {how}")]
    Failed { command: String, how: String },
    #[error(transparent)]
    Start(#[from] process::spawn::SpawnError),
}

/// Runs `command` to its end.
pub async fn run(
    spawner: &Spawner,
    release: &Release,
    command: &[String],
    env: Vec<(String, OsString)>,
    log: PathBuf,
) -> Result<(), MigrateError> {
    let (program, args) = keeper::program(release, command);
    let dir = Some(release.root.clone());
    let launch = Launch {
        program,
        args,
        env,
        ours: false,
        dir,
        sockets: Vec::new(),
        log,
    };
    let mut running = spawner.spawn(launch).await?;
    let failed = |how: String| MigrateError::Failed {
        command: command.join(" "),
        how,
    };
    match tokio::time::timeout(LIMIT, running.exited()).await {
        Ok(Some(exit)) if exit.success() => Ok(()),
        Ok(exit) => Err(failed(
            exit.map_or("it is gone".to_owned(), |exit| exit.to_string()),
        )),
        Err(_) => {
            running.stop(Duration::from_secs(5)).await;
            Err(failed(format!("not done within {} s", LIMIT.as_secs())))
        }
    }
}
