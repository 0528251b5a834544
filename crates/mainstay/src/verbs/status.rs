//! `mainstay status [SITE]`: every server, process, endpoint and database member.
//!
//! Exit status: 0 serving, 1 serving but not whole, or down; 3 not running.

use std::io::Write as _;

use monitor::status::{SiteStatus, State};

use crate::admin_client;
use crate::render;
use crate::site_file::Which;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let status: SiteStatus = admin_client::get(&args.which.state(), "/status")?;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &status)?;
        writeln!(out)?;
    } else {
        out.write_all(render::status::page(&status).as_bytes())?;
    }
    Ok(u8::from(status.state != State::Serving))
}
