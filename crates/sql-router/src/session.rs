//! The life of one client: wait for a command, see what it is, answer it; until one side has enough.
//!
//! A statement's way is in `session/statement.rs`: classify → route → checkout → restore → relay →
//! absorb.

mod account;
mod last;
mod long_data;
mod parting;
mod position;
mod prepared;
mod record;
mod servers;
mod statement;

use std::rc::Rc;
use std::time::Instant;

use mysql::auth::Salt;
use mysql::capability::MULTI_STATEMENTS;
use mysql::command::Command;
use mysql::error_code::{self, ErrorCode};
use mysql::packet::{self, Channel, Frame, HEADER, PacketError};
use mysql::reply;
use mysql::scan::Expect;
use tokio::sync::{Notify, watch};

use self::record::Ran;
use crate::intake;
use crate::limits::BUFFER_KEPT;
use crate::login::Admitted;
use crate::metrics::bump;
use crate::prepared::Statements;
use crate::relay::Left;
use crate::server::{Identity, ServerConnection};
use crate::sessions::Ticket;
use crate::state::{Last, SessionState};
use crate::worker::Worker;

/// A client and what works for it.
#[derive(Debug)]
struct Session {
    worker: Rc<Worker>,
    client: Channel,
    peer: std::net::IpAddr,
    ticket: Ticket,
    draining: watch::Receiver<bool>,
    salt: Salt,
    lacks_native: bool,
    who: Identity,
    /// The client wants to know what changes in the session.
    tracks: bool,
    /// The status word of a new connection.
    first_status: u16,
    state: SessionState,
    primary: Option<Box<ServerConnection>>,
    replica: Option<Box<ServerConnection>>,
    statements: Statements,
    /// What the last statement left on its connection.
    left: Left,
    /// When the command being answered came.
    begun: Instant,
    /// When its answer was through, where that was looked at; a look at the clock costs as much as a decision.
    ended: Option<Instant>,
    /// Since when the client has had its answer.
    idle: Instant,
    /// It was asked for its connections since then, and keeps them.
    keeps: bool,
    /// Somebody asks for a connection of this session.
    please: Rc<Notify>,
    /// Which floor of the visitors is in `state.seen`.
    floor: u64,
    /// When a replica last did not have in time what the session had seen.
    behind: Option<Instant>,
    /// The command being answered, head included; empty while one of several frames passes by.
    command: Vec<u8>,
    /// Of the command's last frame.
    sequence: u8,
    ran: Ran,
}

/// Why a command was not answered by a server.
#[derive(Debug)]
enum Trouble {
    /// The client is gone.
    Client(PacketError),
    /// An error packet; the session goes on.
    Say(Vec<u8>),
    /// An error packet, then the end: the session lost something it cannot have back.
    SayAndEnd(Vec<u8>),
    /// The answer broke off in the middle; nothing can be said in its place.
    Torn(String),
}

impl From<PacketError> for Trouble {
    fn from(error: PacketError) -> Self {
        Self::Client(error)
    }
}

impl Trouble {
    /// Of the error packet, if there is one.
    fn code(&self) -> u16 {
        match self {
            Self::Say(payload) | Self::SayAndEnd(payload) => match payload.get(1..3) {
                Some([low, high]) => u16::from_le_bytes([*low, *high]),
                _ => 0,
            },
            Self::Client(_) | Self::Torn(_) => 0,
        }
    }
}

fn say(code: ErrorCode, message: &str) -> Trouble {
    Trouble::Say(reply::err(code, message))
}

/// Does the session go on?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    End,
}

/// Serves a client to its end.
pub(crate) async fn serve(worker: Rc<Worker>, admitted: Admitted) {
    let mut session = Session {
        draining: worker.draining.clone(),
        client: admitted.client,
        peer: admitted.peer,
        ticket: admitted.ticket,
        salt: admitted.salt,
        lacks_native: admitted.lacks_native,
        who: admitted.who,
        tracks: admitted.tracks,
        first_status: admitted.state.status,
        state: admitted.state,
        primary: admitted.primary,
        replica: None,
        statements: Statements::default(),
        left: Left::Nothing,
        begun: Instant::now(),
        ended: None,
        idle: Instant::now(),
        keeps: false,
        please: Rc::default(),
        floor: 0,
        behind: None,
        command: Vec::new(),
        sequence: 0,
        ran: Ran::default(),
        worker,
    };
    session.note_threads();
    session.run().await;
    session.release();
}

impl Session {
    async fn run(&mut self) {
        while let Some(frame) = self.next_frame().await {
            (self.begun, self.ended) = (Instant::now(), None);
            let answered = match (frame.sequence, frame.continues()) {
                (0, true) => self.long(frame).await,
                (0, false) => self.whole(frame).await,
                // Whose packets are they then? A server gives up here too.
                (sequence, _) => {
                    self.sequence = sequence;
                    let what = reply::err(error_code::OUT_OF_ORDER, "Got packets out of order");
                    Err(Trouble::SayAndEnd(what))
                }
            };
            match answered {
                Ok(Flow::On) => self.record(),
                Ok(Flow::End) => return,
                Err(trouble) => {
                    self.ran.error = Some(trouble.code());
                    let flow = self.tell(trouble).await;
                    self.record();
                    if flow == Flow::End {
                        return;
                    }
                }
            }
            self.shrink();
            if *self.draining.borrow() && !self.state.in_transaction() {
                return;
            }
        }
    }

    /// The head of the next command, which is there whole if it is of one frame; none when the session is
    /// over. Who waits for his client parts with his connections when others need them.
    async fn next_frame(&mut self) -> Option<Frame> {
        let may_end = !self.state.in_transaction();
        self.keeps = false;
        loop {
            let worker = Rc::clone(&self.worker);
            let rest = self.rest(&worker);
            tokio::select! {
                biased;
                () = self.ticket.doomed.notified() => return None,
                frame = intake::arrival(&mut self.client, worker.patience.stalled) => match frame {
                    Ok(frame) => return Some(frame),
                    Err(e) => {
                        tracing::trace!("client {}: {e}", self.peer);
                        return None;
                    }
                },
                _ = self.draining.wait_for(|draining| *draining), if may_end => return None,
                () = self.please.notified() => {}
            }
            drop(rest);
            self.part().await;
        }
    }

    /// More of a command that has begun to come.
    async fn fill_to(&mut self, count: usize) -> Result<(), Trouble> {
        let stalled = self.worker.patience.stalled;
        Ok(intake::fill_to(&mut self.client, count, stalled).await?)
    }

    /// Reads a long command and drops it. The sequence number of its last frame.
    async fn discard(&mut self) -> Result<u8, Trouble> {
        let stalled = self.worker.patience.stalled;
        Ok(intake::command(&mut self.client, None, stalled).await?)
    }

    /// Gives back what one large command took.
    fn shrink(&mut self) {
        self.command.clear();
        if self.command.capacity() > BUFFER_KEPT {
            self.command = Vec::new();
        }
    }

    async fn tell(&mut self, trouble: Trouble) -> Flow {
        let (payload, flow) = match trouble {
            Trouble::Say(payload) => (payload, Flow::On),
            Trouble::SayAndEnd(payload) => (payload, Flow::End),
            Trouble::Client(e) => {
                tracing::trace!("client {}: {e}", self.peer);
                return Flow::End;
            }
            Trouble::Torn(why) => {
                bump(&self.worker.counts.errors);
                tracing::warn!("an answer to {} broke off: {why}", self.peer);
                return Flow::End;
            }
        };
        bump(&self.worker.counts.errors);
        match self.reply(&payload).await {
            Ok(()) => flow,
            Err(_) => Flow::End,
        }
    }

    /// A packet of our own in answer to the command.
    async fn reply(&mut self, payload: &[u8]) -> Result<(), Trouble> {
        let mut out = Vec::with_capacity(payload.len() + HEADER);
        packet::put(&mut out, &mut self.sequence.wrapping_add(1), payload);
        let written = self.client.write(&out).await;
        written.map_err(|e| Trouble::Client(e.into()))
    }

    async fn reply_ok(&mut self) -> Result<Flow, Trouble> {
        self.reply(&reply::ok(self.state.status)).await?;
        // An OK is the last answer, with no rows and none changed.
        (self.state.last, self.left) = (Last::Parted { rows: false }, Left::Nothing);
        Ok(Flow::On)
    }

    /// The command's payload, its first byte included.
    fn payload(&self) -> &[u8] {
        self.command.get(HEADER..).unwrap_or_default()
    }

    /// A command of one frame: taken whole.
    async fn whole(&mut self, frame: Frame) -> Result<Flow, Trouble> {
        let length = HEADER + frame.length;
        self.command.clear();
        let bytes = self.client.input().get(..length).unwrap_or_default();
        self.command.extend_from_slice(bytes);
        self.client.consume(length);
        self.sequence = frame.sequence;
        let command = Command::from_byte(self.payload().first().copied().unwrap_or(0));
        match command {
            Command::Query => self.query().await,
            Command::StmtPrepare => self.prepare().await,
            Command::StmtExecute => self.execute().await,
            Command::StmtSendLongData => self.long_data().await,
            Command::StmtFetch => self.fetch().await,
            Command::StmtReset => self.reset_statement().await,
            Command::StmtClose => self.close_statement().await,
            Command::Quit => Ok(Flow::End),
            // Whether the transaction is still open, only the primary knows: DDL that fails ends it, and its
            // error does not say so.
            Command::Ping if self.state.in_transaction() => {
                self.pass_to_primary(Expect::Results).await
            }
            Command::Ping => self.reply_ok().await,
            Command::InitDb => self.pass_to_primary(Expect::Results).await,
            Command::FieldList => self.pass_to_primary(Expect::Rows).await,
            Command::Statistics => self.pass_to_primary(Expect::One).await,
            Command::SetOption => self.set_option().await,
            Command::ProcessKill => self.process_kill().await,
            Command::ChangeUser => self.change_user().await,
            Command::ResetConnection => self.reset_connection().await,
            Command::Other(byte) => {
                let what = format!("the SQL router does not take command {byte:#04x}");
                Err(say(error_code::UNKNOWN_COMMAND, &what))
            }
        }
    }

    /// A command of several frames (16 MiB and more): it streams by and goes to the primary.
    async fn long(&mut self, frame: Frame) -> Result<Flow, Trouble> {
        self.command.clear();
        self.sequence = frame.sequence;
        self.fill_to(HEADER + 1).await?;
        let command = Command::from_byte(self.client.input().get(HEADER).copied().unwrap_or(0));
        match command {
            Command::Query => self.long_query().await,
            Command::StmtExecute => self.long_execute().await,
            Command::StmtSendLongData => self.long_long_data().await,
            _ => {
                self.sequence = self.discard().await?;
                let what = "this command is larger than 16 MiB";
                Err(say(error_code::PACKET_TOO_LARGE, what))
            }
        }
    }

    async fn set_option(&mut self) -> Result<Flow, Trouble> {
        let option = self.payload().get(1).copied();
        let flow = self.pass_to_primary(Expect::Results).await?;
        match option {
            Some(0) => self.who.capabilities |= MULTI_STATEMENTS,
            _ => self.who.capabilities &= !MULTI_STATEMENTS,
        }
        // A reset does not take it back.
        if let Some(primary) = &mut self.primary {
            primary.reusable = false;
        }
        Ok(flow)
    }
}
