//! What a connection from a client and its streams know of each other: how many are open, how many were
//! given up. The last one to go wakes the connection's task.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use crate::limits;

/// Shared by a `Session` and its streams.
#[derive(Debug, Default)]
pub(super) struct Tally {
    open: Cell<usize>,
    total: Cell<u64>,
    resets: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

impl Tally {
    pub(super) fn open(&self) -> usize {
        self.open.get()
    }

    pub(super) fn total(&self) -> u64 {
        self.total.get()
    }

    /// A request has come.
    pub(super) fn count(&self) {
        self.total.set(self.total.get() + 1);
    }

    /// It has been given to the role.
    pub(super) fn begin(&self) {
        self.open.set(self.open.get() + 1);
    }

    /// And has been let go.
    pub(super) fn end(&self) {
        let was_full = self.is_full();
        let left = self.open.get().saturating_sub(1);
        self.open.set(left);
        if (was_full || left == 0)
            && let Some(waker) = self.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }

    /// The client gave a stream up, or sent what is none.
    pub(super) fn count_reset(&self) {
        self.resets.set(self.resets.get() + 1);
    }

    /// No more streams may be begun. `h2` counts those that are not closed; a stream reset by the client
    /// is closed, while the work it caused may go on: that is the point of a rapid reset.
    pub(super) fn is_full(&self) -> bool {
        self.open.get() >= limits::H2_STREAMS
    }

    pub(super) fn is_abused(&self) -> bool {
        let resets = self.resets.get();
        resets >= limits::H2_RESETS && resets * 2 > self.total.get()
    }

    /// The connection's task waits for the end of streams.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }
}
