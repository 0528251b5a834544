//! Pure: the chunked coding (RFC 9112 section 7.1) as a state machine: bytes in, slices out.
//!
//! Strict: sizes of at most 15 hexadecimal digits, every line ends in CRLF, extensions and trailers are
//! bounded and have no control characters.

use crate::fault::Kind;
use crate::limits;

/// Where in the coding the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size {
        digits: u8,
    },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a trailer line.
    Trailer,
    TrailerLine,
    TrailerLf,
    EndLf,
    Done,
}

/// One body's progress.
#[derive(Debug, Clone, Copy)]
pub struct Chunked {
    state: State,
    /// Bytes left of the chunk, or its size while it is read.
    left: u64,
    /// Bytes of the present size line, or of the trailers.
    line: usize,
}

/// What a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Bytes taken in all, from the front.
    pub bytes: usize,
    /// How many of them, at the end, are data.
    pub data: usize,
}

impl Default for Chunked {
    fn default() -> Self {
        Self::new()
    }
}

impl Chunked {
    pub const fn new() -> Self {
        Self {
            state: State::Size { digits: 0 },
            left: 0,
            line: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes framing bytes up to and with the next run of data, or to the end of the body or of
    /// `bytes`. Call again until nothing is taken.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Taken, Kind> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.state == State::Data {
                let rest = (bytes.len() - at) as u64;
                let data = rest.min(self.left);
                self.left -= data;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                let data = usize::try_from(data).unwrap_or(usize::MAX);
                return Ok(Taken {
                    bytes: at + data,
                    data,
                });
            }
            if self.state == State::Done {
                return Ok(Taken { bytes: at, data: 0 });
            }
            self.step(*byte)?;
        }
        Ok(Taken {
            bytes: bytes.len(),
            data: 0,
        })
    }

    fn step(&mut self, byte: u8) -> Result<(), Kind> {
        self.state = match (self.state, byte) {
            (State::Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == 15 {
                    return Err(Kind::Malformed("a chunk's size has too many digits"));
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self.left * 16 + u64::from(digit);
                State::Size { digits: digits + 1 }
            }
            (State::Size { digits: 0 }, _) => return Err(Kind::Malformed("a chunk's size")),
            (State::Size { .. } | State::Extension, b'\r') => State::SizeLf,
            (State::Size { .. }, b';' | b' ' | b'\t') => State::Extension,
            (State::Extension, b' '..=b'~' | b'\t' | 0x80..) => State::Extension,
            (State::SizeLf, b'\n') => {
                self.line = 0;
                if self.left > 0 {
                    State::Data
                } else {
                    State::Trailer
                }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                self.line = 0;
                State::Size { digits: 0 }
            }
            (State::Trailer, b'\r') => State::EndLf,
            // A trailer line must begin with a name: no continuation of the line before.
            (State::Trailer, b'!'..=b'~') => State::TrailerLine,
            (State::TrailerLine, b'\r') => State::TrailerLf,
            (State::TrailerLine, b' '..=b'~' | b'\t' | 0x80..) => State::TrailerLine,
            (State::TrailerLf, b'\n') => State::Trailer,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(Kind::Malformed("the chunked coding")),
        };
        self.line += 1;
        let limit = match self.state {
            State::Trailer | State::TrailerLine | State::TrailerLf => limits::TRAILERS,
            _ => limits::CHUNK_LINE,
        };
        if self.line > limit {
            return Err(Kind::Malformed(
                "a chunk's extension or trailer is too long",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Data, and how many bytes belong to the body; `None` when it is incomplete.
    fn decode(bytes: &[u8], step: usize) -> Result<Option<(Vec<u8>, usize)>, Kind> {
        let (mut chunked, mut data, mut at) = (Chunked::new(), Vec::new(), 0);
        for piece in bytes.chunks(step.max(1)) {
            let mut piece = piece;
            while !piece.is_empty() && !chunked.is_done() {
                let taken = chunked.take(piece)?;
                data.extend_from_slice(&piece[taken.bytes - taken.data..taken.bytes]);
                piece = &piece[taken.bytes..];
                at += taken.bytes;
            }
        }
        Ok(chunked.is_done().then_some((data, at)))
    }

    #[test]
    fn data_comes_out_and_the_next_message_stays() {
        let bytes = b"4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\nA: b\r\n\r\nGET";
        for step in 1..bytes.len() {
            let (data, at) = decode(bytes, step).unwrap().unwrap();
            assert_eq!(
                (data.as_slice(), at),
                (&b"Wikipedia"[..], bytes.len() - 3),
                "{step}"
            );
        }
    }

    #[test]
    fn bad_codings_are_refused() {
        for bytes in [
            &b"\r\n"[..],
            b"g\r\n",
            b"-1\r\n",
            b"0x1\r\n",
            b"4\nWiki\r\n",
            b"4\r\nWikip\r\n",
            b"4\r\nWiki\n0\r\n\r\n",
            b"0\r\n\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"1;\x01\r\n",
            b"1000000000000000\r\n",
            b"4\rX",
        ] {
            assert!(decode(bytes, 100).is_err(), "{bytes:?}");
        }
        assert!(decode(&[b"1;".as_slice(), &[b'a'; 400]].concat(), 100).is_err());
        assert!(decode(&[b"0\r\n".as_slice(), &[b'a'; 9000]].concat(), 100).is_err());
    }

    proptest! {
        #[test]
        fn splitting_does_not_change_the_result(
            bytes in "([0-3]|4\r\nWiki\r\n|0\r\n\r\n|\r\n|;a|A: b\r\n|[a-z]){0,8}",
            step in 1_usize..9,
        ) {
            let whole = decode(bytes.as_bytes(), usize::MAX);
            let split = decode(bytes.as_bytes(), step);
            prop_assert_eq!(whole.is_err(), split.is_err());
            if let (Ok(whole), Ok(split)) = (whole, split) {
                prop_assert_eq!(whole, split);
            }
        }

        #[test]
        fn what_was_encoded_is_decoded(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..5),
            step in 1_usize..50,
        ) {
            let mut bytes = Vec::new();
            for chunk in &chunks {
                bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            let length = bytes.len();
            prop_assert_eq!(decode(&bytes, step).unwrap(), Some((chunks.concat(), length)));
        }
    }
}
