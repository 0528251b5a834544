//! Long data: values of a prepared statement that come in pieces before it is run.
//!
//! They go to the primary, where the statement will then run, and are kept by its connection alone: until the statement
//! is run, the session does not part with it. A piece is never answered, so what goes wrong is said by EXECUTE.

use mysql::error_code;

use super::prepared::set_id;
use super::{Flow, Session, Trouble, say};
use crate::server::ServerConnection;

/// What is left of a statement's long data must not run as if it were all.
pub(super) fn incomplete() -> Trouble {
    let what = "a piece of this statement's long data is lost with its connection, or had none";
    say(error_code::SERVER_LOST, what)
}

impl Session {
    /// COM_STMT_SEND_LONG_DATA: to the primary, where the statement will then run. Never answered:
    /// what goes wrong here is said by EXECUTE.
    pub(super) async fn long_data(&mut self) -> Result<Flow, Trouble> {
        let id = self.id();
        if let Some(mut primary) = self.primary_for_long_data(id).await? {
            match self.on_server(&mut primary, id).await {
                Ok(on_server) => {
                    set_id(&mut self.command, on_server.id);
                    let written = primary.channel.write(&self.command).await;
                    self.note_long_data(id, &primary, written.is_ok());
                }
                Err(_) => self.lose_long_data(id),
            }
            self.primary = Some(primary);
        }
        Ok(Flow::On)
    }

    async fn primary_for_long_data(
        &mut self,
        id: u32,
    ) -> Result<Option<Box<ServerConnection>>, Trouble> {
        if self.statements.get(id).is_none() {
            return Ok(None);
        }
        match self.ensure_primary().await {
            Ok(()) => Ok(self.primary.take()),
            Err(Trouble::Say(_)) => {
                self.lose_long_data(id);
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// The statement is run, or will not be with these.
    pub(super) fn forget_long_data(&mut self, id: u32) {
        if let Some(statement) = self.statements.get(id) {
            statement.long_data_on = None;
        }
    }

    /// A piece is nowhere: the statement must not run without it.
    fn lose_long_data(&mut self, id: u32) {
        if let Some(statement) = self.statements.get(id) {
            statement.long_data_on = Some(u64::MAX);
        }
    }

    fn note_long_data(&mut self, id: u32, primary: &ServerConnection, sent: bool) {
        let serial = primary.serial;
        if let Some(statement) = self.statements.get(id) {
            // Pieces on another connection are lost: no serial fits then.
            let whole = sent && statement.long_data_on.is_none_or(|on| on == serial);
            statement.long_data_on = Some(if whole { serial } else { u64::MAX });
        }
    }

    /// The same, of 16 MiB and more.
    pub(super) async fn long_long_data(&mut self) -> Result<Flow, Trouble> {
        let id = self.long_id().await?;
        let Some(mut primary) = self.primary_for_long_data(id).await? else {
            self.discard().await?;
            return Ok(Flow::On);
        };
        match self.on_server(&mut primary, id).await {
            Ok(on_server) => {
                set_id(self.client.input_mut(), on_server.id);
                self.pass_command(&mut primary).await?;
                self.note_long_data(id, &primary, true);
            }
            Err(_) => {
                self.lose_long_data(id);
                self.discard().await?;
            }
        }
        self.primary = Some(primary);
        Ok(Flow::On)
    }
}
