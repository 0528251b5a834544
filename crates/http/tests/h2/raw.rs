//! Frames written and read by hand (RFC 9113 section 4, RFC 7541): what no well-behaved client sends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The `:status` of a response: indexed, or a literal with an indexed name.
    pub(crate) fn status(&self) -> u16 {
        let known = [200, 204, 206, 304, 400, 404, 500];
        // A change of the table's size may come first.
        let block: Vec<u8> = self
            .payload
            .iter()
            .copied()
            .skip_while(|b| b >> 5 == 1)
            .collect();
        match block[0] {
            indexed @ 0x88..=0x8e => known[usize::from(indexed - 0x88)],
            _ if block[1] & 0x80 == 0 => String::from_utf8(block[2..5].to_vec())
                .unwrap()
                .parse()
                .unwrap(),
            // Huffman's codes of the digits 0, 1, 2 have 5 bits, the others 6.
            _ => {
                let bits = block[2..2 + usize::from(block[1] & 0x7f)]
                    .iter()
                    .fold(String::new(), |bits, byte| bits + &format!("{byte:08b}"));
                let (mut rest, mut status) = (bits.as_str(), 0);
                for _ in 0..3 {
                    let code = u16::from_str_radix(&rest[..5], 2).unwrap();
                    let (digit, length) = match code {
                        0..=2 => (code, 5),
                        _ => (u16::from_str_radix(&rest[..6], 2).unwrap() - 0x19 + 3, 6),
                    };
                    status = status * 10 + digit;
                    rest = &rest[length..];
                }
                status
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A field section of literals without indexing and without Huffman's code.
pub(crate) fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        put_string(&mut bytes, name);
        put_string(&mut bytes, value);
    }
    bytes
}

fn put_string(bytes: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        bytes.push(u8::try_from(text.len()).unwrap());
    } else {
        bytes.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            bytes.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        bytes.push(u8::try_from(rest).unwrap());
    }
    bytes.extend(text);
}

/// The fields of a plain GET, and more.
pub(crate) fn get(more: &[(&[u8], &[u8])]) -> Vec<u8> {
    let fields: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"x"),
        (b":path", b"/"),
    ];
    block(&[&fields, more].concat())
}

pub(crate) struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connected, with the preface and empty settings sent.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[]).await
    }

    pub(crate) async fn connect_with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self {
            stream: TcpStream::connect(address).await.unwrap(),
        };
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        raw.send(&frame(SETTINGS, 0, 0, &payload)).await;
        raw
    }

    /// As the server of a connection that was accepted.
    pub(crate) async fn accepted(stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self { stream };
        let mut preface = [0; 24];
        raw.stream.read_exact(&mut preface).await.unwrap();
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        raw.send(&frame(SETTINGS, 0, 0, &payload)).await;
        raw
    }

    /// False when the other side has gone.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..9].try_into().unwrap()),
            payload,
        })
    }

    /// The next frame of this kind; others pass by, settings are acknowledged.
    pub(crate) async fn wait_for(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                self.send(&self::frame(SETTINGS, ACK, 0, &[])).await;
            }
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Sends until the other side goes away; its code.
    pub(crate) async fn flood(
        &mut self,
        mut next: impl FnMut() -> Vec<u8>,
        at_most: usize,
    ) -> Option<u32> {
        let (mut reading, mut writing) = self.stream.split();
        let send = async {
            for _ in 0..at_most {
                if writing.write_all(&next()).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let look = async {
            let mut seen = Vec::new();
            loop {
                let mut at = 0;
                while let Some(head) = seen.get(at..at + 9) {
                    let head: &[u8] = head;
                    let length = usize::from(head[1]) << 8 | usize::from(head[2]);
                    let Some(payload) = seen.get(at + 9..at + 9 + length) else {
                        break;
                    };
                    if head[3] == GOAWAY {
                        return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
                    }
                    at += 9 + length;
                }
                seen.drain(..at);
                if reading.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        };
        tokio::select! {
            code = look => code,
            () = send => unreachable!(),
        }
    }
}
