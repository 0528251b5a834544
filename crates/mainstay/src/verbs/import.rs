//! `mainstay import haproxy FILE`: a site file from another balancer's configuration, and a list of what
//! could not be carried over.
//!
//! Exit status: 0 all of it is in the site file, 1 some is not, 2 the file cannot be read.

use std::io::{ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use site::import::{self, Imported};

use crate::render::import as list;
use crate::report::Failure;
use crate::verbs::check::style;

/// No configuration of a person is that long; something else was named by mistake.
const LARGEST_FILE: u64 = 4 << 20;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Whose configuration it is
    #[arg(value_name = "FORMAT")]
    format: Format,
    /// The configuration, like /etc/haproxy/haproxy.cfg
    file: PathBuf,
    /// Where to write the site file, never over one that is there; `-` for standard output
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    output: PathBuf,
    /// Only this frontend and what it leads to; may be said several times
    #[arg(long, value_name = "NAME")]
    frontend: Vec<String>,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Format {
    /// HAProxy's haproxy.cfg
    Haproxy,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let text = read(&args.file)?;
    let name = args.file.display().to_string();
    let Format::Haproxy = args.format;
    let imported = match import::haproxy(&text, &name, &args.frontend) {
        Ok(imported) => imported,
        Err(refusal) => {
            let what = format!("{name}:{}: {}", refusal.line, refusal.what);
            return Err(Failure::new(what, refusal.next).with_status(2).into());
        }
    };
    let status = u8::from(imported.lines_lost > 0);
    if args.output == Path::new("-") {
        std::io::stdout()
            .lock()
            .write_all(imported.text.as_bytes())?;
        let mut err = std::io::stderr().lock();
        let style = style(err.is_terminal());
        err.write_all(list::notes(&name, &imported, style).as_bytes())?;
        return Ok(status);
    }
    write_new(&args.output, &imported)?;
    let mut out = std::io::stdout().lock();
    let style = style(out.is_terminal());
    out.write_all(list::notes(&name, &imported, style).as_bytes())?;
    let shown = args.output.display().to_string();
    out.write_all(list::next(&shown, &imported).as_bytes())?;
    Ok(status)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let name = path.display().to_string();
    let refused =
        |what: String, next: &str| anyhow::Error::from(Failure::new(what, next).with_status(2));
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(refused(
                format!("there is no {name}"),
                "the path of the configuration",
            ));
        }
        Err(e) => {
            return Err(refused(
                format!("cannot open {name}: {e}"),
                "a file that can be read",
            ));
        }
    };
    let mut bytes = Vec::new();
    if let Err(e) = file.take(LARGEST_FILE + 1).read_to_end(&mut bytes) {
        return Err(refused(
            format!("cannot read {name}: {e}"),
            "a file that can be read",
        ));
    }
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(refused(
            format!("{name} is larger than 4 MiB"),
            "the configuration itself",
        ));
    }
    String::from_utf8(bytes).map_err(|e| {
        let before = e.as_bytes().iter().take(e.utf8_error().valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        refused(
            format!("{name}:{line}: this is no text in UTF-8"),
            "the file, saved as UTF-8",
        )
    })
}

/// Never over a file that is there, whoever made it meanwhile.
fn write_new(path: &Path, imported: &Imported) -> anyhow::Result<()> {
    let shown = path.display();
    let mut file = match std::fs::File::create_new(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let what = format!("{shown} is there already; it is left as it is");
            let next = "--output with another name, or --output - to look at it first";
            return Err(Failure::new(what, next).with_status(2).into());
        }
        Err(e) => return Err(e).with_context(|| format!("cannot write {shown}")),
    };
    file.write_all(imported.text.as_bytes())
        .with_context(|| format!("cannot write {shown}"))
}
