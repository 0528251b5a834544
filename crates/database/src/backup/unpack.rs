//! Stored backups → a data directory, prepared: the full one unpacked, each incremental one applied.

use std::ffi::OsString;
use std::io::{self, PipeWriter};
use std::path::{Path, PathBuf};

use process::spawn::Streams;

use super::destination::Destination;
use super::key::Key;
use super::record::{Manifest, Stored};
use super::shelf::{self, ShelfError};
use super::take::Bench;
use crate::engine::create::{self, CreateError, beside, joined};
use crate::engine::programs::{Missing, Program};
use crate::engine::tool::{self, ToolError};

/// The data directory could not be made of the backups.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error("backup {id}: {source}")]
    Stored { id: String, source: ShelfError },
    #[error("backup {id}: {source}")]
    Tool { id: String, source: ToolError },
    #[error("making a pipe: {0}")]
    Pipe(io::Error),
    #[error("its thread failed: {0}")]
    Lost(String),
}

/// Fills `dir`, which must be missing. `chain`: the full one first.
pub(super) async fn unpack(
    bench: &mut Bench,
    destination: &Destination,
    key: Option<&Key>,
    chain: &[Manifest],
    dir: &Path,
) -> Result<(), UnpackError> {
    for (index, manifest) in chain.iter().enumerate() {
        if index == 0 {
            extract(bench, destination, key, manifest, dir).await?;
            prepare(bench, manifest, dir, None).await?;
            continue;
        }
        let increment = beside(dir, ".increment");
        extract(bench, destination, key, manifest, &increment).await?;
        prepare(bench, manifest, dir, Some(&increment)).await?;
        if let Err(e) = std::fs::remove_dir_all(&increment) {
            tracing::warn!("{}: {e}", increment.display());
        }
    }
    Ok(())
}

async fn extract(
    bench: &mut Bench,
    destination: &Destination,
    key: Option<&Key>,
    manifest: &Manifest,
    dir: &Path,
) -> Result<(), UnpackError> {
    let program = bench.programs.find(Program::Unpack)?;
    create::make_empty(dir)?;
    let (from, to) = super::seal::pipe().map_err(UnpackError::Pipe)?;
    let args: Vec<OsString> = vec!["-x".into(), "-C".into(), dir.into()];
    let streams = Streams {
        stdin: Some(from.into()),
        stdout: None,
    };
    let failed = |source| UnpackError::Tool {
        id: manifest.id.clone(),
        source,
    };
    let mut tool = tool::start(&bench.spawner, &program, args, &bench.log, streams)
        .await
        .map_err(failed)?;
    let fetching = fetched(destination, &manifest.data, key, to);
    tokio::pin!(fetching);
    let fetched = tokio::select! {
        fetched = &mut fetching => fetched,
        () = bench.cancel.told() => {
            // Its pipe breaks, and so the thread ends.
            tool.stop().await;
            (&mut fetching).await
        }
    };
    match fetched? {
        Ok(()) => tool.finish(&mut bench.cancel).await.map_err(failed),
        // It went first, and says why: a full disk, usually.
        Err(ShelfError::Object {
            why: super::seal::UnsealError::Write(e),
            ..
        }) if e.kind() == io::ErrorKind::BrokenPipe => {
            tool.finish(&mut bench.cancel).await.map_err(failed)
        }
        Err(source) => {
            tool.stop().await;
            Err(UnpackError::Stored {
                id: manifest.id.clone(),
                source,
            })
        }
    }
}

async fn fetched(
    destination: &Destination,
    stored: &Stored,
    key: Option<&Key>,
    mut to: PipeWriter,
) -> Result<Result<(), ShelfError>, UnpackError> {
    let (destination, stored, key) = (destination.clone(), stored.clone(), key.cloned());
    tokio::task::spawn_blocking(move || shelf::fetch(&destination, &stored, key.as_ref(), &mut to))
        .await
        .map_err(|e| UnpackError::Lost(e.to_string()))
}

async fn prepare(
    bench: &mut Bench,
    manifest: &Manifest,
    dir: &Path,
    increment: Option<&PathBuf>,
) -> Result<(), UnpackError> {
    let program = bench.programs.find(Program::Backup)?;
    let mut args: Vec<OsString> = vec![
        "--no-defaults".into(),
        "--prepare".into(),
        joined("--target-dir=", dir),
        joined("--tmpdir=", &bench.work_dir),
    ];
    args.extend(increment.map(|increment| joined("--incremental-dir=", increment)));
    tool::run(
        &bench.spawner,
        &program,
        args,
        &bench.log,
        &mut bench.cancel,
    )
    .await
    .map_err(|source| UnpackError::Tool {
        id: manifest.id.clone(),
        source,
    })
}
