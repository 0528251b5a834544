//! One connection to a database server: logged in as the client's user, with what its session has,
//! and the router's own questions over it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mysql::auth::Key;
use mysql::capability::{
    Capabilities, DEPRECATE_EOF, EXPIRED_PASSWORDS, FOUND_ROWS, IGNORE_SPACE, INTERACTIVE,
    LOCAL_FILES, LONG_FLAG, MULTI_RESULTS, MULTI_STATEMENTS, NO_SCHEMA, ODBC, PLUGIN_AUTH,
    PLUGIN_AUTH_LENENC, PROTOCOL_41, PS_MULTI_RESULTS, SECURE_CONNECTION, SESSION_TRACK,
    TRANSACTIONS,
};
use mysql::command::{self, Command};
use mysql::gtid::mariadb::Position;
use mysql::login::{self, LoginError, Who};
use mysql::packet::{self, Channel, PacketError};
use mysql::reply::ErrPacket;
use mysql::scan::{Expect, Prepared, Scanner, Then, What};
use mysql::tls::Connector;
use mysql::wire::Reader;
use site::name::MemberName;
use tokio::net::TcpStream;

use crate::limits::{CONNECT, OWN_ANSWER};
use crate::prepared::{OnServer, Spare};
use crate::slots::Slot;
use crate::state::Settings;

/// What the router always agrees on with a server.
const ALWAYS: Capabilities = PROTOCOL_41
    | LONG_FLAG
    | TRANSACTIONS
    | SECURE_CONNECTION
    | PLUGIN_AUTH
    | PLUGIN_AUTH_LENENC
    | SESSION_TRACK;

/// What a client's choice decides: the server then sends what this client understands.
pub(crate) const CARRIED: Capabilities = FOUND_ROWS
    | NO_SCHEMA
    | ODBC
    | LOCAL_FILES
    | IGNORE_SPACE
    | INTERACTIVE
    | MULTI_STATEMENTS
    | MULTI_RESULTS
    | PS_MULTI_RESULTS
    | EXPIRED_PASSWORDS
    | DEPRECATE_EOF;

/// Makes `FOUND_ROWS()` nothing.
pub(crate) const COUNT_NOTHING: &str = "SELECT 1 LIMIT 0";

/// Whom a server connection speaks for.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) key: Key,
    /// The client's, as far as they are carried.
    pub(crate) capabilities: Capabilities,
    pub(crate) collation: u8,
}

/// A server to connect to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) member: MemberName,
    pub(crate) address: SocketAddr,
    pub(crate) generation: u64,
    /// How TLS is spoken with it, if it is; or why it cannot be.
    pub(crate) tls: Result<Option<Connector>, String>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The server said no, in its own words.
    #[error("{}", .0.message)]
    Refused(ErrPacket),
    /// All connections that may be open are in use.
    #[error("all {limit} connections to {member} are in use")]
    Busy { member: MemberName, limit: usize },
    #[error("{member} at {address}: {what}")]
    Unreachable {
        member: MemberName,
        address: SocketAddr,
        what: String,
    },
}

/// Why the router's own question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("{}", .0.message)]
    Refused(ErrPacket),
    /// The connection cannot be used any more.
    #[error("{0}")]
    Broken(String),
}

impl From<PacketError> for AskError {
    fn from(error: PacketError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<std::io::Error> for AskError {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// What a connection knows of those who had it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// Nothing: as after a login.
    Clean,
    /// Another session of the same user had it. Nothing of it is there but `has`, `spare`, its
    /// `LAST_INSERT_ID()`, and what only a statement that looks back can ask for.
    Left { insert_id: u64 },
    /// Something that is not known, or not to be undone: only a reset makes it another's.
    Unknown,
}

impl Past {
    /// `LAST_INSERT_ID()` there.
    pub(crate) fn insert_id(self) -> u64 {
        match self {
            Self::Left { insert_id } => insert_id,
            Self::Clean | Self::Unknown => 0,
        }
    }
}

/// A logged-in connection.
#[derive(Debug)]
pub(crate) struct ServerConnection {
    pub(crate) channel: Channel,
    pub(crate) member: MemberName,
    /// Under which it was made: of no use under another.
    pub(crate) generation: u64,
    /// The server's id of it.
    pub(crate) thread: u32,
    /// Ours; never given twice in a worker's life.
    pub(crate) serial: u64,
    /// The status word of the login.
    pub(crate) status: u16,
    pub(crate) capabilities: Capabilities,
    /// When it was opened.
    pub(crate) born: Instant,
    /// May another session have it later?
    pub(crate) reusable: bool,
    pub(crate) has: Settings,
    /// The server reports what changes.
    pub(crate) tracked: bool,
    /// It is what its session wants it to be.
    pub(crate) ready: bool,
    /// Of the sessions before.
    pub(crate) past: Past,
    /// Its session has run a statement on it.
    pub(crate) used: bool,
    /// Something was run on it whose traces are not known, or that left warnings.
    pub(crate) tainted: bool,
    /// What this replica is known to have.
    pub(crate) reached: Position,
    /// By the client's id.
    pub(crate) prepared: BTreeMap<u32, OnServer>,
    /// Prepared by sessions that had it before, and of nobody now.
    pub(crate) spare: Vec<Spare>,
    /// Its place among the thread's connections to this server.
    pub(crate) slot: Slot,
}

impl ServerConnection {
    /// Connects and logs in, within `CONNECT`.
    pub(crate) async fn open(
        target: &Target,
        who: &Identity,
        schema: Option<&str>,
        serial: u64,
        slot: Slot,
    ) -> Result<Box<Self>, OpenError> {
        let opening = log_in(target, who, schema, serial, slot);
        match tokio::time::timeout(CONNECT, opening).await {
            Ok(opened) => opened.map(Box::new),
            Err(_) => Err(target.unreachable(format!("no answer in {} s", CONNECT.as_secs()))),
        }
    }

    pub(crate) fn deprecate_eof(&self) -> bool {
        self.capabilities & DEPRECATE_EOF != 0
    }

    /// A statement of the router's own; its first row, if it has one.
    pub(crate) async fn ask(&mut self, sql: &str) -> Result<Vec<Option<String>>, AskError> {
        self.ask_with_collation(sql).await.map(|(row, _)| row)
    }

    /// The same, with the number of the collation that its first column is sent in.
    pub(crate) async fn ask_with_collation(
        &mut self,
        sql: &str,
    ) -> Result<(Vec<Option<String>>, u16), AskError> {
        let mut out = Vec::with_capacity(sql.len() + 5);
        command::put(&mut out, Command::Query, sql.as_bytes());
        self.channel.write(&out).await?;
        self.first_row().await
    }

    async fn first_row(&mut self) -> Result<(Vec<Option<String>>, u16), AskError> {
        let head = self.own_packet().await?;
        let count = match head.first() {
            Some(0x00) => return Ok((Vec::new(), 0)),
            _ => Reader::new(&head).lenenc().unwrap_or(0),
        };
        let definitions = count + u64::from(!self.deprecate_eof());
        let mut sent_in = None;
        for _ in 0..definitions {
            let definition = self.own_packet().await?;
            sent_in.get_or_insert_with(|| collation(&definition));
        }
        let mut first = None;
        loop {
            let row = self.own_packet().await?;
            if row.first() == Some(&0xfe) {
                let sent_in = sent_in.flatten().unwrap_or(0);
                return Ok((first.unwrap_or_default(), sent_in));
            }
            first.get_or_insert_with(|| values(&row));
        }
    }

    async fn own_packet(&mut self) -> Result<BytesMut, AskError> {
        let payload = self.channel.packet(OWN_ANSWER).await?.payload;
        match refusal(&payload) {
            Some(error) => Err(AskError::Refused(error)),
            None => Ok(payload),
        }
    }

    /// Does this replica have everything in `wanted`, at the latest after `wait`?
    pub(crate) async fn reaches(
        &mut self,
        wanted: &Position,
        wait: Duration,
    ) -> Result<bool, AskError> {
        if self.reached.contains(wanted) {
            return Ok(true);
        }
        let seconds = wait.as_secs_f64();
        let sql = format!("SELECT MASTER_GTID_WAIT('{wanted}', {seconds:.3})");
        let row = self.ask(&sql).await?;
        let reached = row.first().and_then(|value| value.as_deref()) == Some("0");
        if reached {
            self.reached.join(wanted);
        }
        Ok(reached)
    }

    /// COM_RESET_CONNECTION: as after the login, except for the schema. `FOUND_ROWS()` outlasts it (measured).
    pub(crate) async fn reset(&mut self) -> Result<(), AskError> {
        self.tracked = false;
        self.ready = false;
        self.past = Past::Clean;
        self.used = false;
        self.tainted = false;
        self.has.variables.clear();
        self.has.user.clear();
        self.prepared.clear();
        self.spare.clear();
        let mut out = Vec::new();
        command::put(&mut out, Command::ResetConnection, &[]);
        command::put(&mut out, Command::Query, COUNT_NOTHING.as_bytes());
        self.channel.write(&out).await?;
        self.own_packet().await?;
        self.first_row().await.map(drop)
    }

    /// `USE`, without its quoting.
    pub(crate) async fn use_schema(&mut self, schema: &str) -> Result<(), AskError> {
        let mut out = Vec::new();
        command::put(&mut out, Command::InitDb, schema.as_bytes());
        self.channel.write(&out).await?;
        self.own_packet().await?;
        self.has.schema = Some(schema.to_owned());
        Ok(())
    }

    /// Prepares a client's statement here too; what the server says of it is dropped.
    pub(crate) async fn prepare(&mut self, text: &[u8]) -> Result<Prepared, AskError> {
        let mut out = Vec::with_capacity(text.len() + 5);
        let payload = [&[Command::StmtPrepare.byte()], text].concat();
        packet::put(&mut out, &mut 0, &payload);
        self.channel.write(&out).await?;
        let mut scanner = Scanner::new(Expect::Prepared, self.deprecate_eof());
        let mut prepared = Err(AskError::Broken("no answer".to_owned()));
        loop {
            let scan = scanner
                .scan(self.channel.input())
                .map_err(|e| AskError::Broken(e.to_string()))?;
            self.channel.consume(scan.pass);
            match scan.then {
                Then::More(count) => self.channel.fill_to(count).await?,
                Then::Done => return prepared,
                Then::Packet { length, what } => {
                    prepared = match what {
                        What::Prepared(head) => Ok(head),
                        _ => Err(self.refused_by(length)),
                    };
                    self.channel.consume(length);
                }
            }
        }
    }

    fn refused_by(&self, length: usize) -> AskError {
        let payload = self.channel.input().get(packet::HEADER..length);
        match payload.and_then(refusal) {
            Some(error) => AskError::Refused(error),
            None => AskError::Broken("an answer that makes no sense".to_owned()),
        }
    }
}

/// Of a column's definition: six names, the length of what follows, the collation.
fn collation(definition: &[u8]) -> Option<u16> {
    let mut reader = Reader::new(definition);
    for _ in 0..6 {
        reader.lenenc_bytes()?;
    }
    reader.lenenc()?;
    reader.u16()
}

fn values(row: &[u8]) -> Vec<Option<String>> {
    let mut reader = Reader::new(row);
    let mut values = Vec::new();
    while let Some(value) = reader.nullable_bytes() {
        values.push(value.map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
    }
    values
}

fn refusal(payload: &[u8]) -> Option<ErrPacket> {
    (payload.first() == Some(&0xff)).then(|| ErrPacket::parse(payload).ok())?
}

impl Target {
    fn unreachable(&self, what: impl std::fmt::Display) -> OpenError {
        OpenError::Unreachable {
            member: self.member.clone(),
            address: self.address,
            what: what.to_string(),
        }
    }
}

async fn log_in(
    target: &Target,
    who: &Identity,
    schema: Option<&str>,
    serial: u64,
    slot: Slot,
) -> Result<ServerConnection, OpenError> {
    let stream = TcpStream::connect(target.address)
        .await
        .map_err(|e| target.unreachable(e))?;
    stream
        .set_nodelay(true)
        .map_err(|e| target.unreachable(e))?;
    let failed = |error| match error {
        LoginError::Refused(error) => OpenError::Refused(error),
        other => target.unreachable(other),
    };
    let tls = target.tls.as_ref().map_err(|e| target.unreachable(e))?;
    let mut channel = Channel::from(stream);
    let greeted = login::greeted(&mut channel).await.map_err(failed)?;
    let wanted = who.capabilities & CARRIED | ALWAYS;
    if wanted & greeted.greeting.capabilities != wanted {
        let missing = wanted & !greeted.greeting.capabilities;
        return Err(target.unreachable(format!("it lacks the capabilities {missing:#x}")));
    }
    let as_client = Who {
        user: &who.user,
        key: &who.key,
        schema,
        capabilities: wanted,
        max_packet: 1 << 30,
        collation: who.collation,
    };
    let logged_in = login::log_in(&mut channel, &greeted, &as_client, tls.as_ref()).await;
    let status = logged_in.map_err(failed)?;
    Ok(ServerConnection {
        channel,
        member: target.member.clone(),
        generation: target.generation,
        thread: greeted.greeting.connection_id,
        serial,
        status,
        capabilities: wanted,
        born: Instant::now(),
        reusable: true,
        has: Settings {
            schema: schema.map(str::to_owned),
            ..Settings::default()
        },
        tracked: false,
        ready: false,
        past: Past::Clean,
        used: false,
        tainted: false,
        reached: Position::default(),
        prepared: BTreeMap::new(),
        spare: Vec::new(),
        slot,
    })
}
