//! The site's own pages for errors and maintenance, read once per snapshot.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::reason::Reason;

/// Bytes of one page: an answer that is made in memory, for everybody who meets the error.
const PAGE: u64 = 256 << 10;
/// Shown in place of `503.html` while a route is in maintenance.
const MAINTENANCE: &str = "maintenance";

#[derive(Debug, Default)]
pub(crate) struct Pages {
    by_status: HashMap<u16, String>,
    maintenance: Option<String>,
}

/// A page that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("error page {path}: {source}")]
pub(crate) struct PageError {
    path: PathBuf,
    source: io::Error,
}

impl Pages {
    /// `NNN.html` of every status of an error, and `maintenance.html`; those that are there.
    pub(crate) fn read(dir: Option<&Path>) -> Result<Self, PageError> {
        let Some(dir) = dir else {
            return Ok(Self::default());
        };
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PageError { path, source }
        };
        let mut pages = Self::default();
        for entry in std::fs::read_dir(dir).map_err(failed(dir))? {
            let path = entry.map_err(failed(dir))?.path();
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            let status = stem
                .parse::<u16>()
                .ok()
                .filter(|status| (400..=599).contains(status));
            if path.extension().is_none_or(|end| end != "html")
                || status.is_none() && stem != MAINTENANCE
            {
                continue;
            }
            let size = path.metadata().map_err(failed(&path))?.len();
            if size > PAGE {
                let text = format!("{size} bytes are more than {PAGE}");
                return Err(failed(&path)(io::Error::other(text)));
            }
            let page = std::fs::read_to_string(&path).map_err(failed(&path))?;
            match status {
                Some(status) => drop(pages.by_status.insert(status, page)),
                None => pages.maintenance = Some(page),
            }
        }
        Ok(pages)
    }

    pub(crate) fn find(&self, status: u16, reason: Reason) -> Option<&str> {
        let maintenance = self
            .maintenance
            .as_ref()
            .filter(|_| reason == Reason::Maintenance);
        maintenance
            .or_else(|| self.by_status.get(&status))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_status() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("503.html", "busy"),
            ("maintenance.html", "work"),
            ("x.txt", ""),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let pages = Pages::read(Some(dir.path())).unwrap();
        assert_eq!(pages.find(503, Reason::NoEndpoint), Some("busy"));
        assert_eq!(pages.find(503, Reason::Maintenance), Some("work"));
        assert_eq!(pages.find(404, Reason::NoRoute), None);
        std::fs::write(dir.path().join("500.html"), vec![b'x'; 300 << 10]).unwrap();
        let error = Pages::read(Some(dir.path())).unwrap_err();
        assert!(error.to_string().contains("500.html"), "{error}");
    }
}
