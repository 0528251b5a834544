//! Prepared statements: the client's id stands for a text; on each server connection the text is
//! prepared when it is first needed there.

use std::rc::Rc;
use std::sync::Arc;

use mysql::error_code;
use mysql::execute;
use mysql::packet::{self, HEADER};
use mysql::reply::ErrPacket;
use mysql::scan::Expect;

use super::long_data::incomplete;
use super::record::Statement;
use super::statement::{Ask, Job, after};
use super::{Flow, Session, Trouble, say};
use crate::prepared::{self, OnServer, Reading};
use crate::relay::Answer;
use crate::route::Because;
use crate::server::{AskError, ServerConnection};
use crate::statement::cache::Known;
use crate::statement::class::{Kind, Pins};

/// An id that no server has given out: of none of its statements.
const NOBODYS: u32 = u32::MAX - 1;

/// COM_STMT_CLOSE and its like: the command's byte and an id.
const ID_AT: usize = HEADER + 1;

impl Session {
    /// COM_STMT_PREPARE.
    pub(super) async fn prepare(&mut self) -> Result<Flow, Trouble> {
        if self.statements.is_full() {
            let what = "too many prepared statements in this session";
            return Err(say(error_code::TOO_MANY_STATEMENTS, what));
        }
        let text = self.payload().get(1..).unwrap_or_default();
        let known = self.worker.look(text);
        let id = self.statements.next_id();
        self.run_job(Job {
            known,
            ask: Ask::Prepare(id),
            forced: None,
        })
        .await?;
        Ok(Flow::On)
    }

    /// Notes a statement that was prepared over `server`.
    pub(super) fn keep_prepared(
        &mut self,
        server: &mut ServerConnection,
        job: &Job,
        answer: &Answer,
    ) {
        let (Ask::Prepare(id), Some(prepared)) = (job.ask, answer.prepared) else {
            return;
        };
        let text = self.command.get(ID_AT..).unwrap_or_default();
        self.statements
            .add(id, text, job.known.clone(), prepared, &self.state.settings);
        let on_server = OnServer {
            id: prepared.id,
            binding: 0,
        };
        server.prepared.insert(id, on_server);
    }

    fn unknown(id: u32, what: &str) -> Trouble {
        let message = format!("Unknown prepared statement handler ({id}) given to {what}");
        say(error_code::UNKNOWN_STATEMENT, &message)
    }

    /// A command about a statement that is none: the primary says so itself, in its own words, and
    /// SHOW WARNINGS finds the error there.
    async fn pass_unknown(&mut self, id: u32, expect: Expect) -> Result<Flow, Trouble> {
        self.ensure_primary().await?;
        let taken = self.primary.as_ref().is_some_and(|primary| {
            let mut known = primary.prepared.values();
            known.any(|on_server| on_server.id == id)
                || primary.spare.iter().any(|spare| spare.id == id)
                || self.state.pins.has(Pins::PREPARED)
        });
        set_id(&mut self.command, if taken { NOBODYS } else { id });
        self.pass_to_primary(expect).await
    }

    pub(super) fn id(&self) -> u32 {
        execute::id_of(self.payload()).unwrap_or(0)
    }

    /// COM_STMT_EXECUTE.
    pub(super) async fn execute(&mut self) -> Result<Flow, Trouble> {
        let id = self.id();
        let payload = self.command.get(HEADER..).unwrap_or_default();
        let Some(statement) = self.statements.get(id) else {
            return self.pass_unknown(id, Expect::Results).await;
        };
        let Some(execute) = execute::parse(payload, statement.parameters) else {
            return Err(say(
                error_code::MALFORMED_PACKET,
                "Malformed communication packet",
            ));
        };
        if let Some(types) = execute.types.filter(|types| **types != *statement.types) {
            statement.types = types.into();
            statement.binding += 1;
        }
        let long_data = statement.long_data_on;
        self.worker.digests.renew(&mut statement.digest);
        let known = Known {
            class: statement.class,
            digest: Arc::clone(&statement.digest),
        };
        let cursor = execute.cursor;
        let mut forced = None;
        if long_data.is_some() || cursor {
            forced = Some(Because::Pinned);
        }
        let primary = self.primary.as_ref().map(|primary| primary.serial);
        if long_data.is_some() && long_data != primary {
            self.forget_long_data(id);
            return Err(incomplete());
        }
        let releases = known.class.releases;
        let answer = self
            .run_job(Job {
                known,
                ask: Ask::Execute(id),
                forced,
            })
            .await;
        // Until now they kept the connection from being reset or given away.
        self.forget_long_data(id);
        let answer = answer?;
        let serial = self.primary.as_ref().map(|primary| primary.serial);
        if let Some(statement) = self.statements.get(id) {
            statement.cursor_on = serial.filter(|_| cursor);
        }
        Ok(after(releases, &answer))
    }

    /// The statement's id on `server`, prepared there if it is not yet.
    pub(super) async fn on_server(
        &mut self,
        server: &mut ServerConnection,
        id: u32,
    ) -> Result<OnServer, AskError> {
        if let Some(known) = server.prepared.get(&id) {
            return Ok(*known);
        }
        // One whose types the client never bound must not find those of another session.
        if let Some(statement) = self.statements.get(id)
            && (statement.parameters == 0 || !statement.types.is_empty())
            && let Some(spare) = prepared::take_spare(&mut server.spare, statement)
        {
            server.prepared.insert(id, spare);
            return Ok(spare);
        }
        let now = Reading::of(&self.state.settings);
        let known = self.statements.get(id);
        let known = known.filter(|one| one.read_under.is_had_again(&now));
        // To go there and back is to run statements, and it may ask about the last one: if it can be had
        // as it is, then so.
        let asks = known
            .as_ref()
            .is_some_and(|one| one.class.kind == Kind::AboutLast);
        let known = known.filter(|one| !asks || one.read_under.schema() == now.schema());
        let Some((text, then)) =
            known.map(|one| (Rc::clone(&one.text), Rc::clone(&one.read_under)))
        else {
            let what = "the statement was prepared in another schema, and the connection that knows it is \
                        gone; prepare it again";
            return Err(AskError::Refused(ErrPacket {
                code: error_code::UNKNOWN_STATEMENT.code,
                state: "HY000".to_owned(),
                message: what.to_owned(),
            }));
        };
        let prepared = match *then == now || asks {
            true => server.prepare(&text).await?,
            false => {
                // Here and now it would mean something else than where it was prepared.
                self.read_as(server, &now, &then).await?;
                let prepared = server.prepare(&text).await;
                self.read_as(server, &then, &now).await?;
                prepared?
            }
        };
        let on_server = OnServer {
            id: prepared.id,
            binding: 0,
        };
        server.prepared.insert(id, on_server);
        Ok(on_server)
    }

    /// Makes a connection read texts as under `to`.
    async fn read_as(
        &self,
        server: &mut ServerConnection,
        from: &Reading,
        to: &Reading,
    ) -> Result<(), AskError> {
        if let Some(schema) = to.schema().filter(|_| to.schema() != from.schema()) {
            server.use_schema(schema).await?;
        }
        server.ask(&to.set(self.who.collation)).await.map(drop)
    }

    /// Sends COM_STMT_EXECUTE with the id, and if need be the types, that `server` knows.
    pub(super) async fn send_execute(
        &mut self,
        server: &mut ServerConnection,
        id: u32,
    ) -> Result<(), AskError> {
        let on_server = self.on_server(server, id).await?;
        let Some(statement) = self.statements.get(id) else {
            return Err(AskError::Broken("the statement is gone".to_owned()));
        };
        let binding = statement.binding;
        let types = statement.types.clone();
        let parameters = statement.parameters;
        set_id(&mut self.command, on_server.id);
        let payload = self.command.get(HEADER..).unwrap_or_default();
        let execute = execute::parse(payload, parameters);
        let untold = execute.filter(|execute| {
            execute.types.is_none() && on_server.binding != binding && !types.is_empty()
        });
        let told =
            untold.and_then(|execute| execute::with_types(payload, execute.types_at, &types));
        if let Some(known) = server.prepared.get_mut(&id) {
            known.binding = binding;
        }
        match told {
            None => Ok(server.channel.write(&self.command).await?),
            Some(payload) => {
                let mut out = Vec::with_capacity(payload.len() + HEADER);
                packet::put(&mut out, &mut 0, &payload);
                Ok(server.channel.write(&out).await?)
            }
        }
    }

    /// The id in a command that streams by, of which its first bytes are read for it.
    pub(super) async fn long_id(&mut self) -> Result<u32, Trouble> {
        self.fill_to(ID_AT + 4).await?;
        let head = self.client.input().get(HEADER..ID_AT + 4);
        Ok(head.and_then(execute::id_of).unwrap_or(0))
    }

    /// COM_STMT_EXECUTE of 16 MiB and more: it streams by to the primary.
    pub(super) async fn long_execute(&mut self) -> Result<Flow, Trouble> {
        let id = self.long_id().await?;
        let Some(parameters) = self
            .statements
            .get(id)
            .map(|statement| statement.parameters)
        else {
            self.sequence = self.discard().await?;
            return Err(Self::unknown(id, "EXECUTE"));
        };
        self.fill_to(HEADER + execute::head_length(parameters))
            .await?;
        let mut primary = self.primary_for_long().await?;
        let on_server = match self.on_server(&mut primary, id).await {
            Ok(on_server) => on_server,
            Err(error) => {
                self.sequence = self.discard().await?;
                return Err(match error {
                    AskError::Refused(error) => Trouble::Say(crate::login::refused(&error)),
                    AskError::Broken(why) => self.primary_broke(&primary, &why, false),
                });
            }
        };
        let head = self.client.input().get(HEADER..).unwrap_or_default();
        let execute = execute::parse(head, parameters);
        let types = execute
            .and_then(|execute| execute.types)
            .map(<[u8]>::to_vec);
        let Some(statement) = self.statements.get(id) else {
            return Err(Self::unknown(id, "EXECUTE"));
        };
        if statement
            .long_data_on
            .take()
            .is_some_and(|on| on != primary.serial)
        {
            self.primary = Some(primary);
            self.sequence = self.discard().await?;
            return Err(incomplete());
        }
        let class = statement.class;
        self.worker.digests.renew(&mut statement.digest);
        let digest = Arc::clone(&statement.digest);
        match types {
            Some(types) if *types != *statement.types => {
                statement.types = types.into();
                statement.binding += 1;
            }
            Some(_) => {}
            // The types were told to another connection only, and there is no room to put them in.
            None if on_server.binding != statement.binding => {
                self.primary = Some(primary);
                self.sequence = self.discard().await?;
                let what =
                    "the statement's types were bound on a connection that is gone; bind again";
                return Err(say(error_code::UNKNOWN_STATEMENT, what));
            }
            None => {}
        }
        let binding = statement.binding;
        primary.prepared.insert(
            id,
            OnServer {
                binding,
                ..on_server
            },
        );
        set_id(self.client.input_mut(), on_server.id);
        let ask = Ask::Execute(id);
        self.ran.statement = Some(Statement { digest, class, ask });
        crate::absorb::sent(&mut self.state, &class, false);
        self.pass_long(primary, class).await
    }

    /// COM_STMT_FETCH: from the connection that has the cursor.
    pub(super) async fn fetch(&mut self) -> Result<Flow, Trouble> {
        let id = self.id();
        let Some(cursor_on) = self.statements.get(id).map(|statement| statement.cursor_on) else {
            return self.pass_unknown(id, Expect::Rows).await;
        };
        if cursor_on.is_none() {
            return self.fetch_without_cursor(id).await;
        }
        let open = |primary: &ServerConnection| Some(primary.serial) == cursor_on;
        let on_server = self
            .primary
            .as_ref()
            .filter(|primary| open(primary))
            .and_then(|primary| primary.prepared.get(&id))
            .copied();
        match on_server {
            Some(on_server) => {
                set_id(&mut self.command, on_server.id);
                self.pass_to_primary(Expect::Rows).await
            }
            None => {
                let what = "the connection that held this statement's cursor was lost";
                Err(say(error_code::SERVER_LOST, what))
            }
        }
    }

    /// COM_STMT_FETCH of a statement without one: again in the primary's own words.
    async fn fetch_without_cursor(&mut self, id: u32) -> Result<Flow, Trouble> {
        self.ensure_primary().await?;
        if let Some(mut primary) = self.primary.take() {
            let on_server = self.on_server(&mut primary, id).await;
            self.primary = Some(primary);
            if let Ok(on_server) = on_server {
                set_id(&mut self.command, on_server.id);
                return self.pass_to_primary(Expect::Rows).await;
            }
        }
        let what = format!("The statement ({id}) has no open cursor");
        Err(say(error_code::NO_OPEN_CURSOR, &what))
    }

    /// COM_STMT_RESET: closes its cursor and drops its long data, which only the primary can have.
    pub(super) async fn reset_statement(&mut self) -> Result<Flow, Trouble> {
        let id = self.id();
        let Some(statement) = self.statements.get(id) else {
            return self.pass_unknown(id, Expect::Results).await;
        };
        statement.long_data_on = None;
        statement.cursor_on = None;
        let known = self
            .primary
            .as_ref()
            .and_then(|primary| primary.prepared.get(&id));
        match known.copied() {
            Some(on_server) => {
                set_id(&mut self.command, on_server.id);
                self.pass_to_primary(Expect::Results).await
            }
            None => self.reply_ok().await,
        }
    }

    /// COM_STMT_CLOSE: no answer.
    pub(super) async fn close_statement(&mut self) -> Result<Flow, Trouble> {
        let id = self.id();
        self.statements.close(id);
        for server in [&mut self.primary, &mut self.replica] {
            let Some(connection) = server.as_mut() else {
                continue;
            };
            let Some(on_server) = connection.prepared.remove(&id) else {
                continue;
            };
            set_id(&mut self.command, on_server.id);
            if let Err(e) = connection.channel.write(&self.command).await {
                // Found to be closed when it is used next.
                tracing::debug!("closing a statement: {e}");
            }
        }
        Ok(Flow::On)
    }
}

/// Puts a server's id in the place of the client's.
pub(super) fn set_id(command: &mut [u8], id: u32) {
    if let Some(place) = command.get_mut(ID_AT..ID_AT + 4) {
        place.copy_from_slice(&id.to_le_bytes());
    }
}
