//! Pure: walks the bytes of a server's answer, so that they can be passed on untouched. Only frame
//! heads and first bytes are looked at; packets that mean something (OK, ERR, the end of rows …)
//! are pointed out, whole.
//!
//! Source: MySQL internals, "Text Resultset", "COM_STMT_PREPARE response", "LOCAL INFILE Request";
//! cursors as measured on MariaDB 10.11: without DEPRECATE_EOF the EOF after the columns carries
//! CURSOR_EXISTS and is the only one.

use crate::capability::status::{CURSOR_EXISTS, MORE_RESULTS};
use crate::packet::{Frame, HEADER};
use crate::reply::parse_eof;
use crate::wire::{Malformed, Reader};

/// The longest packet that is pointed out whole; real ones are some hundred bytes.
const CONTROL_LIMIT: usize = 1 << 20;

/// The shape of a command's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// OK, ERR, EOF, a request for a local file, result sets.
    Results,
    /// COM_STMT_PREPARE.
    Prepared,
    /// Rows without a head: COM_STMT_FETCH, COM_FIELD_LIST.
    Rows,
    /// One packet of any content: COM_STATISTICS.
    One,
}

/// What a pointed-out packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// OK, or the OK that ends a result set: `reply::OkPacket` reads it.
    Ok,
    /// The EOF that ends a result set.
    Eof,
    Err,
    /// The server waits for a file of the client; its answer goes on after that.
    LocalFile,
    /// The head of a prepared statement.
    Prepared(Prepared),
}

/// COM_STMT_PREPARE's OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    pub id: u32,
    pub columns: u16,
    pub parameters: u16,
}

/// The verdict on some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// This many bytes from the front have no meaning of their own.
    pub pass: usize,
    pub then: Then,
}

/// What stands after the passed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing can be said before at least this many bytes stand there.
    More(usize),
    /// A packet of `length` bytes, head included. The next scan begins after it.
    Packet { length: usize, what: What },
    /// The answer is over.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    First,
    FirstOfPrepared,
    Definitions { left: u64, next: Next },
    EofOfDefinitions(Next),
    Rows,
    One,
    Done,
}

/// What follows a group of definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Rows,
    /// A prepared statement's columns, after its parameters.
    Columns(u16),
    Done,
}

impl Next {
    fn begin(self) -> State {
        match self {
            Self::Rows => State::Rows,
            Self::Columns(0) | Self::Done => State::Done,
            Self::Columns(left) => State::Definitions {
                left: u64::from(left),
                next: Self::Done,
            },
        }
    }
}

/// Where in an answer the bytes are.
#[derive(Debug, Clone)]
pub struct Scanner {
    deprecate_eof: bool,
    state: State,
    /// Bytes of the current frame still to pass.
    body: usize,
    /// The next frame belongs to the packet before.
    continued: bool,
    rows: u64,
}

/// What one frame turned out to be.
enum Step {
    Pass,
    Point(What),
}

impl Scanner {
    pub fn new(expect: Expect, deprecate_eof: bool) -> Self {
        let state = match expect {
            Expect::Results => State::First,
            Expect::Prepared => State::FirstOfPrepared,
            Expect::Rows => State::Rows,
            Expect::One => State::One,
        };
        Self {
            deprecate_eof,
            state,
            body: 0,
            continued: false,
            rows: 0,
        }
    }

    /// Rows so far, of all result sets.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Walks on over `bytes`, which begin where the last scan said it ended.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, Malformed> {
        let mut pass = 0;
        loop {
            let rest = bytes.get(pass..).unwrap_or_default();
            if self.body > 0 {
                let part = self.body.min(rest.len());
                self.body -= part;
                pass += part;
                if self.body > 0 {
                    return Ok(Scan {
                        pass,
                        then: Then::More(1),
                    });
                }
                continue;
            }
            if self.state == State::Done && !self.continued {
                return Ok(Scan {
                    pass,
                    then: Then::Done,
                });
            }
            let Some(frame) = Frame::parse(rest) else {
                return Ok(Scan {
                    pass,
                    then: Then::More(HEADER),
                });
            };
            if self.continued {
                self.pass_frame(frame, &mut pass);
                continue;
            }
            let needed = HEADER + self.needed(frame, rest)?;
            let Some(payload) = rest.get(HEADER..needed) else {
                return Ok(Scan {
                    pass,
                    then: Then::More(needed),
                });
            };
            match self.step(frame, payload)? {
                Step::Pass => self.pass_frame(frame, &mut pass),
                Step::Point(what) => {
                    let then = Then::Packet {
                        length: needed,
                        what,
                    };
                    return Ok(Scan { pass, then });
                }
            }
        }
    }

    fn pass_frame(&mut self, frame: Frame, pass: &mut usize) {
        *pass += HEADER;
        self.body = frame.length;
        self.continued = frame.continues();
    }

    /// How much of the payload must be there to tell what it is: nothing, its first byte, or all.
    fn needed(&self, frame: Frame, rest: &[u8]) -> Result<usize, Malformed> {
        if frame.length == 0 {
            return match self.state {
                State::Rows | State::One => Ok(0),
                _ => Err(Malformed("answer: an empty packet")),
            };
        }
        let whole = match (self.state, rest.get(HEADER)) {
            (State::One, _) => return Ok(0),
            (_, None) => return Ok(1),
            (State::Rows, Some(first)) => self.ends_rows(frame, *first),
            (State::Definitions { .. }, Some(first)) => *first == 0xff,
            _ => true,
        };
        match whole {
            false => Ok(1),
            true if frame.length > CONTROL_LIMIT => Err(Malformed("answer: a packet too long")),
            true => Ok(frame.length),
        }
    }

    fn ends_rows(&self, frame: Frame, first: u8) -> bool {
        match first {
            // No row starts with 0xFF; one that starts with 0xFE holds a value of 16 MiB at least.
            0xff => true,
            0xfe => !frame.continues() && (self.deprecate_eof || frame.length < 9),
            _ => false,
        }
    }

    fn step(&mut self, frame: Frame, payload: &[u8]) -> Result<Step, Malformed> {
        let first = payload.first().copied();
        match (self.state, first) {
            (State::One, _) => {
                self.state = State::Done;
                Ok(Step::Pass)
            }
            (_, Some(0xff)) => {
                self.state = State::Done;
                Ok(Step::Point(What::Err))
            }
            (State::First, Some(0x00)) => self.ok(payload),
            (State::First, Some(0xfe)) => self.end(payload),
            (State::First, Some(0xfb)) => Ok(Step::Point(What::LocalFile)),
            (State::First, _) => {
                let left = Reader::new(payload).lenenc().unwrap_or(0);
                self.definitions(left, Next::Rows);
                Ok(Step::Pass)
            }
            (State::FirstOfPrepared, _) => self.prepared(payload),
            (State::Definitions { left, next }, _) => {
                self.definitions(left.saturating_sub(1), next);
                Ok(Step::Pass)
            }
            (State::EofOfDefinitions(next), _) => self.end_of_definitions(payload, next),
            (State::Rows, Some(first)) if self.ends_rows(frame, first) => self.end(payload),
            (State::Rows, _) => {
                self.rows += 1;
                Ok(Step::Pass)
            }
            (State::Done, _) => Ok(Step::Pass),
        }
    }

    fn definitions(&mut self, left: u64, next: Next) {
        self.state = match left {
            0 if self.deprecate_eof => next.begin(),
            0 => State::EofOfDefinitions(next),
            left => State::Definitions { left, next },
        };
    }

    fn end_of_definitions(&mut self, payload: &[u8], next: Next) -> Result<Step, Malformed> {
        let (_, status) = parse_eof(payload).ok_or(Malformed("end of definitions"))?;
        if next == Next::Rows && status & CURSOR_EXISTS != 0 {
            self.after_result(status);
            return Ok(Step::Point(What::Eof));
        }
        self.state = next.begin();
        Ok(Step::Pass)
    }

    fn ok(&mut self, payload: &[u8]) -> Result<Step, Malformed> {
        let status = ok_status(payload).ok_or(Malformed("OK packet"))?;
        self.after_result(status);
        Ok(Step::Point(What::Ok))
    }

    fn end(&mut self, payload: &[u8]) -> Result<Step, Malformed> {
        if self.deprecate_eof {
            return self.ok(payload);
        }
        let (_, status) = parse_eof(payload).ok_or(Malformed("EOF packet"))?;
        self.after_result(status);
        Ok(Step::Point(What::Eof))
    }

    fn after_result(&mut self, status: u16) {
        self.state = match status & MORE_RESULTS {
            0 => State::Done,
            _ => State::First,
        };
    }

    fn prepared(&mut self, payload: &[u8]) -> Result<Step, Malformed> {
        let prepared = read_prepared(payload).ok_or(Malformed("prepared statement"))?;
        if prepared.parameters > 0 {
            let next = Next::Columns(prepared.columns);
            self.definitions(u64::from(prepared.parameters), next);
        } else {
            self.state = Next::Columns(prepared.columns).begin();
        }
        Ok(Step::Point(What::Prepared(prepared)))
    }
}

fn ok_status(payload: &[u8]) -> Option<u16> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    reader.lenenc()?;
    reader.lenenc()?;
    reader.u16()
}

fn read_prepared(payload: &[u8]) -> Option<Prepared> {
    let mut reader = Reader::new(payload);
    reader.u8().filter(|first| *first == 0)?;
    Some(Prepared {
        id: reader.u32()?,
        columns: reader.u16()?,
        parameters: reader.u16()?,
    })
}

#[cfg(test)]
mod tests;
