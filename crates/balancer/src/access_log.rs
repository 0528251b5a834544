//! The way of the access log: each thread collects lines and hands them over; a thread of its own writes
//! them, because a disk may take tens of milliseconds when it likes (a journal's commit). When it takes
//! too long the lines are dropped and counted: no request waits for its own line.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use telemetry::rotating_file::{FILE_LIMIT, RotatingFile};

/// Bytes of lines that are handed over before their time.
const BATCH: usize = 32 << 10;
/// Batches that may wait: 8 MiB, some 40,000 requests.
const BATCHES: usize = 256;
/// A disk that takes longer than this to take the rest keeps a process from its end no longer.
const LAST: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Batch {
    path: Arc<Path>,
    lines: String,
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    sender: SyncSender<Batch>,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    /// Batches handed over, and of these written or given up.
    handed: AtomicU64,
    done: AtomicU64,
    /// Lines dropped.
    lost: AtomicU64,
}

/// One thread's lines that are not yet handed over.
#[derive(Debug)]
pub(crate) struct Lines {
    path: Arc<Path>,
    text: String,
    sender: SyncSender<Batch>,
    tally: Arc<Tally>,
}

impl Writer {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (sender, batches) = sync_channel(BATCHES);
        let tally = Arc::<Tally>::default();
        let of_thread = Arc::clone(&tally);
        // It ends when nobody can hand over any more, or with the process: see `end`.
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write(&batches, &of_thread))?;
        Ok(Self { sender, tally })
    }

    /// For one more thread.
    pub(crate) fn lines(&self) -> Lines {
        Lines {
            path: Path::new("").into(),
            text: String::new(),
            sender: self.sender.clone(),
            tally: Arc::clone(&self.tally),
        }
    }

    /// Lines dropped so far.
    pub(crate) fn lost(&self) -> u64 {
        self.tally.lost.load(Relaxed)
    }

    /// Waits until all is written that was handed over, for a bounded time.
    pub(crate) async fn end(self) {
        let ended = async {
            while self.tally.done.load(Acquire) < self.tally.handed.load(Acquire) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(LAST, ended).await.is_err() {
            tracing::warn!("the end of the access log could not be written in time");
        }
    }
}

/// Until nobody can send any more.
fn write(batches: &Receiver<Batch>, tally: &Tally) {
    let mut file = RotatingFile::default();
    // A full disk is told when it begins, not for every batch.
    let mut failing = false;
    while let Ok(Batch { path, lines }) = batches.recv() {
        let written = file.append(&path, &lines, FILE_LIMIT);
        if let Err(e) = &written
            && !failing
        {
            tracing::error!("access log {}: {e}", path.display());
        }
        failing = written.is_err();
        tally.done.fetch_add(1, Release);
    }
}

impl Lines {
    /// Where they go from now on.
    pub(crate) fn follow(&mut self, path: &Path) {
        if *self.path != *path {
            self.hand_over();
            self.path = path.into();
        }
    }

    /// `add` appends whole lines.
    pub(crate) fn add(&mut self, add: impl FnOnce(&mut String)) {
        add(&mut self.text);
        if self.text.len() > BATCH {
            self.hand_over();
        }
    }

    /// Gives what has collected to the thread that writes; never waits.
    pub(crate) fn hand_over(&mut self) {
        if self.text.is_empty() {
            return;
        }
        let room = self.text.capacity();
        let batch = Batch {
            path: Arc::clone(&self.path),
            lines: std::mem::replace(&mut self.text, String::with_capacity(room)),
        };
        self.tally.handed.fetch_add(1, Release);
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
            self.sender.try_send(batch)
        {
            self.tally.done.fetch_add(1, Release);
            let count = batch.lines.lines().count();
            self.tally.lost.fetch_add(count as u64, Relaxed);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.hand_over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_is_written_at_the_end_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let writer = Writer::start().unwrap();
        let mut lines = writer.lines();
        lines.follow(&path);
        for number in 0..10_000 {
            lines.add(|text| text.push_str(&format!("{number}\n")));
        }
        drop(lines);
        assert_eq!(writer.lost(), 0);
        writer.end().await;
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.lines().map(str::parse).eq((0..10_000).map(Ok)));
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_lines_and_no_time() {
        let (sender, batches) = sync_channel(1);
        let mut lines = Lines {
            path: Path::new("x").into(),
            text: String::new(),
            sender,
            tally: Arc::default(),
        };
        for _ in 0..3 {
            lines.add(|text| text.push_str("one\ntwo\n"));
            lines.hand_over();
        }
        assert_eq!(lines.tally.lost.load(Relaxed), 4);
        assert_eq!(batches.recv().unwrap().lines, "one\ntwo\n");
    }
}
