//! Bytes through: a command's frames to a server, its answer's frames to the client. Memory is
//! bounded by one read (64 KiB) plus one control packet, and the slower side sets the pace.

use std::time::Duration;

use mysql::error_code;
use mysql::packet::{Channel, HEADER, PacketError};
use mysql::reply::{ErrPacket, OkPacket, parse_eof};
use mysql::scan::{Expect, Prepared, Scanner, Then, What};

use crate::absorb;
use crate::intake::{head, some};
use crate::server::ServerConnection;
use crate::state::SessionState;
use crate::statement::class::Class;

/// How an answer is treated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) expect: Expect,
    /// The client agreed on session tracking.
    pub(crate) client_tracks: bool,
    pub(crate) withholds: Withholds,
    /// The client's id for the statement being prepared.
    pub(crate) prepared_as: u32,
    /// So long a client may be silent in the middle of a file.
    pub(crate) stalled: Duration,
    /// The number of the answer's first packet, by the command's last frame.
    pub(crate) sequence: u8,
}

/// Which error is kept back, because the statement is run once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withholds {
    Nothing,
    /// From a replica, with the primary to be asked after it: what the primary may not have.
    OfReplica,
    /// From a primary, that it takes no writes now: a switchover is under way.
    ReadOnly,
}

impl Withholds {
    fn is_meant(self, error: &ErrPacket) -> bool {
        match self {
            Self::Nothing => false,
            Self::OfReplica => is_withheld(error.code),
            // The same code stands for other options too.
            Self::ReadOnly => {
                error.code == error_code::OPTION_PREVENTS.code
                    && error.message.contains("read-only")
            }
        }
    }
}

/// What an answer was.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// It was an error, which the client has got.
    pub(crate) error: Option<u16>,
    /// It was an error, which the client has not got.
    pub(crate) withheld: Option<ErrPacket>,
    pub(crate) prepared: Option<Prepared>,
    /// What can be asked about the statement afterwards.
    pub(crate) left: Left,
    /// It left warnings, or is an error: a list that stays until a statement with a table.
    pub(crate) warned: bool,
    /// It had a result set, perhaps an empty one.
    pub(crate) has_rows: bool,
    /// Rows that the client has got.
    pub(crate) rows: u64,
}

/// What `ROW_COUNT()` and `SHOW WARNINGS` have to tell of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Left {
    /// It had no rows, changed none, and there are no warnings.
    #[default]
    Nothing,
    /// The same, and it had rows.
    Rows,
    /// More than that.
    More,
}

/// Why an answer did not come to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    Client(PacketError),
    Server {
        why: String,
        /// The client has got a part of it.
        begun: bool,
    },
}

/// One answer under way.
struct Relay<'a> {
    server: &'a mut ServerConnection,
    client: &'a mut Channel,
    terms: Terms,
    scanner: Scanner,
    /// Bytes at the front of the server's input that are ready to be written.
    ready: usize,
    begun: bool,
    answer: Answer,
}

/// Passes a server's answer on. `state`: the session, when this server's word counts (the primary).
pub(crate) async fn answer(
    server: &mut ServerConnection,
    client: &mut Channel,
    terms: Terms,
    mut state: Option<&mut SessionState>,
    class: Option<&Class>,
) -> Result<Answer, Broken> {
    let scanner = Scanner::new(terms.expect, server.deprecate_eof());
    let mut relay = Relay {
        server,
        client,
        terms,
        scanner,
        ready: 0,
        begun: false,
        answer: Answer::default(),
    };
    loop {
        match relay.step()? {
            Then::Done => {
                relay.flush().await?;
                relay.server.tainted |= relay.answer.warned;
                relay.answer.rows = relay.scanner.rows();
                return Ok(relay.answer);
            }
            Then::More(count) => {
                relay.flush().await?;
                let filled = relay.server.channel.fill_to(count).await;
                filled.map_err(|e| relay.lost(e.to_string()))?;
            }
            Then::Packet { length, what } => {
                relay.packet(length, what, state.as_deref_mut(), class)?;
                if relay.answer.withheld.is_some() {
                    relay.server.tainted = true;
                    return Ok(relay.answer);
                }
                if what == What::LocalFile {
                    relay.local_file().await?;
                }
            }
        }
    }
}

impl Relay<'_> {
    fn lost(&self, why: impl std::fmt::Display) -> Broken {
        Broken::Server {
            why: why.to_string(),
            begun: self.begun,
        }
    }

    fn step(&mut self) -> Result<Then, Broken> {
        let rest = self.server.channel.input().get(self.ready..);
        let scan = self
            .scanner
            .scan(rest.unwrap_or_default())
            .map_err(|e| self.lost(e))?;
        self.ready += scan.pass;
        Ok(scan.then)
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        if self.ready == 0 {
            return Ok(());
        }
        let bytes = self.server.channel.input().get(..self.ready);
        self.begun = true;
        let written = self.client.write(bytes.unwrap_or_default()).await;
        written.map_err(|e| Broken::Client(e.into()))?;
        self.server.channel.consume(self.ready);
        self.ready = 0;
        Ok(())
    }

    /// A packet that means something, `length` bytes after those that are ready.
    fn packet(
        &mut self,
        length: usize,
        what: What,
        state: Option<&mut SessionState>,
        class: Option<&Class>,
    ) -> Result<(), Broken> {
        match what {
            What::Ok => return self.ok(length, state, class),
            What::Eof => {
                self.answer.has_rows = true;
                let status = self.payload(length).and_then(parse_eof);
                self.answer.warned |= !matches!(status, Some((0, _)));
                self.answer.left = match status {
                    Some((0, _)) => Left::Rows,
                    _ => Left::More,
                };
                if let (Some(state), Some((_, status))) = (state, status) {
                    absorb::eof(state, status, class);
                }
            }
            What::Err => {
                let payload = self.payload(length).unwrap_or_default();
                let error = ErrPacket::parse(payload).map_err(|e| self.lost(e))?;
                let first = self.ready == 0 && !self.begun;
                self.answer.warned = true;
                if first && self.terms.withholds.is_meant(&error) {
                    self.server.channel.consume(length);
                    self.answer.withheld = Some(error);
                    return Ok(());
                }
                self.answer.error = Some(error.code);
                if let Some(state) = state {
                    absorb::err(state, error.code, class);
                }
                self.answer.warned = true;
                self.answer.left = Left::More;
                if first {
                    self.number_error();
                }
            }
            What::Prepared(prepared) => {
                self.answer.prepared = Some(prepared);
                let at = self.ready + HEADER + 1;
                let id = self.server.channel.input_mut().get_mut(at..at + 4);
                if let Some(id) = id {
                    id.copy_from_slice(&self.terms.prepared_as.to_le_bytes());
                }
            }
            What::LocalFile => {}
        }
        self.ready += length;
        Ok(())
    }

    /// A server that gives up on a command in its middle numbers its error by the frames it has read,
    /// or as nobody's answer; the client counts those it has sent.
    fn number_error(&mut self) {
        let at = self.ready + HEADER - 1;
        if let Some(number) = self.server.channel.input_mut().get_mut(at) {
            *number = self.terms.sequence;
        }
    }

    fn payload(&self, length: usize) -> Option<&[u8]> {
        let at = self.ready;
        self.server.channel.input().get(at + HEADER..at + length)
    }

    fn ok(
        &mut self,
        length: usize,
        state: Option<&mut SessionState>,
        class: Option<&Class>,
    ) -> Result<(), Broken> {
        let at = self.ready;
        let payload = self.server.channel.input().get(at + HEADER..at + length);
        let ok = OkPacket::parse(payload.unwrap_or_default(), true).map_err(|e| self.lost(e))?;
        self.answer.warned |= ok.warnings != 0;
        self.answer.left = match (ok.warnings, ok.affected_rows, ok.header) {
            (0, 0, 0) => Left::Nothing,
            (0, _, 0xfe) => Left::Rows,
            _ => Left::More,
        };
        self.answer.has_rows |= ok.header == 0xfe;
        if let Some(state) = state {
            absorb::ok(state, &mut self.server.has, &ok, class);
        }
        // An OK without text and report is the same for clients that do not track.
        if self.terms.client_tracks || !ok.has_more() {
            self.ready += length;
            return Ok(());
        }
        let mut plain = Vec::with_capacity(length);
        let sequence = self
            .server
            .channel
            .input()
            .get(at + 3)
            .copied()
            .unwrap_or(0);
        let mut payload = Vec::with_capacity(length);
        ok.encode_plain(&mut payload);
        mysql::packet::put(&mut plain, &mut { sequence }, &payload);
        let input = self.server.channel.input_mut();
        let (end, shorter) = (input.len(), length.saturating_sub(plain.len()));
        let Some(place) = input
            .get_mut(at..at + plain.len())
            .filter(|_| at + length <= end)
        else {
            return Err(self.lost("an OK packet that cannot be rewritten"));
        };
        place.copy_from_slice(&plain);
        input.copy_within(at + length..end, at + plain.len());
        input.truncate(end - shorter);
        self.ready += plain.len();
        Ok(())
    }

    /// The client's file: packets to the server, until an empty one.
    async fn local_file(&mut self) -> Result<(), Broken> {
        self.flush().await?;
        let mut continued = false;
        loop {
            let stalled = self.terms.stalled;
            let frame = head(self.client, stalled).await.map_err(Broken::Client)?;
            let mut left = HEADER + frame.length;
            while left > 0 {
                let part = some(self.client, left, stalled).await;
                let bytes = part.map_err(Broken::Client)?;
                let (length, sent) = (bytes.len(), self.server.channel.write(bytes).await);
                sent.map_err(|e| self.lost(e))?;
                self.client.consume(length);
                left -= length;
            }
            if frame.length == 0 && !continued {
                return Ok(());
            }
            continued = frame.continues();
        }
    }
}

/// Errors that say less about the statement than about the replica.
fn is_withheld(code: u16) -> bool {
    error_code::is_read_only(code) || error_code::is_perhaps_behind(code)
}
