//! A small client for administration: it logs in, asks in text, reads the whole answer. Not on the
//! data path.

mod login;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use telemetry::Secret;

use crate::capability::status;
use crate::command::{self, Command};
use crate::handshake::Greeting;
use crate::packet::{self, Channel, PacketError};
use crate::reply;
use crate::tls::Connector;
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
        Self::connect_by(to, user, password, schema, None).await
    }

    /// The same over TLS, if `tls` says how.
    pub async fn connect_by(
        to: &Address,
        user: &str,
        password: &Secret,
        schema: Option<&str>,
        tls: Option<&Connector>,
    ) -> Result<Self, ConnectError> {
        let opening = login::open(to, user, password, schema, tls);
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

#[cfg(test)]
mod tests;
