//! Time limits without a timer per request.
//!
//! A timer registered and dropped twice per request costs about 0.5 µs of 16. Here each connection has
//! one entry with the time it must be done by; setting it is one store. A task per thread looks at all
//! entries every `TICK` and wakes those that are late. The price: a limit is kept to within `TICK`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How often late connections are looked for: fine enough for limits of seconds, 10 wake-ups a second
/// while anything is open.
const TICK: Duration = Duration::from_millis(100);

/// How long an idle connection is kept open when draining: long enough for a request that a client has
/// sent while it did not know (HAProxy's manual, `option idle-close-on-response`, has the same trouble).
const GRACE_MS: u64 = 1000;

/// The limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late;

/// All entries of one thread.
#[derive(Debug)]
pub struct Watch {
    start: Instant,
    /// Milliseconds since `start`, updated every tick.
    now: Cell<u64>,
    entries: RefCell<Vec<Rc<Entry>>>,
    /// Since when, in milliseconds since `start`.
    draining: Cell<Option<u64>>,
    work: Notify,
}

#[derive(Debug, Default)]
struct Entry {
    index: Cell<usize>,
    /// `u64::MAX`: no limit.
    by: Cell<u64>,
    /// Waiting for the next request: closed at once when draining.
    idle: Cell<bool>,
    late: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// One connection's limit. Dropping it ends the watch.
#[derive(Debug)]
pub struct Deadline {
    watch: Rc<Watch>,
    entry: Rc<Entry>,
}

impl Watch {
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            start: Instant::now(),
            now: Cell::new(0),
            entries: RefCell::default(),
            draining: Cell::new(None),
            work: Notify::new(),
        })
    }

    /// A new entry without a limit.
    pub fn deadline(self: &Rc<Self>) -> Deadline {
        let mut entries = self.entries.borrow_mut();
        let entry = Rc::new(Entry {
            by: Cell::new(u64::MAX),
            ..Entry::default()
        });
        entry.index.set(entries.len());
        entries.push(Rc::clone(&entry));
        if entries.len() == 1 {
            // The clock stood still while nothing was open: a limit counted from then would be over.
            self.now.set(elapsed_ms(self.start));
            self.work.notify_one();
        }
        Deadline {
            watch: Rc::clone(self),
            entry,
        }
    }

    /// Connections open.
    pub fn open(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Milliseconds since this watch began, a tick old at most.
    pub fn now_ms(&self) -> u64 {
        self.now.get()
    }

    /// From now on an idle connection is late after a moment: a request that is on its way to us is still
    /// answered, and its client told that it is the last one.
    pub fn drain(&self) {
        self.draining.set(Some(elapsed_ms(self.start)));
        self.work.notify_one();
    }

    pub fn draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Runs for ever; one per thread.
    pub async fn run(self: Rc<Self>) {
        loop {
            if self.entries.borrow().is_empty() {
                self.work.notified().await;
            }
            self.now.set(elapsed_ms(self.start));
            self.wake_late();
            tokio::time::sleep(TICK).await;
        }
    }

    fn wake_late(&self) {
        let now = self.now.get();
        let over = |since: u64| now >= since.saturating_add(GRACE_MS);
        let graceful = self.draining.get().is_some_and(over);
        for entry in self.entries.borrow().iter() {
            let closing = graceful && entry.idle.get();
            if (closing || now >= entry.by.get())
                && !entry.late.replace(true)
                && let Some(waker) = entry.waker.borrow_mut().take()
            {
                waker.wake();
            }
        }
    }
}

fn elapsed_ms(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Deadline {
    /// Starts a limit of `within` from now, replacing the former.
    pub fn set(&self, within: Duration) {
        self.entry.idle.set(false);
        self.arm(within);
    }

    /// As `set`, for a connection that waits for its next request.
    pub fn set_idle(&self, within: Duration) {
        self.entry.idle.set(true);
        self.arm(within);
    }

    fn arm(&self, within: Duration) {
        // One tick more: the thread's clock is up to a tick old, and a limit must not come early.
        let within = u64::try_from((within + TICK).as_millis()).unwrap_or(u64::MAX);
        self.entry
            .by
            .set(self.watch.now.get().saturating_add(within));
        self.entry.late.set(false);
    }

    /// Whether its thread is to stop.
    pub fn draining(&self) -> bool {
        self.watch.draining()
    }

    /// To be asked by a future that is about to return `Pending`: it is woken when late.
    pub fn poll_late(&self, cx: &mut Context<'_>) -> bool {
        if self.entry.late.get() {
            return true;
        }
        let mut waker = self.entry.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
        false
    }

    /// The future's value, or `Late` when the limit set passes first.
    pub async fn watch<T>(&self, future: impl Future<Output = T>) -> Result<T, Late> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.poll_late(cx) => Poll::Ready(Err(Late)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut entries = self.watch.entries.borrow_mut();
        let index = self.entry.index.get();
        if index < entries.len() {
            drop(entries.swap_remove(index));
        }
        if let Some(moved) = entries.get(index) {
            moved.index.set(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_thread<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let local = tokio::task::LocalSet::new();
                local.run_until(test).await
            })
    }

    #[test]
    fn a_future_that_never_comes_is_late() {
        on_a_thread(async {
            let watch = Watch::new();
            tokio::task::spawn_local(Rc::clone(&watch).run());
            let deadline = watch.deadline();
            deadline.set(Duration::from_millis(1));
            assert_eq!(
                deadline.watch(std::future::pending::<()>()).await,
                Err(Late)
            );
            deadline.set(Duration::from_secs(60));
            assert_eq!(deadline.watch(async { 1 }).await, Ok(1));
        });
    }

    #[test]
    fn a_limit_after_a_quiet_time_is_not_late_at_once() {
        on_a_thread(async {
            let watch = Watch::new();
            tokio::task::spawn_local(Rc::clone(&watch).run());
            // Nothing is open for longer than the limit that follows.
            tokio::time::sleep(4 * TICK).await;
            let deadline = watch.deadline();
            deadline.set(2 * TICK);
            let began = Instant::now();
            let late = deadline.watch(std::future::pending::<()>()).await;
            assert_eq!(late, Err(Late));
            assert!(began.elapsed() >= 2 * TICK, "{:?}", began.elapsed());
        });
    }

    #[test]
    fn draining_ends_idle_connections_only() {
        on_a_thread(async {
            let watch = Watch::new();
            tokio::task::spawn_local(Rc::clone(&watch).run());
            let (idle, busy) = (watch.deadline(), watch.deadline());
            idle.set_idle(Duration::from_secs(60));
            busy.set(Duration::from_secs(60));
            watch.drain();
            assert_eq!(idle.watch(std::future::pending::<()>()).await, Err(Late));
            assert!(!busy.entry.late.get());
            drop(idle);
            assert_eq!(watch.open(), 1);
            assert_eq!(busy.entry.index.get(), 0);
        });
    }
}
