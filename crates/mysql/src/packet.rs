//! Packets over a stream: buffered reading, size bounds, sequence numbers.
//!
//! A packet is one or more frames: 3 bytes length, 1 byte sequence number, payload. A frame of
//! 0xFFFFFF bytes is followed by another of the same packet, empty if need be.
//! Source: MySQL internals, "MySQL Packets"; MariaDB KB, "0 - Packet".

mod upgrade;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use crate::tls::carrier::Carrier;
use crate::wire::Reader;

/// The payload of a frame that is followed by another.
pub const FULL_FRAME: usize = 0xff_ffff;
/// Length and sequence number.
pub const HEADER: usize = 4;
/// Room made for one read: a small result fits, and an idle connection keeps little.
const READ_SMALL: usize = 8 << 10;
/// Room made once a read has filled the small one.
const READ_LARGE: usize = 64 << 10;

/// Why no packet could be read.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the connection was closed")]
    Closed,
    #[error("a packet is longer than {limit} bytes")]
    TooLong { limit: usize },
}

/// One packet, its frames joined.
#[derive(Debug)]
pub struct Packet {
    /// Of its last frame: the answer continues with the next.
    pub sequence: u8,
    pub payload: BytesMut,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub length: usize,
    pub sequence: u8,
}

impl Frame {
    /// `None`: fewer than four bytes are there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(Self {
            length: reader.u24()? as usize,
            sequence: reader.u8()?,
        })
    }

    /// Is it followed by another frame of the same packet?
    pub fn continues(self) -> bool {
        self.length == FULL_FRAME
    }
}

/// Appends a packet, in as many frames as it takes; `sequence` is the first frame's and becomes the
/// next free one.
pub fn put(out: &mut Vec<u8>, sequence: &mut u8, payload: &[u8]) {
    let mut left = payload;
    loop {
        let (frame, rest) = left.split_at(left.len().min(FULL_FRAME));
        let [a, b, c, _] = u32::try_from(frame.len()).unwrap_or(0).to_le_bytes();
        out.extend_from_slice(&[a, b, c, *sequence]);
        out.extend_from_slice(frame);
        *sequence = sequence.wrapping_add(1);
        if frame.len() < FULL_FRAME {
            return;
        }
        left = rest;
    }
}

/// The ways to a server or client.
#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// On the heap: a plain connection must not be as large as one with TLS.
    Tls(Box<TlsStream<Carrier>>),
    /// A TLS handshake failed on it.
    Gone,
}

/// What became of a connection that was left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    Quiet,
    /// It was closed, or it said something nobody asked for: not to be used any more.
    Gone,
}

/// One side of a connection: a stream and what was read from it but not used yet.
#[derive(Debug)]
pub struct Channel {
    transport: Transport,
    input: BytesMut,
    /// The last read filled its room: more is likely to come.
    filled: bool,
}

impl From<TcpStream> for Channel {
    fn from(stream: TcpStream) -> Self {
        Self::over(Transport::Tcp(stream))
    }
}

impl From<UnixStream> for Channel {
    fn from(stream: UnixStream) -> Self {
        Self::over(Transport::Unix(stream))
    }
}

impl Channel {
    fn over(transport: Transport) -> Self {
        Self {
            transport,
            input: BytesMut::new(),
            filled: false,
        }
    }

    /// What was read and not consumed.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// The same, to be changed in place before it is passed on.
    pub fn input_mut(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    pub fn consume(&mut self, count: usize) {
        self.input.advance(count.min(self.input.len()));
        if self.input.is_empty() && self.input.capacity() > READ_LARGE {
            self.input = BytesMut::new();
        }
    }

    /// Reads once, whatever there is. Safe to cancel.
    pub async fn fill(&mut self) -> Result<(), PacketError> {
        let room = if self.filled { READ_LARGE } else { READ_SMALL };
        if self.input.capacity() - self.input.len() < room {
            self.input.reserve(room);
        }
        let free = self.input.capacity() - self.input.len();
        let count = match &mut self.transport {
            Transport::Tcp(stream) => stream.read_buf(&mut self.input).await?,
            Transport::Unix(stream) => stream.read_buf(&mut self.input).await?,
            Transport::Tls(stream) => stream.read_buf(&mut self.input).await?,
            Transport::Gone => 0,
        };
        self.filled = count == free;
        if count == 0 {
            return Err(PacketError::Closed);
        }
        Ok(())
    }

    /// Reads until at least `count` bytes are there.
    pub async fn fill_to(&mut self, count: usize) -> Result<(), PacketError> {
        while let Some(missing) = count.checked_sub(self.input.len()).filter(|left| *left > 0) {
            // Room follows what has come: a length is only a claim.
            self.input.reserve(missing.min(READ_LARGE));
            self.fill().await?;
        }
        Ok(())
    }

    /// The head of the next frame; nothing is consumed. Safe to cancel.
    pub async fn frame(&mut self) -> Result<Frame, PacketError> {
        loop {
            if let Some(frame) = Frame::parse(&self.input) {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// The next packet, whole.
    pub async fn packet(&mut self, limit: usize) -> Result<Packet, PacketError> {
        let mut joined: Option<BytesMut> = None;
        loop {
            let frame = self.frame().await?;
            let before = joined.as_ref().map_or(0, BytesMut::len);
            if before + frame.length > limit {
                return Err(PacketError::TooLong { limit });
            }
            self.fill_to(HEADER + frame.length).await?;
            self.consume(HEADER);
            let part = self.input.split_to(frame.length);
            let payload = match joined.take() {
                None => part,
                Some(mut whole) => {
                    whole.extend_from_slice(&part);
                    whole
                }
            };
            if !frame.continues() {
                let sequence = frame.sequence;
                return Ok(Packet { sequence, payload });
            }
            joined = Some(payload);
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.transport {
            Transport::Tcp(stream) => stream.write_all(bytes).await,
            Transport::Unix(stream) => stream.write_all(bytes).await,
            Transport::Tls(stream) => {
                stream.write_all(bytes).await?;
                // What the socket did not take at once is still with us.
                stream.flush().await
            }
            Transport::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// Nobody on the way can listen.
    pub fn is_private(&self) -> bool {
        matches!(self.transport, Transport::Tls(_) | Transport::Unix(_))
    }

    /// Looks whether a connection that should be silent still is. No system call while it is.
    pub fn idle(&mut self) -> Idle {
        if !self.input.is_empty() {
            return Idle::Gone;
        }
        let mut byte = [0];
        let tried = match &mut self.transport {
            Transport::Tcp(stream) => stream.try_read(&mut byte),
            Transport::Unix(stream) => stream.try_read(&mut byte),
            // What TLS says to itself (tickets, new keys) is taken in and is not meant.
            Transport::Tls(stream) => {
                let mut nobody = Context::from_waker(Waker::noop());
                let polled = Pin::new(stream).poll_read(&mut nobody, &mut ReadBuf::new(&mut byte));
                match polled {
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                    Poll::Ready(read) => read.map(|()| 0),
                }
            }
            Transport::Gone => Ok(0),
        };
        match tried {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Idle::Quiet,
            _ => Idle::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair() -> (Channel, Channel) {
        let (a, b) = UnixStream::pair().unwrap();
        (a.into(), b.into())
    }

    #[tokio::test]
    async fn packets_around_the_frame_limit_come_back() {
        let (mut a, mut b) = pair().await;
        for length in [0, 1, FULL_FRAME - 1, FULL_FRAME, FULL_FRAME + 1] {
            let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let mut out = Vec::new();
            let mut sequence = 0;
            put(&mut out, &mut sequence, &payload);
            let (written, got) = tokio::join!(a.write(&out), b.packet(1 << 30));
            written.unwrap();
            let got = got.unwrap();
            assert_eq!(got.sequence.wrapping_add(1), sequence);
            assert!(got.payload == payload, "{length} bytes");
        }
    }

    #[tokio::test]
    async fn a_packet_over_the_limit_is_refused_by_its_head() {
        let (mut a, mut b) = pair().await;
        a.write(&[0xff, 0xff, 0xff, 0]).await.unwrap();
        assert!(matches!(
            b.packet(100).await,
            Err(PacketError::TooLong { limit: 100 })
        ));
    }

    #[tokio::test]
    async fn an_idle_connection_is_quiet_until_it_is_closed() {
        let (a, mut b) = pair().await;
        assert_eq!(b.idle(), Idle::Quiet);
        drop(a);
        // The end is seen once the runtime has looked at its sockets.
        while b.idle() == Idle::Quiet {
            tokio::task::yield_now().await;
        }
    }
}
