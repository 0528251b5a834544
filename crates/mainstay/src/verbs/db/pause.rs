//! `mainstay db pause`, `mainstay db resume`: maintenance of the database begins and ends.

use std::io::Write as _;
use std::time::{Duration, Instant};

use database::operate::message::Change;

use super::looking::Looking;
use crate::report::Failure;
use crate::site_file::Which;

/// Members hear of it at once, unless a statement keeps one of them for its two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(args: &Args, paused: bool) -> anyhow::Result<u8> {
    let mut looking = Looking::at(&args.which.state())?;
    // A site without a database says so before anything is written.
    looking.status()?;
    looking.ask(&Change::Pause(paused))?;
    let since = Instant::now();
    loop {
        let status = looking.status()?;
        let late = status.members.iter().find(|it| it.seen.paused != paused);
        let Some(late) = late else { break };
        if since.elapsed() >= PATIENCE || looking.pause() {
            let what = format!(
                "it is written down, but {} has not heard of it yet",
                late.name
            );
            return Err(Failure::new(what, "`mainstay db status` shows who has").into());
        }
    }
    let text = match paused {
        true => {
            "maintenance: nobody is elected, and no database server is started again.\n\
             What runs goes on. `mainstay db resume` ends it.\n"
        }
        false => {
            "maintenance is over: servers are started again, and another is elected when the primary is gone\n"
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}
