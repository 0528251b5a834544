//! `mainstay schema`: the JSON Schema of the site file, for editors.

use std::io::Write;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, site::schema())?;
    writeln!(out)?;
    Ok(0)
}
