//! `mainstay db …`: the database by hand. One file per verb.

mod backup;
mod backups;
mod looking;
mod pause;
mod promote;
mod restart;
mod restore;
mod shell;
mod status;
mod switchover;
mod users;

use std::path::PathBuf;

use agent::restoring::Of;
use anyhow::Context as _;
use database::operate::advice::Trouble;

use crate::report::Failure;
use crate::site_file::{self, Which, directory};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Draw the cluster: who is primary, who follows, what is waited for, what to do
    Status(status::Args),
    /// Make another member primary, without losing a write or showing the app an error
    Switchover(switchover::Args),
    /// Begin maintenance: nobody is elected, no server is started again
    Pause(pause::Args),
    /// End maintenance
    Resume(pause::Args),
    /// Make a member primary although writes may be lost, when nobody can be without loss
    Promote(promote::Args),
    /// Restart the database servers, one after the other
    Restart(restart::Args),
    /// Open a MariaDB client at the primary, or at another member
    Shell(shell::Args),
    /// List the database's accounts; add one, remove one
    Users(users::Args),
    /// Take a backup now, or restore the newest one on trial
    Backup(backup::Args),
    /// List the backups there are, and what can be restored
    Backups(backups::Args),
    /// Make a data directory of backups and logs, as it was at a time or at a transaction
    Restore(restore::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        What::Status(args) => status::run(args),
        What::Switchover(args) => switchover::run(args),
        What::Pause(args) => pause::run(args, true),
        What::Resume(args) => pause::run(args, false),
        What::Promote(args) => promote::run(args),
        What::Restart(args) => restart::run(args),
        What::Shell(args) => shell::run(args),
        What::Users(args) => users::run(args),
        What::Backup(args) => backup::run(args),
        What::Backups(args) => backups::run(args),
        What::Restore(args) => restore::run(args),
    }
}

/// Which site, for verbs whose first argument is something else.
#[derive(clap::Args, Debug)]
struct Flags {
    /// The site file, or the directory it is in
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    site: PathBuf,
    /// Where the site's state is kept [default: `.mainstay` beside the site file]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Flags {
    fn state(&self) -> PathBuf {
        let which = Which {
            site: self.site.clone(),
            state: self.state.clone(),
        };
        which.state()
    }
}

/// What cannot be done, with what to do instead.
fn refused(trouble: Trouble) -> anyhow::Error {
    Failure::new(trouble.what, trouble.next).into()
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
