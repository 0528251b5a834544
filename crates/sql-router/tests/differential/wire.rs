//! A client that hides nothing: whole answers, packet by packet.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use mysql::auth::NativeKey;
use mysql::capability::{
    CONNECT_WITH_DB, DEPRECATE_EOF, FOUND_ROWS, LOCAL_FILES, LONG_FLAG, MULTI_RESULTS,
    MULTI_STATEMENTS, PLUGIN_AUTH, PS_MULTI_RESULTS, SESSION_TRACK, TRANSACTIONS,
};
use mysql::command::{self, Command};
use mysql::handshake::{AuthSwitch, Greeting, Response};
use mysql::packet::{self, Channel};
use mysql::reply::{Change, ErrPacket, OkPacket, parse_eof};
use mysql::wire::put_nul_terminated;
use tokio::net::TcpStream;

use crate::generate::bulk;
use crate::payload::{execute, padded};
use crate::step::{Lane, Step};

/// Longer than any statement here takes; a silence of this length is an answer too: "none".
const PATIENCE: Duration = Duration::from_secs(20);
const LIMIT: usize = 1 << 26;
/// Longer ones are told by their length and a sum.
const SHOWN: usize = 300;
/// Every account of this test has it.
const PASSWORD: &str = "secret";

/// One packet of an answer, as far as it has to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Ok {
        affected: u64,
        insert_id: u64,
        status: u16,
        warnings: u16,
        info: String,
    },
    Eof {
        status: u16,
        warnings: u16,
    },
    Error {
        code: u16,
        state: String,
        message: String,
    },
    Prepared {
        columns: u16,
        parameters: u16,
        warnings: u16,
    },
    /// The head of a result set, a definition, a row: its bytes, readable as far as they are text.
    Bytes(String),
    /// The connection is closed.
    Closed,
    /// No answer came.
    Silence,
}

/// A whole answer, and what it reported about the session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) reports: Vec<String>,
}

/// Flags of the status word that may differ: what an optimizer found (no index, no good index, slow)
/// depends on estimates; that a statement was prepared anew depends on when it first was; that there
/// is a report, on whether the router asked for more reports.
const MAY_DIFFER: u16 = 0x0010 | 0x0020 | 0x0800 | 0x0400 | 0x4000;

/// The only place where differences are forgiven. Beside the flags above: the ids of prepared
/// statements (never part of a `Piece`), and where an error names one.
fn normal(code: u16, message: String) -> String {
    match code {
        // "Unknown prepared statement handler (7) given to …", "The statement (7) has no …"
        1243 | 1421 => message.split('(').next().unwrap_or_default().to_owned(),
        _ => message,
    }
}

/// A row, perhaps of SHOW WARNINGS: there too.
fn normal_row(row: &[u8]) -> Piece {
    let text = visible(row);
    match text.find("statement (").or_else(|| text.find("handler (")) {
        // Its length depends on the id as well.
        Some(at) => Piece::Bytes(text[at..].split('(').next().unwrap_or_default().to_owned()),
        None => Piece::Bytes(text),
    }
}

/// A session over the wire.
#[derive(Debug)]
pub(crate) struct Client {
    channel: Channel,
    modern: bool,
    salt: [u8; 20],
    /// By the script's slot: the server's id, its number of parameters, the types bound last.
    prepared: HashMap<usize, (u32, u16)>,
    bound: HashMap<usize, Vec<u8>>,
    closed: bool,
}

fn visible(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        None => bytes.escape_ascii().to_string(),
        Some(head) => {
            let sum = bytes.iter().fold(0u64, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
            });
            format!("{}… {} bytes, {sum:x}", head.escape_ascii(), bytes.len())
        }
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, lane: &Lane) -> Self {
        let mut channel = Channel::from(TcpStream::connect(address).await.unwrap());
        let greeting = Greeting::parse(&channel.packet(LIMIT).await.unwrap().payload).unwrap();
        let mut capabilities = LONG_FLAG
            | LOCAL_FILES
            | TRANSACTIONS
            | MULTI_STATEMENTS
            | MULTI_RESULTS
            | PS_MULTI_RESULTS
            | PLUGIN_AUTH
            | CONNECT_WITH_DB;
        if lane.modern {
            capabilities |= DEPRECATE_EOF | SESSION_TRACK;
        }
        if lane.found_rows {
            capabilities |= FOUND_ROWS;
        }
        let response = Response {
            capabilities,
            max_packet: 1 << 30,
            collation: lane.collation,
            user: lane.user.to_owned(),
            answer: NativeKey::of(PASSWORD).answer(&greeting.salt),
            schema: Some(lane.schema.clone()),
            plugin: None,
        };
        let mut out = Vec::new();
        packet::put(&mut out, &mut 1, &response.encode());
        channel.write(&out).await.unwrap();
        let verdict = channel.packet(LIMIT).await.unwrap().payload;
        assert_eq!(verdict.first(), Some(&0), "{}", visible(&verdict));
        Self {
            channel,
            modern: lane.modern,
            salt: greeting.salt,
            prepared: HashMap::new(),
            bound: HashMap::new(),
            closed: false,
        }
    }

    pub(crate) async fn run(&mut self, step: &Step) -> Answer {
        let mut answer = Answer::default();
        if self.closed {
            answer.pieces.push(Piece::Closed);
            return answer;
        }
        let done = tokio::time::timeout(PATIENCE, self.exchange(step, &mut answer)).await;
        match done {
            Ok(Some(())) => {}
            Ok(None) => {
                self.closed = true;
                answer.pieces.push(Piece::Closed);
            }
            Err(_) => {
                self.closed = true;
                answer.pieces.push(Piece::Silence);
            }
        }
        answer
    }

    async fn send(&mut self, command: Command, payload: &[u8]) -> Option<()> {
        let mut out = Vec::new();
        command::put(&mut out, command, payload);
        self.channel.write(&out).await.ok()
    }

    async fn packet(&mut self) -> Option<Vec<u8>> {
        let packet = self.channel.packet(LIMIT).await.ok()?;
        Some(packet.payload.to_vec())
    }

    fn id(&self, slot: usize) -> (u32, u16) {
        // A slot that holds nothing: an id no server gives out.
        self.prepared
            .get(&slot)
            .copied()
            .unwrap_or((0x7000_0000, 0))
    }

    /// None: the connection is closed.
    async fn exchange(&mut self, step: &Step, answer: &mut Answer) -> Option<()> {
        match step {
            Step::Query(sql) => {
                self.send(Command::Query, sql).await?;
                self.results(answer).await
            }
            Step::Padded(sql, length) => {
                let text = padded(sql, *length);
                self.send(Command::Query, &text).await?;
                self.results(answer).await
            }
            Step::Prepare(slot, sql) => {
                self.prepared.remove(slot);
                self.bound.remove(slot);
                self.send(Command::StmtPrepare, sql.as_bytes()).await?;
                self.preparation(*slot, answer).await
            }
            Step::Execute {
                slot,
                values,
                cursor,
                bind,
            } => {
                let (id, parameters) = self.id(*slot);
                let before = self.bound.get(slot).filter(|_| !*bind);
                let (payload, types) = execute(id, parameters, values, *cursor, before);
                self.bound.insert(*slot, types);
                self.send(Command::StmtExecute, &payload).await?;
                self.results(answer).await
            }
            Step::Fetch(slot, rows) => {
                let payload = [self.id(*slot).0.to_le_bytes(), rows.to_le_bytes()].concat();
                self.send(Command::StmtFetch, &payload).await?;
                self.rows(answer).await.map(drop)
            }
            Step::LongData(slot, parameter, bytes) => {
                let id = self.id(*slot).0.to_le_bytes();
                let payload = [&id[..], &parameter.to_le_bytes(), bytes].concat();
                self.send(Command::StmtSendLongData, &payload).await
            }
            Step::Reset(slot) => {
                let id = self.id(*slot).0;
                self.send(Command::StmtReset, &id.to_le_bytes()).await?;
                self.results(answer).await
            }
            Step::Close(slot) => {
                let id = self.id(*slot).0;
                self.prepared.remove(slot);
                self.send(Command::StmtClose, &id.to_le_bytes()).await
            }
            Step::InitDb(schema) => {
                self.send(Command::InitDb, schema.as_bytes()).await?;
                self.results(answer).await
            }
            Step::FieldList(table) => {
                let payload = [table.as_bytes(), &[0]].concat();
                self.send(Command::FieldList, &payload).await?;
                self.rows(answer).await.map(drop)
            }
            Step::Ping => {
                self.send(Command::Ping, &[]).await?;
                self.results(answer).await
            }
            Step::MultiStatements(on) => {
                let option = u16::from(!*on).to_le_bytes();
                self.send(Command::SetOption, &option).await?;
                // An OK with the head of an EOF, and reports behind it.
                let verdict = self.packet().await?;
                self.piece(&verdict, answer);
                Some(())
            }
            Step::ResetConnection => {
                self.send(Command::ResetConnection, &[]).await?;
                self.results(answer).await
            }
            Step::ChangeUser { user, schema } => {
                let key = NativeKey::of(PASSWORD).answer(&self.salt);
                let mut payload = Vec::new();
                put_nul_terminated(&mut payload, user.as_bytes());
                payload.push(u8::try_from(key.len()).unwrap_or(0));
                payload.extend_from_slice(&key);
                put_nul_terminated(&mut payload, schema.as_bytes());
                payload.extend_from_slice(&[45, 0]);
                put_nul_terminated(&mut payload, mysql::auth::NATIVE.as_bytes());
                self.prepared.clear();
                self.send(Command::ChangeUser, &payload).await?;
                self.switched(answer).await
            }
        }
    }

    /// The answer to COM_CHANGE_USER; a new salt may come first, which is no difference.
    async fn switched(&mut self, answer: &mut Answer) -> Option<()> {
        let packet = self.channel.packet(LIMIT).await.ok()?;
        if packet.payload.first() != Some(&0xfe) {
            self.piece(&packet.payload, answer);
            return Some(());
        }
        let switch = AuthSwitch::parse(&packet.payload).unwrap();
        self.salt = switch.salt;
        let mut out = Vec::new();
        let reply = NativeKey::of(PASSWORD).answer(&switch.salt);
        packet::put(&mut out, &mut packet.sequence.wrapping_add(1), &reply);
        self.channel.write(&out).await.ok()?;
        self.results(answer).await
    }

    /// Notes a packet that is OK, EOF or an error. Its status word; none: it was an error.
    fn piece(&self, payload: &[u8], answer: &mut Answer) -> Option<u16> {
        if payload.first() == Some(&0xff) {
            let error = ErrPacket::parse(payload).unwrap();
            answer.pieces.push(Piece::Error {
                code: error.code,
                state: error.state,
                message: normal(error.code, error.message),
            });
            return None;
        }
        if payload.first() == Some(&0xfe) && payload.len() < 9 && !self.modern {
            let (warnings, status) = parse_eof(payload).unwrap();
            let piece = Piece::Eof {
                status: status & !MAY_DIFFER,
                warnings,
            };
            answer.pieces.push(piece);
            return Some(status);
        }
        let ok = OkPacket::parse(payload, self.modern).unwrap();
        answer.reports.extend(ok.changes().filter_map(report));
        answer.pieces.push(Piece::Ok {
            affected: ok.affected_rows,
            insert_id: ok.last_insert_id,
            status: ok.status & !MAY_DIFFER,
            warnings: ok.warnings,
            info: visible(ok.info),
        });
        Some(ok.status)
    }

    async fn results(&mut self, answer: &mut Answer) -> Option<()> {
        loop {
            let packet = self.channel.packet(LIMIT).await.ok()?;
            let (head, sequence) = (packet.payload, packet.sequence);
            let status = match head.first() {
                Some(0x00 | 0xff) => self.piece(&head, answer),
                Some(0xfe) if head.len() < 9 => self.piece(&head, answer),
                Some(0xfb) => {
                    answer.pieces.push(Piece::Bytes(visible(&head)));
                    self.file(&head[1..], sequence).await?;
                    continue;
                }
                Some(count) => {
                    answer.pieces.push(Piece::Bytes(visible(&head)));
                    self.definitions(usize::from(*count), answer).await?;
                    match self.end_of_definitions(answer).await? {
                        Some(status) if status & 0x40 != 0 => return Some(()),
                        _ => self.rows(answer).await?,
                    }
                }
                None => {
                    answer.pieces.push(Piece::Bytes(String::new()));
                    None
                }
            };
            // SERVER_MORE_RESULTS_EXISTS
            if status.is_none_or(|status| status & 0x08 == 0) {
                return Some(());
            }
        }
    }

    /// Sends what stands in a file of ours, then the empty packet that ends it.
    async fn file(&mut self, name: &[u8], after: u8) -> Option<()> {
        let (mut out, mut sequence) = (Vec::new(), after.wrapping_add(1));
        for part in bulk::file(name).chunks(16_000).chain([&[][..]]) {
            packet::put(&mut out, &mut sequence, part);
        }
        self.channel.write(&out).await.ok()
    }

    async fn definitions(&mut self, count: usize, answer: &mut Answer) -> Option<()> {
        for _ in 0..count {
            let definition = self.packet().await?;
            answer.pieces.push(Piece::Bytes(visible(&definition)));
        }
        Some(())
    }

    /// The inner value: the status word, when there is such an end.
    async fn end_of_definitions(&mut self, answer: &mut Answer) -> Option<Option<u16>> {
        if self.modern {
            return Some(None);
        }
        let end = self.packet().await?;
        Some(self.piece(&end, answer))
    }

    /// The inner value: the status word; none: they ended with an error.
    async fn rows(&mut self, answer: &mut Answer) -> Option<Option<u16>> {
        loop {
            let row = self.packet().await?;
            let end = match row.first() {
                Some(0xff) => true,
                // Of a full frame: a value of 16 MiB and more.
                Some(0xfe) => row.len() < 9 || self.modern && row.len() < 0xff_ffff,
                _ => false,
            };
            if end {
                return Some(self.piece(&row, answer));
            }
            answer.pieces.push(normal_row(&row));
        }
    }

    async fn preparation(&mut self, slot: usize, answer: &mut Answer) -> Option<()> {
        let head = self.packet().await?;
        if head.first() == Some(&0xff) {
            self.piece(&head, answer);
            return Some(());
        }
        if head.len() < 12 {
            answer.pieces.push(Piece::Bytes(visible(&head)));
            return Some(());
        }
        let number = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let id = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let (columns, parameters) = (number(5), number(7));
        self.prepared.insert(slot, (id, parameters));
        answer.pieces.push(Piece::Prepared {
            columns,
            parameters,
            warnings: number(10),
        });
        for count in [parameters, columns] {
            if count > 0 {
                self.definitions(usize::from(count), answer).await?;
                self.end_of_definitions(answer).await?;
            }
        }
        Some(())
    }
}

/// A report, if it is of a kind that servers give by default.
fn report(change: Change<'_>) -> Option<String> {
    match change {
        Change::Variable { name, value } => Some(format!("{}={}", visible(name), visible(value))),
        Change::Schema(name) => Some(format!("schema {}", visible(name))),
        Change::State | Change::Characteristics(_) | Change::Transaction(_) => None,
    }
}
