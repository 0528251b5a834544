//! Running a program to its end, and finding in what it printed why it failed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::spawn::{Launch, Running, SpawnError, Spawner, Streams};
use tokio::sync::watch;

/// From SIGTERM to SIGKILL for a tool whose work is thrown away anyway.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// Bytes read from the end of a log to find the reason of a failure.
const TAIL: u64 = 16 << 10;
/// How long the last lines of a process may take into its log.
const LAST_LINES: Duration = Duration::from_millis(300);

/// Turns true when the keeper is told to stop. Everything that waits, waits for this too.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<bool>);

impl Cancel {
    pub fn new(told: watch::Receiver<bool>) -> Self {
        Self(told)
    }

    /// Returns when it is time to stop. Safe to cancel.
    pub async fn told(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            tracing::trace!("the keeper is gone");
        }
    }
}

/// The tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("{program} {how}: {why}")]
    Failed {
        program: String,
        how: String,
        why: String,
    },
    #[error("the keeper is stopping")]
    Cancelled,
}

/// Runs `program` until it ends or the keeper is told to stop.
pub async fn run(
    spawner: &Spawner,
    program: &Path,
    args: Vec<OsString>,
    log: &Path,
    cancel: &mut Cancel,
) -> Result<(), ToolError> {
    start(spawner, program, args, log, Streams::default())
        .await?
        .finish(cancel)
        .await
}

/// A tool at work.
#[derive(Debug)]
pub struct Tool {
    running: Running,
    program: String,
    mark: LogMark,
}

/// Starts `program` at the end of a stream, or between two.
pub async fn start(
    spawner: &Spawner,
    program: &Path,
    args: Vec<OsString>,
    log: &Path,
    streams: Streams,
) -> Result<Tool, ToolError> {
    let mark = LogMark::at_end(log);
    let launch = Launch {
        program: program.into(),
        args,
        env: Vec::new(),
        ours: false,
        dir: None,
        sockets: Vec::new(),
        log: log.to_owned(),
    };
    Ok(Tool {
        running: spawner.spawn_between(launch, streams).await?,
        program: program.display().to_string(),
        mark,
    })
}

impl Tool {
    /// Waits for its end; stops it when the keeper is told to stop.
    pub async fn finish(mut self, cancel: &mut Cancel) -> Result<(), ToolError> {
        let exit = tokio::select! {
            exit = self.running.exited() => exit,
            () = cancel.told() => {
                self.stop().await;
                return Err(ToolError::Cancelled);
            }
        };
        match exit {
            Some(exit) if exit.success() => Ok(()),
            exit => Err(ToolError::Failed {
                program: self.program,
                how: exit.map_or_else(|| "ended".to_owned(), |exit| exit.to_string()),
                why: self.mark.why().await,
            }),
        }
    }

    /// Its work is of no use any more.
    pub async fn stop(&mut self) {
        self.running.stop(STOP_GRACE).await;
    }

    pub fn pid(&self) -> u32 {
        self.running.pid
    }
}

/// Where a log ended before something began to write to it.
#[derive(Debug, Clone)]
pub struct LogMark {
    log: PathBuf,
    length: u64,
}

impl LogMark {
    pub fn at_end(log: &Path) -> Self {
        Self {
            log: log.to_owned(),
            length: std::fs::metadata(log).map_or(0, |metadata| metadata.len()),
        }
    }

    /// The errors printed since the mark, or the last line; with the log's path.
    pub async fn why(&self) -> String {
        let mut found = None;
        for _ in 0..6 {
            found = self.since().as_deref().and_then(reason);
            if found.as_ref().is_some_and(|reason| reason.is_error) {
                break;
            }
            // What a process printed last comes into the log a moment after it ended.
            tokio::time::sleep(LAST_LINES / 6).await;
        }
        let log = self.log.display();
        match found {
            Some(reason) => format!("{} (log: {log})", reason.text),
            None => format!("it printed nothing (log: {log})"),
        }
    }

    fn since(&self) -> Option<String> {
        let mut file = File::open(&self.log).ok()?;
        let length = file.metadata().ok()?.len();
        // A rotated log begins anew.
        let from = if length < self.length { 0 } else { self.length };
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL))))
            .ok()?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Reason {
    text: String,
    is_error: bool,
}

/// The last two lines that are errors, without times and levels; else the last line.
fn reason(printed: &str) -> Option<Reason> {
    let errors: Vec<&str> = printed
        .lines()
        .filter_map(|line| line.split_once("[ERROR]").or(line.split_once("ERROR: ")))
        .map(|(_, text)| text.trim())
        // mariadbd's farewell, not a reason.
        .filter(|text| !text.is_empty() && *text != "Aborting")
        .collect();
    if let [.., last] = errors.as_slice() {
        let text = match errors.as_slice() {
            [.., before, last] if before != last => format!("{before}; {last}"),
            _ => (*last).to_owned(),
        };
        return Some(Reason {
            text,
            is_error: true,
        });
    }
    let last = printed.lines().rfind(|line| !line.trim().is_empty())?;
    Some(Reason {
        text: last.trim().to_owned(),
        is_error: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_errors() {
        let printed = "2026 a 0 [Note] x\n2026 a 0 [ERROR] InnoDB: cannot lock ./ibdata1\n\
                       2026 a 0 [ERROR] Plugin 'InnoDB' failed\n2026 a 0 [ERROR] Aborting\n";
        assert_eq!(
            reason(printed).unwrap().text,
            "InnoDB: cannot lock ./ibdata1; Plugin 'InnoDB' failed"
        );
        assert_eq!(reason("one\ntwo\n\n").unwrap().text, "two");
        assert_eq!(reason("\n"), None);
    }
}
