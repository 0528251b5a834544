//! `mainstay check [FILE]`: is the site file valid, and what is weak in the design?
//!
//! Exit status: 0 clean, 1 findings, 2 invalid.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use site::{Problem, Site};

use crate::render::findings::{self, Style};
use crate::report::Failure;

/// No site file is that long; something else was named by mistake.
const LARGEST_FILE: u64 = 1 << 20;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The site file, or the directory it is in.
    #[arg(default_value = "site.toml")]
    file: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let path = site_file(&args.file);
    let file = path.display().to_string();
    let read = read(&path)?;
    let mut out = std::io::stdout().lock();
    let style = style(out.is_terminal());
    let (text, json, status) = match &read {
        Err(problems) => {
            let json = findings::invalid_as_json(&file, problems);
            (findings::problems(problems, style), json, 2)
        }
        Ok(site) => {
            let found = site::audit(site);
            let json = findings::valid_as_json(&file, site, &found);
            (
                findings::findings(site, &found, style),
                json,
                u8::from(!found.is_empty()),
            )
        }
    };
    if args.json {
        serde_json::to_writer_pretty(&mut out, &json)?;
        writeln!(out)?;
    } else {
        write!(out, "{text}")?;
    }
    Ok(status)
}

/// A directory stands for the site file in it.
pub(crate) fn site_file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("site.toml")
    } else {
        path.to_owned()
    }
}

/// The site, or what is wrong with it. An error only when the file cannot be read at all.
pub(crate) fn read(path: &Path) -> anyhow::Result<Result<Site, Vec<Problem>>> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let next = "mainstay init, which writes one to begin with";
            return Err(Failure::new(format!("there is no {name}"), next)
                .with_status(2)
                .into());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot open {name}")),
    };
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > LARGEST_FILE {
        let what = format!("{name} is larger than 1 MiB, so it is no site file");
        return Err(Failure::new(what, "name the site file")
            .with_status(2)
            .into());
    }
    Ok(site::text_of(&bytes, &name).and_then(|text| site::load(text, &name)))
}

/// Colour for people at a terminal who have not asked for none (<https://no-color.org>).
pub(crate) fn style(is_terminal: bool) -> Style {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if is_terminal && !refused && !dumb {
        Style::Colour
    } else {
        Style::Plain
    }
}
