//! A small client for administration: it logs in, asks in text, reads the whole answer. Not on the
//! data path.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use telemetry::Secret;
use tokio::net::{TcpStream, UnixStream};

use crate::auth::{self, NativeKey};
use crate::capability::{
    CONNECT_WITH_DB, DEPRECATE_EOF, LONG_FLAG, MULTI_RESULTS, PLUGIN_AUTH, PLUGIN_AUTH_LENENC,
    PROTOCOL_41, SECURE_CONNECTION, SESSION_TRACK, TRANSACTIONS, status,
};
use crate::command::{self, Command};
use crate::handshake::{AuthSwitch, Greeting, Response};
use crate::packet::{self, Channel, PacketError};
use crate::reply;
use crate::wire::{Malformed, Reader};

/// From the first packet to the end of the login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);
/// One packet of an answer, and all its rows together.
const ANSWER_LIMIT: usize = 64 << 20;
/// utf8mb4_general_ci.
const COLLATION: u8 = 45;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there, or it cannot be reached.
    #[error("{address}: {source}")]
    Refused {
        address: Address,
        source: std::io::Error,
    },
    /// The server answered the greeting or the login with an error.
    #[error("{address}: the server refused `{user}`: {message} (error {code})")]
    Denied {
        address: Address,
        user: String,
        code: u16,
        message: String,
    },
    #[error("{address}: {what}")]
    Protocol { address: Address, what: String },
    #[error("{address}: no answer in {} s", .after.as_secs())]
    Timeout { address: Address, after: Duration },
}

/// Why a statement has no result.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The server's own error.
    #[error("{message} (error {code}, {state})")]
    Server {
        code: u16,
        state: String,
        message: String,
    },
    #[error("connection to the database server: {0}")]
    Io(std::io::Error),
    #[error("unexpected answer of the database server: {0}")]
    Protocol(String),
}

impl QueryError {
    /// The server's error code, if it was the server that failed the statement.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Server { code, .. } => Some(*code),
            Self::Io(_) | Self::Protocol(_) => None,
        }
    }
}

impl From<PacketError> for QueryError {
    fn from(error: PacketError) -> Self {
        match error {
            PacketError::Io(source) => Self::Io(source),
            PacketError::Closed => Self::Io(std::io::ErrorKind::UnexpectedEof.into()),
            PacketError::TooLong { .. } => Self::Protocol(error.to_string()),
        }
    }
}

impl From<std::io::Error> for QueryError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Malformed> for QueryError {
    fn from(error: Malformed) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<reply::ErrPacket> for QueryError {
    fn from(error: reply::ErrPacket) -> Self {
        Self::Server {
            code: error.code,
            state: error.state,
            message: error.message,
        }
    }
}

/// A result set as text; not UTF-8 is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    pub columns: Vec<String>,
    /// `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The value in the column called `column` (case-insensitive, as SHOW's names vary); `None` for
    /// NULL and for what is not there.
    pub fn get(&self, row: usize, column: &str) -> Option<&str> {
        let index = self
            .columns
            .iter()
            .position(|name| name.eq_ignore_ascii_case(column))?;
        self.rows.get(row)?.get(index)?.as_deref()
    }

    /// The value in the first row.
    pub fn first(&self, column: &str) -> Option<&str> {
        self.get(0, column)
    }

    /// The first value of the first row, whatever its name.
    pub fn single(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

/// What a statement without a result set did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    pub affected_rows: u64,
    pub last_insert_id: u64,
    pub warnings: u16,
    /// Only when the server tracks `last_gtid` for this session.
    pub last_gtid: Option<String>,
}

/// One logged-in connection.
#[derive(Debug)]
pub struct Connection {
    channel: Channel,
    greeting: Greeting,
}

impl Connection {
    /// Connects and logs in as `user`, at most 5 s; `schema` becomes the default database.
    pub async fn connect(
        to: &Address,
        user: &str,
        password: &Secret,
        schema: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let opening = open(to, user, password, schema);
        match tokio::time::timeout(LOGIN_TIMEOUT, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(ConnectError::Timeout {
                address: to.clone(),
                after: LOGIN_TIMEOUT,
            }),
        }
    }

    /// The server's version as it announces itself, e.g. `5.5.5-10.11.6-MariaDB`.
    pub fn server_version(&self) -> &str {
        &self.greeting.version
    }

    /// The status word of a new connection: with AUTOCOMMIT or without.
    pub fn server_status(&self) -> u16 {
        self.greeting.status
    }

    /// The server's id of this connection, as `SHOW PROCESSLIST` has it.
    pub fn connection_id(&self) -> u32 {
        self.greeting.connection_id
    }

    /// Runs one statement; its rows, none when it has no result set. Of several result sets
    /// (a procedure) the first is given.
    pub async fn query(&mut self, sql: &str) -> Result<Rows, QueryError> {
        let (rows, _) = self.run(sql).await?;
        Ok(rows.unwrap_or_default())
    }

    /// Runs one statement for its effect; a result set is dropped.
    pub async fn execute(&mut self, sql: &str) -> Result<Done, QueryError> {
        let (_, done) = self.run(sql).await?;
        Ok(done)
    }

    /// Says goodbye; dropping the connection does without.
    pub async fn quit(mut self) {
        let mut out = Vec::new();
        command::put(&mut out, Command::Quit, &[]);
        if let Err(e) = self.channel.write(&out).await {
            tracing::trace!("goodbye to a database server: {e}");
        }
    }

    async fn run(&mut self, sql: &str) -> Result<(Option<Rows>, Done), QueryError> {
        let mut out = Vec::with_capacity(sql.len() + 8);
        let payload = [&[Command::Query.byte()], sql.as_bytes()].concat();
        packet::put(&mut out, &mut 0, &payload);
        self.channel.write(&out).await?;

        let mut first = None;
        loop {
            let (rows, done, status) = self.one_result().await?;
            if first.is_none() {
                first = rows;
            }
            if status & status::MORE_RESULTS == 0 {
                return Ok((first, done));
            }
        }
    }

    async fn one_result(&mut self) -> Result<(Option<Rows>, Done, u16), QueryError> {
        let head = self.payload().await?;
        match head.first() {
            Some(0x00) => {
                let ok = reply::OkPacket::parse(&head, true)?;
                Ok((None, done(&ok), ok.status))
            }
            Some(0xff) => Err(reply::ErrPacket::parse(&head)?.into()),
            Some(0xfb) => Err(QueryError::Protocol("it asks for a local file".to_owned())),
            _ => {
                let count = Reader::new(&head)
                    .lenenc()
                    .ok_or(Malformed("column count"))?;
                self.result_set(count).await
            }
        }
    }

    async fn result_set(&mut self, count: u64) -> Result<(Option<Rows>, Done, u16), QueryError> {
        let mut rows = Rows::default();
        for _ in 0..count {
            let definition = self.payload().await?;
            rows.columns
                .push(column_name(&definition).ok_or(Malformed("column definition"))?);
        }
        let mut size = 0;
        loop {
            let row = self.payload().await?;
            match row.first() {
                Some(0xfe) if row.len() < packet::FULL_FRAME => {
                    let ok = reply::OkPacket::parse(&row, true)?;
                    return Ok((Some(rows), done(&ok), ok.status));
                }
                Some(0xff) => return Err(reply::ErrPacket::parse(&row)?.into()),
                _ => {}
            }
            size += row.len();
            if size > ANSWER_LIMIT {
                return Err(QueryError::Protocol("too many rows".to_owned()));
            }
            rows.rows
                .push(values(&row, rows.columns.len()).ok_or(Malformed("row"))?);
        }
    }

    async fn payload(&mut self) -> Result<BytesMut, QueryError> {
        Ok(self.channel.packet(ANSWER_LIMIT).await?.payload)
    }
}

fn done(ok: &reply::OkPacket<'_>) -> Done {
    let last_gtid = ok.changes().find_map(|change| match change {
        reply::Change::Variable { name, value } if name == b"last_gtid" => {
            Some(String::from_utf8_lossy(value).into_owned())
        }
        _ => None,
    });
    Done {
        affected_rows: ok.affected_rows,
        last_insert_id: ok.last_insert_id,
        warnings: ok.warnings,
        last_gtid: last_gtid.filter(|gtid| !gtid.is_empty()),
    }
}

/// The name a column has in the result (after catalog, schema, table and original table).
fn column_name(definition: &[u8]) -> Option<String> {
    let mut reader = Reader::new(definition);
    for _ in 0..4 {
        reader.lenenc_bytes()?;
    }
    Some(String::from_utf8_lossy(reader.lenenc_bytes()?).into_owned())
}

fn values(row: &[u8], count: usize) -> Option<Vec<Option<String>>> {
    let mut reader = Reader::new(row);
    (0..count)
        .map(|_| {
            let value = reader.nullable_bytes()?;
            Some(value.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
        })
        .collect()
}

async fn open(
    to: &Address,
    user: &str,
    password: &Secret,
    schema: Option<&str>,
) -> Result<Connection, ConnectError> {
    let refused = |source| ConnectError::Refused {
        address: to.clone(),
        source,
    };
    let channel: Channel = match to {
        Address::Unix(path) => UnixStream::connect(path).await.map_err(refused)?.into(),
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(refused)?;
            stream.set_nodelay(true).map_err(refused)?;
            stream.into()
        }
    };
    let login = Login {
        to,
        user,
        password,
        schema,
    };
    login.run(channel).await
}

/// A login under way, with what its errors must name.
struct Login<'a> {
    to: &'a Address,
    user: &'a str,
    password: &'a Secret,
    schema: Option<&'a str>,
}

impl Login<'_> {
    async fn run(&self, mut channel: Channel) -> Result<Connection, ConnectError> {
        let first = self.next(&mut channel).await?;
        let greeting = Greeting::parse(&first.payload).map_err(|e| self.protocol(e))?;
        let wanted = PROTOCOL_41
            | LONG_FLAG
            | TRANSACTIONS
            | SECURE_CONNECTION
            | MULTI_RESULTS
            | PLUGIN_AUTH
            | PLUGIN_AUTH_LENENC
            | SESSION_TRACK
            | DEPRECATE_EOF;
        if greeting.capabilities & DEPRECATE_EOF == 0 {
            return Err(self.protocol("the server is older than MySQL 5.7 and MariaDB 10.2"));
        }
        // A plugin we do not speak: answer with the oldest, the server will ask to switch.
        let plugin = match greeting.plugin.as_str() {
            auth::CACHING_SHA2 => auth::CACHING_SHA2,
            _ => auth::NATIVE,
        };
        let connect_with = self.schema.map_or(0, |_| CONNECT_WITH_DB);
        let response = Response {
            capabilities: wanted & greeting.capabilities | connect_with,
            max_packet: u32::try_from(ANSWER_LIMIT).unwrap_or(u32::MAX),
            collation: COLLATION,
            user: self.user.to_owned(),
            answer: self.answer(plugin, &greeting.salt)?,
            schema: self.schema.map(str::to_owned),
            plugin: Some(plugin.to_owned()),
        };
        self.send(&mut channel, first.sequence, &response.encode())
            .await?;
        self.verdict(&mut channel).await?;
        Ok(Connection { channel, greeting })
    }

    async fn verdict(&self, channel: &mut Channel) -> Result<(), ConnectError> {
        loop {
            let packet = self.next(channel).await?;
            match packet.payload.first() {
                Some(0x00) => return Ok(()),
                Some(0xfe) => {
                    let switch =
                        AuthSwitch::parse(&packet.payload).map_err(|e| self.protocol(e))?;
                    let answer = self.answer(&switch.plugin, &switch.salt)?;
                    self.send(channel, packet.sequence, &answer).await?;
                }
                // caching_sha2: 3 "known, go on", 4 "send me the password over TLS".
                Some(0x01) if packet.payload.get(1) == Some(&3) => {}
                Some(0x01) => {
                    return Err(self.protocol("the server asks for the password over TLS"));
                }
                _ => return Err(self.protocol("the server's verdict makes no sense")),
            }
        }
    }

    fn answer(&self, plugin: &str, salt: &auth::Salt) -> Result<Vec<u8>, ConnectError> {
        match plugin {
            auth::NATIVE => Ok(NativeKey::of(self.password.expose()).answer(salt)),
            auth::CACHING_SHA2 => Ok(auth::caching_sha2_answer(self.password.expose(), salt)),
            // The socket's owner is the proof; there is nothing to say.
            "unix_socket" | "auth_socket" => Ok(Vec::new()),
            other => Err(self.protocol(format!(
                "the account `{}` uses the authentication plugin `{other}`, which is not supported",
                self.user
            ))),
        }
    }

    /// The next packet; an error packet becomes the error.
    async fn next(&self, channel: &mut Channel) -> Result<packet::Packet, ConnectError> {
        let packet = channel
            .packet(packet::FULL_FRAME)
            .await
            .map_err(|e| self.lost(e))?;
        if packet.payload.first() != Some(&0xff) {
            return Ok(packet);
        }
        let error = reply::ErrPacket::parse(&packet.payload).map_err(|e| self.protocol(e))?;
        Err(ConnectError::Denied {
            address: self.to.clone(),
            user: self.user.to_owned(),
            code: error.code,
            message: error.message,
        })
    }

    async fn send(
        &self,
        channel: &mut Channel,
        after: u8,
        payload: &[u8],
    ) -> Result<(), ConnectError> {
        let mut out = Vec::with_capacity(payload.len() + packet::HEADER);
        packet::put(&mut out, &mut after.wrapping_add(1), payload);
        channel.write(&out).await.map_err(|e| self.lost(e.into()))
    }

    fn lost(&self, error: PacketError) -> ConnectError {
        match error {
            PacketError::Io(source) => ConnectError::Refused {
                address: self.to.clone(),
                source,
            },
            other => self.protocol(other),
        }
    }

    fn protocol(&self, what: impl fmt::Display) -> ConnectError {
        ConnectError::Protocol {
            address: self.to.clone(),
            what: what.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
