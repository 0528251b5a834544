//! `mainstay logs [-f] [ROLE|SERVER]`: what the site's processes print, in the order of time.
//!
//! Each process has a file below `logs/SERVER/` whose lines begin with their time; here they are merged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::report::Failure;
use crate::site_file::Which;

/// How often the files are looked at with `-f`.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes read of a file's end: enough for the lines asked for, not the whole of a week.
const TAIL: u64 = 1 << 20;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only this role (`web`, `app`, `database`…), server, or process (`app-1/web`)
    of: Option<String>,
    /// Go on as lines come
    #[arg(short, long)]
    follow: bool,
    /// Lines from the end to begin with
    #[arg(short = 'n', long, default_value_t = 50)]
    lines: usize,
    /// The site file, or the directory it is in
    #[arg(long, default_value = "site.toml")]
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
    let root = which.state().join("logs");
    if !root.is_dir() {
        let what = format!("there are no logs in {}", root.display());
        let next = "`mainstay up` starts the site; --state names another directory";
        return Err(Failure::new(what, next).into());
    }
    let mut files = BTreeMap::new();
    find(&root, args.of.as_deref(), &mut files, true)?;
    if files.is_empty() && !args.follow {
        let of = args.of.as_deref().unwrap_or_default();
        let known = known(&root)?.join(", ");
        let what = format!("there are no logs of `{of}`");
        return Err(Failure::new(what, format!("one of: {known}")).into());
    }
    let lines = read_new(&mut files)?;
    let skip = lines.len().saturating_sub(args.lines);
    print(lines.get(skip..).unwrap_or_default())?;
    if !args.follow {
        return Ok(0);
    }
    // Until it is interrupted, or nobody reads.
    loop {
        std::thread::sleep(LOOK);
        find(&root, args.of.as_deref(), &mut files, false)?;
        print(&read_new(&mut files)?)?;
    }
}

/// An open log: its name and how much of it has been read.
#[derive(Debug)]
struct Log {
    label: String,
    read: u64,
}

/// Finds the files wanted that are not known yet. `from_end`: begin near the end of each.
fn find(
    root: &Path,
    of: Option<&str>,
    files: &mut BTreeMap<PathBuf, Log>,
    from_end: bool,
) -> io::Result<()> {
    for (path, label) in all(root)? {
        if of.is_none_or(|of| matches(&label, of)) && !files.contains_key(&path) {
            let length = path.metadata()?.len();
            let read = if from_end {
                length.saturating_sub(TAIL)
            } else {
                0
            };
            files.insert(path, Log { label, read });
        }
    }
    Ok(())
}

/// Every log file with its label: `app-1/web`, `app-1/app/2`.
fn all(root: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let server = entry.file_name().to_string_lossy().into_owned();
        for file in std::fs::read_dir(entry.path())? {
            let path = file?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            if let Some(process) = name.as_deref().and_then(|name| name.strip_suffix(".log")) {
                found.push((path, format!("{server}/{process}")));
            }
        }
    }
    Ok(found)
}

/// `app-1`, `app-1/web`, `web` and `app` (which has numbers) all name `app-1/web` or `app-1/app-2`.
fn matches(label: &str, of: &str) -> bool {
    let Some((server, process)) = label.split_once('/') else {
        return false;
    };
    let role = process.split('-').next().unwrap_or_default();
    of == label
        || of == server
        || of == process
        || of == role
        || process == "sql-router" && of == "sql"
}

fn known(root: &Path) -> io::Result<Vec<String>> {
    let mut labels: Vec<String> = all(root)?.into_iter().map(|(_, label)| label).collect();
    labels.sort();
    Ok(labels)
}

/// What has come since the last call, sorted by time.
fn read_new(files: &mut BTreeMap<PathBuf, Log>) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for (path, log) in files.iter_mut() {
        let mut file = match File::open(path) {
            Ok(file) => file,
            // Being rotated.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        let length = file.metadata()?.len();
        if length < log.read {
            log.read = 0;
        }
        file.seek(SeekFrom::Start(log.read))?;
        let mut reader = BufReader::new(file.take(length - log.read));
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            // A line without its end is still being written.
            if line.last() != Some(&b'\n') {
                break;
            }
            log.read += line.len() as u64;
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            let shown = match text.split_once(' ') {
                Some((at, text)) if at.ends_with('Z') => format!("{at} {} {text}", log.label),
                // The access log has its time inside.
                _ => format!("{} {text}", log.label),
            };
            lines.push(shown);
            line.clear();
        }
    }
    lines.sort();
    Ok(lines)
}

fn print(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_log_is_named_by_server_role_or_process() {
        for of in ["app-1", "app-1/app-2", "app-2", "app"] {
            assert!(matches("app-1/app-2", of), "{of}");
        }
        assert!(matches("db-1/database-db-1.2", "database"));
        assert!(!matches("app-1/web", "app"));
    }
}
