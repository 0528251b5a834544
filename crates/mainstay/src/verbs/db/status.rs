//! `mainstay db status`: the cluster as a drawing, and the next step when something is wrong.
//!
//! Exit status: 0 all is well, 1 something is wrong, 3 nothing runs (what was written down last is shown).

use std::io::Write as _;

use agent::database_side;
use database::operate::advice;

use super::looking;
use crate::admin_client::NOT_RUNNING;
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
    let status = match looking::status(&args.which.state()) {
        Ok(status) => status,
        Err(e) if not_running(&e) => {
            let of = match super::of(&args.which)? {
                Ok(of) => of,
                Err(status) => return Ok(status),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let status = runtime.block_on(database_side::written_down(&of));
            status.map_err(|e| Failure::new(e.what, e.next))?
        }
        Err(e) => return Err(e),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &status)?;
        writeln!(out)?;
    } else {
        out.write_all(render::database::page(&status).as_bytes())?;
    }
    Ok(match status.running {
        false => NOT_RUNNING,
        true => u8::from(!advice::of(&status).is_empty()),
    })
}

fn not_running(e: &anyhow::Error) -> bool {
    e.downcast_ref::<Failure>()
        .is_some_and(|failure| failure.status == NOT_RUNNING)
}
