//! What a session may ask about its last statement (`ROW_COUNT()`, `FOUND_ROWS()`, warnings): which of its
//! connections knows it, what is made again on another one, and what is refused rather than answered by the
//! trace of somebody else.

use std::rc::Rc;

use mysql::error_code;

use super::servers::restore;
use super::statement::Ask;
use super::{Session, Trouble, say};
use crate::limits::CONNECT;
use crate::metrics::bump;
use crate::relay::{Answer, Left};
use crate::server::{AskError, COUNT_NOTHING, Past, ServerConnection};
use crate::state::{InsertId, Last, Listed, SessionState, Unseen};
use crate::statement::class::{Class, Kind, Reason};

impl Session {
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
