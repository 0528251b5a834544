//! A session that waits for its client, and others that wait for a connection to a server: it parts with
//! its own when nothing is on them that it could want back.
//!
//! `LAST_INSERT_ID()` is asked for and set again; what else it may ask about its last statement: `last.rs`.

use std::rc::Rc;
use std::time::Duration;

use site::name::MemberName;
use tokio::time::Instant;

use super::Session;
use crate::intake;
use crate::limits::{ASKED_SOON, CONNECT};
use crate::relay::Left;
use crate::server::{OpenError, Past, ServerConnection};
use crate::slots::Rest;
use crate::snapshot::Snapshot;
use crate::state::{InsertId, Last};
use crate::worker::Worker;

impl Session {
    /// From now on it can be asked for what it has; none when it has nothing to give.
    pub(super) fn rest<'w>(&self, worker: &'w Worker) -> Option<Rest<'w>> {
        let of = [
            self.primary.as_ref().filter(|_| self.state.parts_easily()),
            self.replica.as_ref(),
        ];
        if self.keeps || of.iter().all(Option::is_none) {
            return None;
        }
        // They wait already: without being asked.
        if of
            .iter()
            .flatten()
            .any(|connection| connection.slot.is_wanted())
        {
            self.please.notify_one();
        }
        let slots = of.map(|connection| connection.map(|connection| &connection.slot));
        Some(worker.slots.rest(slots, &self.please))
    }

    /// Gives up what others wait for, if that can be done.
    pub(super) async fn part(&mut self) {
        let worker = Rc::clone(&self.worker);
        let wanted = |connection: &Option<Box<ServerConnection>>| {
            let connection = connection.as_ref();
            connection.is_some_and(|connection| connection.slot.is_wanted())
        };
        if wanted(&self.replica)
            && self.may_forget(Last::Replica).await
            && let Some(replica) = self.replica.take()
        {
            self.forget(Last::Replica);
            self.give_back(replica, Past::Left { insert_id: 0 });
        }
        if wanted(&self.primary)
            && self.may_forget(Last::Primary).await
            && let Some(past) = self.primary_is_spare().await
            && let Some(primary) = self.primary.take()
        {
            self.forget(Last::Primary);
            self.give_back(primary, past);
        }
        for connection in [&self.primary, &self.replica].into_iter().flatten() {
            if connection.slot.is_wanted() {
                self.keeps = true;
                worker.slots.decline(&connection.slot);
            }
        }
        self.note_threads();
    }

    /// A connection to `member` for the command at hand, waited for if need be.
    pub(super) async fn connect(
        &mut self,
        snapshot: &Snapshot,
        member: &MemberName,
        patience: Duration,
    ) -> Result<Box<ServerConnection>, OpenError> {
        let worker = Rc::clone(&self.worker);
        let now = worker.connect_now(snapshot, member, &self.who, &self.state.settings);
        if let Some(connection) = now.await? {
            return Ok(connection);
        }
        // Who waits keeps nothing that others wait for, or two wait for each other. Nobody asks about the
        // last statement any more: the command at hand takes its place.
        if let Some(replica) = self.replica.take() {
            self.forget(Last::Replica);
            self.give_back(replica, Past::Left { insert_id: 0 });
        }
        if let Some(past) = self.primary_is_spare().await
            && let Some(primary) = self.primary.take()
        {
            self.forget(Last::Primary);
            self.give_back(primary, past);
        }
        worker
            .connect(snapshot, member, &self.who, &self.state.settings, patience)
            .await
    }

    /// Whether nothing is lost that could be asked about the last statement, or the time for that is over.
    async fn may_forget(&mut self, last: Last) -> bool {
        if self.state.last != last || self.left != Left::More {
            return true;
        }
        let until = Instant::from_std(self.idle + ASKED_SOON);
        tokio::select! {
            biased;
            // Its next command is here; what is read stays in the buffer.
            _ = intake::arrival(&mut self.client, self.worker.patience.stalled) => false,
            () = tokio::time::sleep_until(until) => true,
        }
    }

    /// Whether nothing is on the connection to the primary that the session needs; what can be kept
    /// without it is asked for. What is left on it then.
    async fn primary_is_spare(&mut self) -> Option<Past> {
        let primary = self.primary.as_ref()?;
        if !self.leaves_nothing(primary) {
            return None;
        }
        if !primary.ready {
            return Some(primary.past);
        }
        let insert_id = match self.state.insert_id {
            InsertId::Known(known) => known,
            InsertId::Unknown => self.ask_insert_id().await?,
        };
        Some(Past::Left { insert_id })
    }

    pub(super) async fn ask_insert_id(&mut self) -> Option<u64> {
        let primary = self.primary.as_mut()?;
        let asking = primary.ask("SELECT LAST_INSERT_ID()");
        let Ok(Ok(row)) = tokio::time::timeout(CONNECT, asking).await else {
            // What was under way is unknown; the next statement opens another one.
            self.lose_primary();
            return None;
        };
        let value = row
            .first()
            .and_then(|value| value.as_deref()?.parse().ok())?;
        self.state.insert_id = InsertId::Known(value);
        Some(value)
    }

    /// Nothing is on this connection to the primary that the session needs but its `LAST_INSERT_ID()`.
    pub(super) fn leaves_nothing(&self, primary: &ServerConnection) -> bool {
        let (serial, settings) = (primary.serial, &self.state.settings);
        self.state.parts_easily() && !self.statements.need(serial, settings)
    }

    /// Gives a connection to those who wait, or to the pool. `past`: what is left on it as far as the
    /// session's own state says.
    pub(super) fn give_back(&self, mut connection: Box<ServerConnection>, past: Past) {
        let kept = self
            .statements
            .part(&mut connection.prepared, &mut connection.spare);
        let as_left = connection.tracked || past == Past::Clean;
        let known = kept && as_left && !connection.tainted;
        let past = if known { past } else { Past::Unknown };
        self.worker.give_back(&self.who, connection, past);
    }
}
