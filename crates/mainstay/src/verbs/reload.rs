//! `mainstay reload [SITE]`: takes the changed site file into force, between two requests, as far as it is
//! about the balancers. What else has changed is named, and nothing is done.

use std::io::Write as _;

use anyhow::Context as _;

use crate::admin_client;
use crate::site_file::{self, Which};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let file = args.which.file();
    // Problems are shown with their lines before the site hears of it.
    if let Err(status) = site_file::load(&file)? {
        return Ok(status);
    }
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let done = admin_client::post_text(&args.which.state(), "/reload", text)?;
    lines(&done)
}

/// What was done, a line each.
pub(crate) fn lines(answer: &[u8]) -> anyhow::Result<u8> {
    let done: Vec<String> =
        serde_json::from_slice(answer).context("the site's answer cannot be read")?;
    let mut out = std::io::stdout().lock();
    for line in done {
        writeln!(out, "{line}")?;
    }
    Ok(0)
}
