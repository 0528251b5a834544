//! `mainstay db backup`: a backup now, of a running site; `--verify` restores one on trial.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use database::backup::record::{Manifest, Verification};

use crate::admin_client;
use crate::render;
use crate::site_file::Which;

/// A backup of some terabytes.
const PATIENCE: Duration = Duration::from_secs(48 * 3600);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Only what has changed since the newest backup
    #[arg(long, conflicts_with = "verify")]
    incremental: bool,
    /// Take none: restore one on trial and check every table; the newest, or the one named
    #[arg(long, value_name = "BACKUP", num_args = 0..=1)]
    verify: Option<Option<String>>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(serde::Deserialize)]
struct Answer {
    backup: Manifest,
    verification: Option<Verification>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let wanted = match &args.verify {
        Some(id) => serde_json::json!({ "verify": id }),
        None if args.incremental => serde_json::json!("incremental"),
        None => serde_json::json!("full"),
    };
    let state = args.which.state();
    let answer = admin_client::post_json_for(&state, "/database/backup", &wanted, PATIENCE)?;
    let done: Answer =
        serde_json::from_slice(&answer).context("the site's answer cannot be read")?;
    let mut out = std::io::stdout().lock();
    if args.json {
        out.write_all(&answer)?;
        writeln!(out)?;
    } else {
        let text = match &done.verification {
            None => render::backups::taken(&done.backup),
            Some(verification) => render::backups::tried(verification),
        };
        out.write_all(text.as_bytes())?;
    }
    let failed = done.verification.is_some_and(|tried| !tried.is_good());
    Ok(u8::from(failed))
}
