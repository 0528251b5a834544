//! Pure: what a server answers: OK, ERR, EOF, and what it says in OK of the session's state.
//!
//! Source: MySQL internals, "Generic Response Packets"; MariaDB KB, "OK_Packet", "ERR_Packet",
//! "EOF_Packet". Measured on MariaDB 10.11: with `session_track_system_variables='*'` an OK reports
//! `last_gtid` and every variable that was set.

use crate::capability::status::SESSION_STATE_CHANGED;
use crate::error_code::ErrorCode;
use crate::wire::{Malformed, Reader, put_lenenc, put_lenenc_bytes};

/// A statement succeeded, or a result set is over (DEPRECATE_EOF).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OkPacket<'a> {
    /// 0x00, or 0xFE at the end of a result set.
    pub header: u8,
    pub affected_rows: u64,
    pub last_insert_id: u64,
    pub status: u16,
    pub warnings: u16,
    pub info: &'a [u8],
    /// What changed in the session, for `changes`.
    changes: &'a [u8],
}

impl<'a> OkPacket<'a> {
    /// `session_track`: it was agreed on, which changes the layout.
    pub fn parse(payload: &'a [u8], session_track: bool) -> Result<Self, Malformed> {
        Self::read(payload, session_track).ok_or(Malformed("OK packet"))
    }

    fn read(payload: &'a [u8], session_track: bool) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let header = reader.u8()?;
        let affected_rows = reader.lenenc()?;
        let last_insert_id = reader.lenenc()?;
        let status = reader.u16()?;
        let warnings = reader.u16()?;
        let (mut info, mut changes): (&[u8], &[u8]) = (&[], &[]);
        if !reader.is_empty() {
            // With a length either way, though the manual says otherwise (measured; clients read one).
            info = reader.lenenc_bytes()?;
            if session_track && status & SESSION_STATE_CHANGED != 0 {
                changes = reader.lenenc_bytes()?;
            }
        }
        Some(Self {
            header,
            affected_rows,
            last_insert_id,
            status,
            warnings,
            info,
            changes,
        })
    }

    /// What changed in the session. Kinds not known are left out; ends at the first malformed one.
    pub fn changes(&self) -> Changes<'a> {
        Changes {
            blocks: Reader::new(self.changes),
            variables: Reader::new(&[]),
        }
    }

    /// Is there anything that changed?
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Is there more than the counts: a text, a report, or the mark of one?
    pub fn has_more(&self) -> bool {
        !self.info.is_empty() || self.status & SESSION_STATE_CHANGED != 0
    }

    /// The same as a client without SESSION_TRACK expects it.
    pub fn encode_plain(&self, out: &mut Vec<u8>) {
        out.push(self.header);
        put_lenenc(out, self.affected_rows);
        put_lenenc(out, self.last_insert_id);
        out.extend_from_slice(&(self.status & !SESSION_STATE_CHANGED).to_le_bytes());
        out.extend_from_slice(&self.warnings.to_le_bytes());
        if !self.info.is_empty() {
            put_lenenc_bytes(out, self.info);
        }
    }
}

/// One thing that changed in the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    Variable {
        name: &'a [u8],
        value: &'a [u8],
    },
    Schema(&'a [u8]),
    /// Something changed that has no report of its own: a user variable, a temporary table …
    State,
    /// SQL that would start the open transaction again, empty when there is nothing to say.
    Characteristics(&'a [u8]),
    /// Eight letters, `_` for "no": T/I open, r/R read, w/W wrote, s stmt unsafe, S result sent, L locked tables.
    Transaction(&'a [u8]),
}

/// Iterates over the state blocks of an OK packet.
#[derive(Debug, Clone)]
pub struct Changes<'a> {
    blocks: Reader<'a>,
    /// The rest of a block of variables: MariaDB puts several pairs into one.
    variables: Reader<'a>,
}

impl<'a> Iterator for Changes<'a> {
    type Item = Change<'a>;

    fn next(&mut self) -> Option<Change<'a>> {
        loop {
            if !self.variables.is_empty() {
                let name = self.variables.lenenc_bytes()?;
                let value = self.variables.lenenc_bytes()?;
                return Some(Change::Variable { name, value });
            }
            let kind = self.blocks.u8()?;
            let mut block = Reader::new(self.blocks.lenenc_bytes()?);
            match kind {
                0 => self.variables = block,
                1 => return Some(Change::Schema(block.lenenc_bytes()?)),
                2 => return Some(Change::State),
                4 => return Some(Change::Characteristics(block.lenenc_bytes()?)),
                5 => return Some(Change::Transaction(block.lenenc_bytes()?)),
                _ => {}
            }
        }
    }
}

/// A statement failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrPacket {
    pub code: u16,
    pub state: String,
    pub message: String,
}

impl ErrPacket {
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        Self::read(payload).ok_or(Malformed("error packet"))
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        reader.u8().filter(|header| *header == 0xff)?;
        let code = reader.u16()?;
        let rest = reader.rest();
        // Before the login is over there is no SQLSTATE.
        let (state, message) = match rest.split_first() {
            Some((b'#', rest)) => rest.split_at_checked(5)?,
            _ => (b"HY000".as_slice(), rest),
        };
        Some(Self {
            code,
            state: String::from_utf8_lossy(state).into_owned(),
            message: String::from_utf8_lossy(message).into_owned(),
        })
    }
}

/// The code alone, of an ERR packet.
pub fn error_code(payload: &[u8]) -> Option<u16> {
    let mut reader = Reader::new(payload);
    reader.u8().filter(|header| *header == 0xff)?;
    reader.u16()
}

/// The end of columns or rows, without DEPRECATE_EOF: (warnings, status).
pub fn parse_eof(payload: &[u8]) -> Option<(u16, u16)> {
    let mut reader = Reader::new(payload);
    reader.u8().filter(|header| *header == 0xfe)?;
    Some((reader.u16()?, reader.u16()?))
}

/// The payload of an OK packet of our own.
pub fn ok(status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    vec![0, 0, 0, low, high, 0, 0]
}

/// The same, with the report that `schema` is the session's now: for clients with SESSION_TRACK.
pub fn ok_in_schema(status: u16, schema: &str) -> Vec<u8> {
    let (mut name, mut block, mut out) = (Vec::new(), vec![1], ok(status | SESSION_STATE_CHANGED));
    put_lenenc_bytes(&mut name, schema.as_bytes());
    put_lenenc_bytes(&mut block, &name);
    // No text.
    out.push(0);
    put_lenenc_bytes(&mut out, &block);
    out
}

/// The OK of a login over TLS, with the proof that this certificate is the server's own.
pub fn ok_with_info(status: u16, info: &str) -> Vec<u8> {
    let mut out = ok(status);
    put_lenenc_bytes(&mut out, info.as_bytes());
    out
}

/// The payload of an ERR packet.
pub fn err(code: ErrorCode, message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 9);
    out.push(0xff);
    out.extend_from_slice(&code.code.to_le_bytes());
    out.push(b'#');
    out.extend_from_slice(code.state.as_bytes());
    out.extend_from_slice(message.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `INSERT` on MariaDB 10.11 with all trackers on.
    const INSERTED: &[u8] = b"\0\x01\0\x02\x40\0\0\0\x19\0\x17\x09last_gtid\x0c0-1-55869abc";

    #[test]
    fn the_gtid_of_a_write_is_found() {
        let ok = OkPacket::parse(INSERTED, true).unwrap();
        assert_eq!(ok.affected_rows, 1);
        let changes: Vec<_> = ok.changes().collect();
        assert_eq!(
            changes,
            [Change::Variable {
                name: b"last_gtid",
                value: b"0-1-55869abc"
            }]
        );
    }

    #[test]
    fn several_blocks_and_several_variables_are_walked() {
        let mut payload = b"\0\0\0\x02\x40\0\0\0".to_vec();
        let blocks = b"\0\x08\x01a\x011\x01b\x012\x01\x03\x02db\x63\x01x\x02\x02\x011\x05\x02\x01_";
        payload.push(blocks.len() as u8);
        payload.extend_from_slice(blocks);
        let ok = OkPacket::parse(&payload, true).unwrap();
        let changes: Vec<_> = ok.changes().collect();
        assert_eq!(
            changes,
            [
                Change::Variable {
                    name: b"a",
                    value: b"1"
                },
                Change::Variable {
                    name: b"b",
                    value: b"2"
                },
                Change::Schema(b"db"),
                Change::State,
                Change::Transaction(b"_"),
            ]
        );
    }

    #[test]
    fn a_plain_ok_has_no_trace_of_tracking() {
        let mut plain = Vec::new();
        OkPacket::parse(INSERTED, true)
            .unwrap()
            .encode_plain(&mut plain);
        assert_eq!(plain, [0, 1, 0, 2, 0, 0, 0]);
    }

    #[test]
    fn the_text_of_an_ok_has_its_length_before_it_whoever_reads_it() {
        let inserted = b"\0\x02\0\x02\0\0\0\x0aRecords: 2";
        for track in [false, true] {
            let ok = OkPacket::parse(inserted, track).unwrap();
            assert_eq!(ok.info, b"Records: 2");
            let mut plain = Vec::new();
            ok.encode_plain(&mut plain);
            assert_eq!(plain, inserted);
        }
    }

    #[test]
    fn a_schema_is_reported() {
        let packet = ok_in_schema(2, "shop");
        let ok = OkPacket::parse(&packet, true).unwrap();
        assert_eq!(ok.changes().collect::<Vec<_>>(), [Change::Schema(b"shop")]);
        assert_eq!((ok.status, ok.info), (0x4002, b"".as_slice()));
    }

    #[test]
    fn an_error_comes_back() {
        let payload = err(crate::error_code::ACCESS_DENIED, "no");
        let parsed = ErrPacket::parse(&payload).unwrap();
        assert_eq!((parsed.code, parsed.state.as_str()), (1045, "28000"));
        assert_eq!(parsed.message, "no");
        assert_eq!(
            ErrPacket::parse(b"\xff\x10\x04full").unwrap().message,
            "full"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(bytes: Vec<u8>, track: bool) {
            if let Ok(ok) = OkPacket::parse(&bytes, track) {
                prop_assert!(ok.changes().count() <= bytes.len());
            }
            drop(ErrPacket::parse(&bytes));
            let _ = (parse_eof(&bytes), error_code(&bytes));
        }
    }
}
