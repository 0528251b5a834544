//! The event log: what changed and why, kept in a file of JSON lines and, the latest, in memory.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use telemetry::Event;
use tokio::sync::broadcast;

/// Events kept in memory, for the page and for `status`.
const RECENT: usize = 500;
/// Bytes of the file; the one before it is kept as `events.jsonl.1`.
const FILE_LIMIT: u64 = 4 << 20;
/// Events a slow subscriber may be behind before it misses some.
const BEHIND: usize = 256;

/// Cheap to clone; all clones see the same.
#[derive(Debug, Clone)]
pub struct EventLog {
    inner: Arc<Mutex<Inner>>,
    live: broadcast::Sender<Event>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    written: u64,
    recent: VecDeque<Event>,
}

impl EventLog {
    /// Opens `path` and reads the latest events in it. A line that cannot be read (cut by a crash, of
    /// another version) is passed over.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut recent = VecDeque::new();
        if let Ok(file) = File::open(path) {
            for line in BufReader::new(file).lines() {
                if let Ok(event) = serde_json::from_str(&line?) {
                    push(&mut recent, event);
                }
            }
        }
        let file = append_to(path)?;
        let written = file.metadata()?.len();
        let inner = Inner {
            path: path.to_owned(),
            file,
            written,
            recent,
        };
        let (live, _) = broadcast::channel(BEHIND);
        Ok(Self {
            inner: Arc::new(Mutex::new(inner)),
            live,
        })
    }

    /// Writes the event down and tells it to those who listen. A log that cannot be written (a full
    /// disk) still keeps its events in memory.
    pub fn append(&self, event: Event) {
        if let Ok(mut inner) = self.inner.lock() {
            if let Err(e) = inner.write(&event) {
                tracing::error!("event log {}: {e}", inner.path.display());
            }
            push(&mut inner.recent, event.clone());
        }
        // Nobody listening is no error.
        if self.live.send(event).is_err() {
            tracing::trace!("nobody listens to events");
        }
    }

    /// The latest events, the newest last.
    pub fn recent(&self, count: usize) -> Vec<Event> {
        let Ok(inner) = self.inner.lock() else {
            return Vec::new();
        };
        let skip = inner.recent.len().saturating_sub(count);
        inner.recent.iter().skip(skip).cloned().collect()
    }

    /// Every event from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.live.subscribe()
    }
}

impl Inner {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        if self.written > FILE_LIMIT {
            let mut former = self.path.clone().into_os_string();
            former.push(".1");
            std::fs::rename(&self.path, former)?;
            self.file = append_to(&self.path)?;
            self.written = 0;
        }
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.written += line.len() as u64;
        self.file.write_all(&line)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(named)
}

fn push(recent: &mut VecDeque<Event>, event: Event) {
    if recent.len() == RECENT {
        recent.pop_front();
    }
    recent.push_back(event);
}

#[cfg(test)]
mod tests {
    use telemetry::Severity;

    use super::*;

    #[test]
    fn events_are_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let event = |what: &str| Event {
            at_ms: 1,
            severity: Severity::Info,
            server: "lb-1".into(),
            subject: "endpoint app-1".into(),
            kind: "endpoint-up".into(),
            what: what.into(),
        };
        let log = EventLog::open(&path).unwrap();
        log.append(event("one"));
        log.append(event("two"));
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{cut\n")
            .unwrap();
        let log = EventLog::open(&path).unwrap();
        log.append(event("three"));
        let whats: Vec<String> = log.recent(2).into_iter().map(|event| event.what).collect();
        assert_eq!(whats, ["two", "three"]);
    }
}
