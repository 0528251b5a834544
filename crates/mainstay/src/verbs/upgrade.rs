//! `mainstay upgrade [SITE]`: puts processes of this binary in the place of the balancers that serve. They
//! take over the listening sockets; the old ones finish what they began. Nobody is refused.

use anyhow::Context as _;

use crate::admin_client;
use crate::site_file::Which;
use crate::verbs::reload;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let program = std::env::current_exe().context("our own binary")?;
    let body = serde_json::json!({ "program": program });
    let done = admin_client::post_json(&args.which.state(), "/upgrade", &body)?;
    reload::lines(&done)
}
