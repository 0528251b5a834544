//! `mainstay db backup|backups|restore`: the database by hand. One file per verb.

mod backup;
mod backups;
mod restore;

use agent::restoring::Of;
use anyhow::Context as _;

use crate::site_file::{self, Which, directory};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Take a backup now, or restore the newest one on trial
    Backup(backup::Args),
    /// List the backups there are, and what can be restored
    Backups(backups::Args),
    /// Make a data directory of backups and logs, as it was at a time or at a transaction
    Restore(restore::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        What::Backup(args) => backup::run(args),
        What::Backups(args) => backups::run(args),
        What::Restore(args) => restore::run(args),
    }
}

/// The site as the file has it, whether it runs or not; or the exit status.
fn of(which: &Which) -> anyhow::Result<Result<Of, u8>> {
    let file = which.file();
    let site = match site_file::load(&file)? {
        Ok(site) => site,
        Err(status) => return Ok(Err(status)),
    };
    let source_root = directory(&file)
        .canonicalize()
        .with_context(|| file.display().to_string())?;
    let state = which.state();
    // Absolute: servers are started in other directories.
    let state = std::path::absolute(&state).with_context(|| state.display().to_string())?;
    Ok(Ok(Of {
        site,
        source_root,
        state,
    }))
}
