//! `mainstay init [--preset NAME] [DIR]`: writes a commented site file to start from.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::report::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The design to start from.
    #[arg(long, value_name = "NAME", default_value = site::PRESETS[0].name, value_parser = presets())]
    preset: String,
    /// Where to write site.toml; made if it does not exist.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

fn presets() -> PossibleValuesParser {
    let values = site::PRESETS
        .iter()
        .map(|preset| PossibleValue::new(preset.name).help(preset.about));
    PossibleValuesParser::new(values)
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let Some(preset) = site::preset(&args.preset) else {
        bail!("there is no preset `{}`", args.preset);
    };
    let path = args.dir.join("site.toml");
    write_new(&args.dir, &path, preset.text)?;
    let shown = shown(&path);
    let app = self::shown(&args.dir.join("app"));
    let mut out = std::io::stdout().lock();
    writeln!(out, "Wrote {shown}: {}.", preset.about)?;
    writeln!(out)?;
    writeln!(out, "Next:")?;
    writeln!(
        out,
        "  1. Put your application into {app}/, and say in [app] what starts it."
    )?;
    let steps = [
        ("check", "lists what is weak in the design"),
        ("up", "runs it on this machine"),
    ];
    let file = if shown == "site.toml" {
        String::new()
    } else {
        format!(" {shown}")
    };
    for (number, (verb, what)) in (2..).zip(steps) {
        let command = format!("mainstay {verb}{file}");
        let width = "mainstay check".len() + file.len();
        writeln!(out, "  {number}. {command:<width$}   {what}")?;
    }
    Ok(0)
}

/// Never over a file that is there, whoever made it meanwhile.
fn write_new(dir: &Path, path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut file = match std::fs::File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let what = format!("{} is there already; it is left as it is", shown(path));
            let next = "another directory, or `mainstay check` to look at that file";
            return Err(Failure::new(what, next).into());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {}", shown(path))),
    };
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", shown(path)))
}

/// `./site.toml` is just `site.toml`.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}
