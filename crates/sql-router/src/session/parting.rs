//! A session that waits for its client, and others that wait for a connection to a server: it parts with
//! its own when nothing is on them that it could want back.
//!
//! What a session may ask about its last statement is lost with the connection, except for what is kept
//! here: `LAST_INSERT_ID()` is asked for and set again, `ROW_COUNT()` of a statement without effect is made
//! again. Where that does not do, the session is told so; it never gets the answer of another.

use std::rc::Rc;
use std::time::Duration;

use mysql::error_code;
use site::name::MemberName;
use tokio::time::Instant;

use super::servers::restore;
use super::statement::Ask;
use super::{Session, Trouble, say};
use crate::intake;
use crate::limits::{ASKED_SOON, CONNECT};
use crate::metrics::bump;
use crate::relay::{Answer, Left};
use crate::server::{AskError, COUNT_NOTHING, OpenError, Past, ServerConnection};
use crate::slots::Rest;
use crate::snapshot::Snapshot;
use crate::state::{InsertId, Last, Listed, SessionState, Unseen};
use crate::statement::class::{Class, Kind, Reason};
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

    async fn ask_insert_id(&mut self) -> Option<u64> {
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

    /// Before a statement that looks back: what another session has left on the connection to the primary
    /// goes, unless this session has put its own over it.
    pub(super) async fn clean_past(&mut self, class: &Class) -> Result<(), Trouble> {
        let Some(primary) = self.primary.as_ref() else {
            return Ok(());
        };
        let foreign = class.looks_back && matches!(primary.past, Past::Left { .. });
        // What a routine asks for first is what the statement before it did.
        let own = primary.used && (class.kind == Kind::AboutLast || self.left == Left::More);
        if !foreign || own || !self.leaves_nothing(primary) {
            return Ok(());
        }
        let used = primary.used;
        if self.state.insert_id == InsertId::Unknown {
            self.ask_insert_id().await;
        }
        let Some(primary) = self.primary.as_mut() else {
            return self.ensure_primary().await;
        };
        match tokio::time::timeout(CONNECT, primary.reset()).await {
            Ok(Ok(())) => bump(&self.worker.counts.servers_reset),
            _ => self.lose_primary(),
        }
        if used {
            self.forget(Last::Primary);
        }
        self.ensure_primary().await
    }

    fn note_listed(&mut self, on: Last, answer: &Answer, class: Option<&Class>) {
        let empty = !answer.warned;
        let listed = &mut self.state.listed;
        if !empty || class.is_some_and(|class| class.clears) {
            *listed = Listed { on, empty };
        } else if class.is_some_and(|class| class.because == Reason::Routine) {
            // Whether a procedure uses tables is not seen.
            if !listed.empty && listed.on != on {
                listed.on = Last::Lost;
            }
        }
    }

    /// This side ran the last statement.
    pub(super) fn note_last(&mut self, last: Last, answer: &Answer, class: Option<&Class>) {
        self.note_listed(last, answer, class);
        // What was prepared has run nothing.
        if answer.prepared.is_some() {
            return;
        }
        let counted = class.is_some_and(|class| class.counted);
        self.state.last = last;
        self.left = answer.left;
        if last == Last::Primary
            && let Some(primary) = &mut self.primary
        {
            primary.used = true;
        }
        // A text that does not parse has counted nothing.
        let failed = answer.error.is_some_and(|code| code != 1064);
        let recounts = failed || class.is_some_and(|class| class.recounts);
        if recounts && self.state.counted != last {
            self.state.counted = Last::Lost;
        }
        if answer.has_rows && self.state.counted != last {
            self.state.counted = if counted { last } else { Last::Lost };
        }
    }

    /// The connection to the primary is of no use any more, and nothing is on it that would be missed.
    pub(super) fn lose_primary(&mut self) {
        if self.primary.take().is_some() {
            self.forget(Last::Primary);
        }
    }

    pub(super) fn lose_replica(&mut self) {
        if self.replica.take().is_some() {
            self.forget(Last::Replica);
        }
    }

    /// The connection of this side is gone.
    pub(super) fn forget(&mut self, last: Last) {
        if self.state.listed.on == last {
            self.state.listed.on = Last::Lost;
        }
        asked_over(&mut self.state, self.left, last);
    }

    /// Makes the connection to the primary answer as the one would that was parted with.
    pub(super) async fn remember_last(&mut self, class: &Class, ask: Ask) -> Result<(), Trouble> {
        if class.found_rows {
            return match self.state.counted {
                Last::Primary => Ok(()),
                Last::Never => self.count_nothing().await,
                Last::Replica | Last::Parted { .. } | Last::Lost => Err(forgotten()),
            };
        }
        if class.warnings {
            return match self.state.listed {
                Listed {
                    on: Last::Primary, ..
                } => Ok(()),
                // What an earlier statement left there goes: this one uses a table, of a kind.
                Listed { empty: true, .. } => self.make_again("SELECT 1 FROM (SELECT 1) x").await,
                Listed { empty: false, .. } => Err(forgotten()),
            };
        }
        self.check_counted(class, ask, Last::Primary)?;
        match self.state.last {
            Last::Primary | Last::Replica | Last::Never => Ok(()),
            // `ROW_COUNT()` is -1 after rows, and 0 after this.
            Last::Parted { rows: true } => self.make_again("SELECT 1").await,
            Last::Parted { rows: false } => self.make_again("DO 0").await,
            Last::Lost => Err(forgotten()),
        }
    }

    /// A replica that is asked for rows or warnings of before answers under the settings of now. SET leaves
    /// both as they are.
    pub(super) async fn restore_asked(&mut self, class: &Class) -> Result<(), Trouble> {
        if self.replica.is_none() || !class.found_rows && !class.warnings {
            return Ok(());
        }
        if self.state.unseen != Unseen::Nothing {
            self.look().await;
        }
        let Some(replica) = self.replica.as_mut() else {
            return Ok(());
        };
        match restore(replica, &self.state.settings).await {
            Ok(()) => Ok(()),
            Err(_) => {
                self.lose_replica();
                Err(forgotten())
            }
        }
    }

    /// Who asks for FOUND_ROWS() and for more must find both on this side.
    pub(super) fn check_counted(
        &mut self,
        class: &Class,
        ask: Ask,
        side: Last,
    ) -> Result<(), Trouble> {
        let counted = self.state.counted;
        if class.found_rows || counted == side || matches!(ask, Ask::Prepare(_)) {
            return Ok(());
        }
        let fresh = |primary: &ServerConnection| primary.past == Past::Clean;
        if counted == Last::Never && self.primary.as_deref().is_some_and(fresh) {
            return Ok(());
        }
        let prepared = match ask {
            Ask::Execute(id) => self.statements.get(id).map(|one| Rc::clone(&one.text)),
            Ask::Text | Ask::Prepare(_) => None,
        };
        let text = prepared.as_deref().unwrap_or_else(|| self.payload());
        match contains(text, b"found_rows") {
            true => Err(forgotten()),
            false => Ok(()),
        }
    }

    /// The session has had no rows, but another before it on this connection may have.
    async fn count_nothing(&mut self) -> Result<(), Trouble> {
        match self.primary {
            Some(_) => self.make_again(COUNT_NOTHING).await,
            None => Ok(()),
        }
    }

    /// Makes the connection to the primary look as after such a statement.
    async fn make_again(&mut self, statement: &str) -> Result<(), Trouble> {
        let Some(primary) = self.primary.as_mut() else {
            return Err(forgotten());
        };
        asked_over(&mut self.state, self.left, Last::Primary);
        match primary.ask(statement).await {
            Ok(_) => Ok(()),
            Err(AskError::Refused(error)) => Err(Trouble::Say(crate::login::refused(&error))),
            Err(AskError::Broken(why)) => Err(say(error_code::SERVER_LOST, &why)),
        }
    }
}

/// The router asks something of its own on this side: there FOUND_ROWS() and ROW_COUNT() are about that
/// now, until the session's next statement.
pub(super) fn asked_over(state: &mut SessionState, left: Left, side: Last) {
    if state.counted == side {
        state.counted = Last::Lost;
    }
    if state.last == side {
        state.last = match left {
            Left::Nothing => Last::Parted { rows: false },
            Left::Rows => Last::Parted { rows: true },
            Left::More => Last::Lost,
        };
    }
}

fn forgotten() -> Trouble {
    say(
        error_code::SERVER_LOST,
        "what the last statement left is not known here: others waited for its connection to the server \
         and the session had been idle, or it ran on a replica before the transaction began; ask at once",
    )
}

/// Whether `wanted` (in small letters) stands in a text.
fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len())
        .any(|part| part.eq_ignore_ascii_case(wanted))
}
