//! `mainstay db restore`: into a directory of its own, unless it is told otherwise; the live data is replaced
//! only with `--in-place` and the site's name typed.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use agent::restoring::{self, Options, Place};

use crate::render;
use crate::report::Failure;
use crate::site_file::Which;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Which one to begin with, as `mainstay db backups` calls it [default: the best for the moment]
    backup: Option<String>,
    /// As it was at this time (2026-11-25T03:15:00Z: all that was written before) or at this GTID (0-1-4711:
    /// with that transaction) [default: as the backup is; without one, all there is]
    #[arg(long, value_name = "TIME|GTID")]
    to: Option<String>,
    /// The new directory [default: one in the site's state directory]
    #[arg(long, value_name = "DIR", conflicts_with = "in_place")]
    into: Option<PathBuf>,
    /// In the place of the live data, which is kept aside. The site must be stopped
    #[arg(long)]
    in_place: bool,
    /// With `--in-place`: the site's name, instead of typing it when asked
    #[arg(long, value_name = "SITE", requires = "in_place")]
    confirm: Option<String>,
    /// The site file, or the directory it is in
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    site: PathBuf,
    /// Where the site's state is kept [default: `.mainstay` beside the site file]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let which = Which {
        site: args.site.clone(),
        state: args.state.clone(),
    };
    let of = match super::of(&which)? {
        Ok(of) => of,
        Err(status) => return Ok(status),
    };
    let place = match (args.in_place, &args.into) {
        (true, _) => {
            confirmed(args, &of.site.name)?;
            Place::Live
        }
        (false, into) => Place::Into(into.clone().map(std::path::absolute).transpose()?),
    };
    let options = Options {
        backup: args.backup.clone(),
        to: args.to.clone(),
        place,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(restoring::restore(&of, options));
    let done = done.map_err(|e| Failure::new(e.what, e.next))?;
    let text = render::backups::restored(&done);
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}

/// The name, typed by somebody who knows which site he is at.
fn confirmed(args: &Args, site: &str) -> anyhow::Result<()> {
    let typed = match &args.confirm {
        Some(name) => name.clone(),
        None if std::io::stdin().is_terminal() => {
            let mut err = std::io::stderr().lock();
            write!(
                err,
                "This puts restored data in the place of the live data of {site}; what is there now is \
                 kept aside.\nType the site's name to go on: "
            )?;
            err.flush()?;
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            line.trim().to_owned()
        }
        None => String::new(),
    };
    if typed == site {
        return Ok(());
    }
    let what = "the live data was not touched: the site's name was not confirmed";
    let next = format!("mainstay db restore --in-place --confirm {site}");
    Err(Failure::new(what, next).into())
}
