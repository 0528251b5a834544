//! Finds and reads the site file, and says where its state is kept.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use site::Site;

use crate::render::findings;
use crate::verbs::check;

/// Which site, for every verb that works on a running one.
#[derive(clap::Args, Debug)]
pub(crate) struct Which {
    /// The site file, or the directory it is in
    #[arg(default_value = "site.toml")]
    pub(crate) site: PathBuf,
    /// Where the site's state is kept [default: `.mainstay` beside the site file]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

impl Which {
    pub(crate) fn file(&self) -> PathBuf {
        check::site_file(&self.site)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.state
            .clone()
            .unwrap_or_else(|| directory(&self.file()).join(".mainstay"))
    }
}

/// The directory of a file, never empty.
pub(crate) fn directory(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The site, or its problems written to standard error and the exit status.
pub(crate) fn load(file: &Path) -> anyhow::Result<Result<Site, u8>> {
    match check::read(file)? {
        Ok(site) => Ok(Ok(site)),
        Err(problems) => {
            let mut err = std::io::stderr().lock();
            let style = check::style(err.is_terminal());
            err.write_all(findings::problems(&problems, style).as_bytes())?;
            Ok(Err(2))
        }
    }
}
