//! `mainstay down [SITE]`: stops a running site and waits until it is gone.

use std::time::{Duration, Instant};

use crate::admin_client;
use crate::report::Failure;
use crate::site_file::Which;

/// Draining, the app's own stop timeout and the database's shutdown, one after the other.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let state = args.which.state();
    admin_client::post(&state, "/stop")?;
    // The directory of its sockets goes when everything else has gone.
    let runtime = agent::state_dir::runtime_of(&state);
    let since = Instant::now();
    while runtime.exists() {
        if since.elapsed() > PATIENCE {
            let what = format!("the site is still stopping after {} s", PATIENCE.as_secs());
            return Err(Failure::new(what, "`mainstay logs` shows what it waits for").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(0)
}
