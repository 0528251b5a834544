//! One connection: a request out, its response in.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::plan::Plan;
use crate::tls;

pub trait Bytes: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Bytes for T {}

pub struct Client {
    stream: Box<dyn Bytes>,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(plan: &Plan, connector: Option<&TlsConnector>) -> io::Result<Self> {
        let socket = TcpStream::connect(plan.to).await?;
        socket.set_nodelay(true)?;
        let stream: Box<dyn Bytes> = match connector {
            None => Box::new(socket),
            Some(connector) => {
                let name = tls::name().map_err(io::Error::other)?;
                Box::new(connector.connect(name, socket).await?)
            }
        };
        Ok(Self {
            stream,
            buffer: vec![0; 64 << 10],
        })
    }

    /// Sends and waits for the whole response, which has to be 200 (or 101) and to have a length.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let mut held = 0;
        loop {
            let spare = self.buffer.get_mut(held..).unwrap_or_default();
            let count = self.stream.read(spare).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            held += count;
            let bytes = self.buffer.get(..held).unwrap_or_default();
            let Some((head, length)) = head(bytes)? else {
                continue;
            };
            let mut left = (head + length).saturating_sub(held);
            while left > 0 {
                let count = self.stream.read(&mut self.buffer).await?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                left = left.saturating_sub(count);
            }
            return Ok(());
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    pub async fn take(&mut self, count: usize) -> io::Result<()> {
        let into = self.buffer.get_mut(..count).unwrap_or_default();
        self.stream.read_exact(into).await.map(|_| ())
    }

    /// For a connection that will not be used again.
    pub fn rest(&mut self) {
        self.buffer = Vec::new();
    }
}

/// Lengths of the head and of the body, when the head is whole.
fn head(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
    let status = text.get(9..12).unwrap_or_default();
    if status == "101" {
        return Ok(Some((end + 4, 0)));
    }
    if status != "200" {
        return Err(io::Error::other(text));
    }
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let length = length.ok_or_else(|| io::Error::other("a response without a length"))?;
    Ok(Some((end + 4, length)))
}
