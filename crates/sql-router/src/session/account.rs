//! Commands about the session itself: another user, a fresh start, the end of somebody's statement.

use mysql::error_code;
use mysql::handshake::ChangeUser;
use mysql::packet::HEADER;
use mysql::reply;
use mysql::scan::Expect;
use mysql::wire::Reader;

use super::{Flow, Session, Trouble, say};
use crate::limits::LOGIN;
use crate::login::{self, Failed};
use crate::prepared::Statements;
use crate::proving::{self, Claim};
use crate::server::{AskError, Identity, Past};
use crate::sessions::{FIRST_ID, Thread};

impl Session {
    /// COM_RESET_CONNECTION: as after the login; the schema stays, as on the server.
    pub(super) async fn reset_connection(&mut self) -> Result<Flow, Trouble> {
        self.release();
        self.statements.clear();
        let schema = self.state.settings.schema.clone();
        self.state
            .reset(self.first_status, self.who.collation, schema);
        self.reply_ok().await
    }

    /// COM_CHANGE_USER: a login within the session; refused, the session ends.
    pub(super) async fn change_user(&mut self) -> Result<Flow, Trouble> {
        let payload = self.payload().get(1..).unwrap_or_default();
        let Ok(change) = ChangeUser::parse(payload) else {
            return Err(say(
                error_code::MALFORMED_PACKET,
                "Malformed communication packet",
            ));
        };
        let worker = std::rc::Rc::clone(&self.worker);
        let key = self.prove(&change).await?;
        login::claim(&worker, &self.ticket, &change.user).map_err(Trouble::SayAndEnd)?;
        self.release();
        self.statements = Statements::default();
        let who = Identity {
            user: change.user,
            key,
            capabilities: self.who.capabilities,
            collation: change.collation.unwrap_or(self.who.collation),
        };
        let schema = change.schema;
        match login::schema_exists(&worker, &who, schema.as_deref()).await {
            Ok(primary) => (self.primary, self.who) = (primary, who),
            // As a server does: afresh, who and where it was.
            Err(payload) => {
                let schema = self.state.settings.schema.clone();
                let collation = self.who.collation;
                self.state.reset(self.first_status, collation, schema);
                self.note_threads();
                return Err(Trouble::Say(payload));
            }
        }
        self.state
            .reset(self.first_status, self.who.collation, schema);
        // Another user's reads owe nothing to this one's writes, but it does no harm.
        self.note_threads();
        match self.state.settings.schema.as_deref() {
            Some(schema) if self.tracks => {
                let packet = reply::ok_in_schema(self.state.status, schema);
                self.reply(&packet).await?;
                Ok(Flow::On)
            }
            _ => self.reply_ok().await,
        }
    }

    /// As at a login. What came along is for the salt of the greeting, as are all answers of this client.
    async fn prove(&mut self, change: &ChangeUser) -> Result<mysql::auth::Key, Trouble> {
        let claim = Claim {
            user: &change.user,
            peer: self.peer,
            salt: self.salt,
            plugin: change.plugin.as_deref(),
            answer: &change.answer,
            lacks_native: self.lacks_native,
        };
        let proving = proving::prove(&self.worker, &mut self.client, &claim, &mut self.sequence);
        match tokio::time::timeout(LOGIN, proving).await {
            Ok(Ok(key)) => Ok(key),
            Ok(Err(Failed::Said { payload, .. })) => Err(Trouble::SayAndEnd(payload)),
            Ok(Err(Failed::Silent(why))) => Err(Trouble::Torn(why)),
            Err(_) => Err(Trouble::Torn("no answer to a change of user".to_owned())),
        }
    }

    /// COM_PROCESS_KILL.
    pub(super) async fn process_kill(&mut self) -> Result<Flow, Trouble> {
        let payload = self.command.get(HEADER + 1..).unwrap_or_default();
        let id = Reader::new(payload).u32().unwrap_or(0);
        match id >= FIRST_ID {
            true => self.kill(u64::from(id), "KILL ").await,
            false => self.pass_to_primary(Expect::Results).await,
        }
    }

    /// KILL of a session of this router: of the server threads that work for it.
    pub(super) async fn kill(&mut self, id: u64, before: &str) -> Result<Flow, Trouble> {
        let entry = u32::try_from(id)
            .ok()
            .and_then(|id| self.ticket.sessions().find(id));
        let Some(entry) = entry else {
            let what = format!("Unknown thread id: {id}");
            return Err(say(error_code::NO_SUCH_THREAD, &what));
        };
        // Accounts that may kill others are refused by the router.
        if entry.user != self.who.user {
            let what = format!("You are not owner of thread {id}");
            return Err(say(error_code::KILL_DENIED, &what));
        }
        for thread in &entry.threads {
            self.kill_thread(thread, before).await?;
        }
        if !before.to_ascii_lowercase().contains("query") {
            entry.doomed.notify_one();
        }
        self.reply_ok().await
    }

    async fn kill_thread(&mut self, thread: &Thread, before: &str) -> Result<(), Trouble> {
        let snapshot = self.worker.snapshot.load();
        let connected = self
            .worker
            .connect_at_once(&snapshot, &thread.member, &self.who)
            .await;
        // A server that is gone has no thread to kill.
        let Ok(mut connection) = connected else {
            return Ok(());
        };
        match connection.ask(&format!("{before}{}", thread.id)).await {
            Ok(_) => self.worker.give_back(&self.who, connection, Past::Unknown),
            Err(AskError::Refused(error)) if error.code == error_code::NO_SUCH_THREAD.code => {}
            Err(AskError::Refused(error)) => return Err(Trouble::Say(login::refused(&error))),
            Err(AskError::Broken(why)) => tracing::debug!("kill: {why}"),
        }
        Ok(())
    }
}
