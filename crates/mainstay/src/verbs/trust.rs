//! (being written)

#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<u8> {
    anyhow::bail!("not there yet")
}
