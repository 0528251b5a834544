//! `mainstay db backups`: what there is, read from where it is kept; the site need not run.

use std::io::Write as _;

use agent::restoring;

use crate::render;
use crate::report::Failure;
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
    let of = match super::of(&args.which)? {
        Ok(of) => of,
        Err(status) => return Ok(status),
    };
    let inventory = restoring::list(&of).map_err(|e| Failure::new(e.what, e.next))?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let value = render::backups::json(&inventory);
        serde_json::to_writer_pretty(&mut out, &value)?;
        writeln!(out)?;
    } else {
        let key = restoring::key_path(&of);
        out.write_all(render::backups::page(&inventory, key.as_deref()).as_bytes())?;
    }
    Ok(u8::from(!inventory.unreadable.is_empty()))
}
