//! Pure: what a binary log holds, found by walking its events: positions, times, where to stop.
//!
//! Only the heads of events and the bodies of two kinds are looked at (MariaDB KB, "2-Binlog Event
//! Header", "Gtid_event", "Gtid_list_event"). All numbers are little-endian. Fed in pieces of any size,
//! so a log of a gigabyte needs no gigabyte.

use mysql::gtid::mariadb::{Gtid, Position};

/// The first bytes of every binary log.
const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];
const HEAD: usize = 19;
const FORMAT_DESCRIPTION: u8 = 15;
const START_ENCRYPTION: u8 = 164;
const GTID: u8 = 162;
const GTID_LIST: u8 = 163;
/// Bytes of a body that are looked at: a GTID list of 4,000 entries; one entry per domain and server.
const BODY: usize = 64 << 10;

/// What is found in a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Contents {
    /// When the server began it, seconds since 1970.
    pub created_s: Option<u64>,
    pub before: Position,
    pub after: Position,
    pub first_s: Option<u64>,
    pub last_s: Option<u64>,
    pub transactions: u64,
    /// The position before the first transaction stamped at or after the time asked for; `None`: all are
    /// earlier, or no time was asked for.
    pub stop_before: Option<Position>,
}

/// The bytes are no binary log, or one that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it does not begin as a binary log")]
    Magic,
    #[error("it is encrypted by the server (`encrypt_binlog`), and only the server can read it")]
    Encrypted,
    #[error("an event at byte {0} has an impossible length")]
    Length(u64),
    #[error("it ends in the middle of an event")]
    Truncated,
}

/// Walks a log piece by piece.
#[derive(Debug)]
pub(super) struct Walker {
    stop_s: Option<u64>,
    contents: Contents,
    /// The head, and of the body what is looked at.
    event: Vec<u8>,
    /// Bytes of the event that are still to come.
    rest: Option<u64>,
    at: u64,
    magic: usize,
}

impl Walker {
    /// `stop_s`: find out where to stop before that second.
    pub(super) fn new(stop_s: Option<u64>) -> Self {
        Self {
            stop_s,
            contents: Contents::default(),
            event: Vec::new(),
            rest: None,
            at: 0,
            magic: 0,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Unreadable> {
        while let Some(expected) = MAGIC.get(self.magic) {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            if first != expected {
                return Err(Unreadable::Magic);
            }
            self.magic += 1;
            self.at += 1;
            bytes = rest;
        }
        while !bytes.is_empty() {
            bytes = match self.rest {
                None => self.head(bytes)?,
                Some(rest) => self.body(bytes, rest)?,
            };
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Contents, Unreadable> {
        match (self.magic, self.event.is_empty()) {
            (0..4, _) => Err(Unreadable::Magic),
            (_, false) => Err(Unreadable::Truncated),
            _ => Ok(self.contents),
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Unreadable> {
        let wanted = HEAD - self.event.len();
        let (taken, left) = bytes.split_at(wanted.min(bytes.len()));
        self.event.extend_from_slice(taken);
        if self.event.len() < HEAD {
            return Ok(left);
        }
        let length = u64::from(self.u32(9));
        let rest = length
            .checked_sub(HEAD as u64)
            .ok_or(Unreadable::Length(self.at))?;
        self.at = self.at.saturating_add(length);
        self.rest = Some(rest);
        if rest == 0 {
            self.event()?;
        }
        Ok(left)
    }

    fn body<'a>(&mut self, bytes: &'a [u8], rest: u64) -> Result<&'a [u8], Unreadable> {
        let here = usize::try_from(rest).unwrap_or(usize::MAX).min(bytes.len());
        let (taken, left) = bytes.split_at(here);
        let room = (HEAD + BODY).saturating_sub(self.event.len());
        let looked_at = matches!(self.kind(), GTID | GTID_LIST);
        if looked_at {
            self.event
                .extend_from_slice(taken.get(..room).unwrap_or(taken));
        }
        let rest = rest.saturating_sub(taken.len() as u64);
        self.rest = Some(rest);
        if rest == 0 {
            self.event()?;
        }
        Ok(left)
    }

    /// One event is complete.
    fn event(&mut self) -> Result<(), Unreadable> {
        let at = u64::from(self.u32(0));
        match self.kind() {
            FORMAT_DESCRIPTION => self.contents.created_s = Some(at),
            START_ENCRYPTION => return Err(Unreadable::Encrypted),
            GTID => self.gtid(at),
            GTID_LIST => self.gtid_list(),
            _ => {}
        }
        self.event.clear();
        self.rest = None;
        Ok(())
    }

    fn gtid(&mut self, at: u64) {
        let gtid = Gtid {
            sequence: u64::from(self.u32(HEAD)) | u64::from(self.u32(HEAD + 4)) << 32,
            domain: self.u32(HEAD + 8),
            server: self.u32(5),
        };
        let contents = &mut self.contents;
        if self.stop_s.is_some_and(|stop| at >= stop) && contents.stop_before.is_none() {
            contents.stop_before = Some(contents.after.clone());
        }
        contents.after.advance(gtid);
        contents.first_s.get_or_insert(at);
        contents.last_s = contents.last_s.max(Some(at));
        contents.transactions += 1;
    }

    /// The first one says what was in the logs before.
    fn gtid_list(&mut self) {
        if self.contents.transactions > 0 {
            return;
        }
        let count = self.u32(HEAD) & 0x0fff_ffff;
        let mut before = Position::default();
        let entries = self.event.get(HEAD + 4..).unwrap_or_default();
        for index in 0..entries.chunks_exact(16).len().min(count as usize) {
            let at = HEAD + 4 + index * 16;
            before.advance(Gtid {
                domain: self.u32(at),
                server: self.u32(at + 4),
                sequence: u64::from(self.u32(at + 8)) | u64::from(self.u32(at + 12)) << 32,
            });
        }
        self.contents.after = before.clone();
        self.contents.before = before;
    }

    fn kind(&self) -> u8 {
        self.event.get(4).copied().unwrap_or_default()
    }

    /// Zero beyond the end: an event that is too short for what it says names nothing.
    fn u32(&self, at: usize) -> u32 {
        let bytes = self.event.get(at..at.saturating_add(4));
        let bytes: Option<[u8; 4]> = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(at: u32, kind: u8, server: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEAD + body.len()).unwrap();
        let mut event = at.to_le_bytes().to_vec();
        event.push(kind);
        event.extend(server.to_le_bytes());
        event.extend(length.to_le_bytes());
        event.extend([0; 6]);
        event.extend(body);
        event
    }

    fn gtid(at: u32, server: u32, sequence: u64) -> Vec<u8> {
        let mut body = sequence.to_le_bytes().to_vec();
        body.extend([0; 5]);
        event(at, GTID, server, &body)
    }

    fn log() -> Vec<u8> {
        let mut list = 1_u32.to_le_bytes().to_vec();
        list.extend([0, 0, 0, 0, 7, 0, 0, 0]);
        list.extend(4_u64.to_le_bytes());
        let mut log = MAGIC.to_vec();
        log.extend(event(100, FORMAT_DESCRIPTION, 7, &[0; 80]));
        log.extend(event(100, GTID_LIST, 7, &list));
        log.extend(gtid(110, 7, 5));
        log.extend(event(110, 2, 7, &[1; 3000]));
        log.extend(gtid(120, 8, 6));
        log.extend(event(120, 16, 8, &[1; 12]));
        log
    }

    fn walk(bytes: &[u8], piece: usize, stop: Option<u64>) -> Result<Contents, Unreadable> {
        let mut walker = Walker::new(stop);
        for piece in bytes.chunks(piece) {
            walker.feed(piece)?;
        }
        walker.finish()
    }

    #[test]
    fn positions_and_times_are_found() {
        let contents = walk(&log(), 7, Some(120)).unwrap();
        assert_eq!(contents.created_s, Some(100));
        assert_eq!(contents.before.to_string(), "0-7-4");
        assert_eq!(contents.after.to_string(), "0-8-6");
        assert_eq!((contents.first_s, contents.last_s), (Some(110), Some(120)));
        assert_eq!(contents.transactions, 2);
        assert_eq!(contents.stop_before.unwrap().to_string(), "0-7-5");
        let all = walk(&log(), 1 << 20, Some(121)).unwrap();
        assert_eq!(all.stop_before, None);
        let none = walk(&log(), 1 << 20, Some(110)).unwrap();
        assert_eq!(none.stop_before.unwrap().to_string(), "0-7-4");
    }

    #[test]
    fn what_is_no_log_is_said() {
        assert_eq!(walk(b"hello world", 3, None), Err(Unreadable::Magic));
        assert_eq!(walk(b"", 3, None), Err(Unreadable::Magic));
        let log = log();
        let cut = log.get(..log.len() - 1).unwrap();
        assert_eq!(walk(cut, 100, None), Err(Unreadable::Truncated));
        let mut short = MAGIC.to_vec();
        short.extend([0; 19]);
        assert_eq!(walk(&short, 100, None), Err(Unreadable::Length(4)));
    }

    proptest! {
        #[test]
        fn the_size_of_the_pieces_does_not_matter(piece in 1..4000_usize) {
            prop_assert_eq!(walk(&log(), piece, Some(115)), walk(&log(), 1 << 20, Some(115)));
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400), with_magic: bool) {
            let mut all = if with_magic { MAGIC.to_vec() } else { Vec::new() };
            all.extend(bytes);
            drop(walk(&all, 13, Some(5)));
        }
    }
}
