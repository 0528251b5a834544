//! An HTTP/1.1 client that sends exactly the bytes it is given, over TCP, a unix socket or TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// The host that is asked for unless a test says otherwise.
pub(crate) const HOST: &str = "test.example";

/// How long a client waits for bytes before its test fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// One connection.
pub(crate) struct Client {
    wire: Box<dyn Wire>,
    /// Its own address, of TCP.
    pub(crate) local: Option<SocketAddr>,
    tcp: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// What came back. Bodies are decoded.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn field(&self, name: &str) -> Option<String> {
        field(&self.head, name)
    }

    pub(crate) fn fields(&self, name: &str) -> Vec<String> {
        let of = |line: &str| field(&format!("\n{line}"), name);
        self.head.lines().filter_map(of).collect()
    }

    /// Why the balancer answered itself.
    pub(crate) fn reason(&self) -> String {
        self.field("mainstay-reason").unwrap_or_default()
    }
}

/// The value of a head's first field of this name.
pub(crate) fn field(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

/// A GET of this path, with further lines.
pub(crate) fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n")
}

/// A POST with this body.
pub(crate) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n{body}")
}

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub(crate) fn try_connect(address: &str) -> std::io::Result<Self> {
        let stream = tcp(address)?;
        Ok(Self {
            local: stream.local_addr().ok(),
            tcp: Some(stream.try_clone()?),
            wire: Box::new(stream),
            buffer: Vec::new(),
        })
    }

    pub(crate) fn unix(path: &std::path::Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            local: None,
            tcp: None,
            wire: Box::new(stream),
            buffer: Vec::new(),
        }
    }

    /// With TLS; an error when there is no agreement.
    pub(crate) fn tls(
        address: &str,
        name: &str,
        config: &Arc<rustls::ClientConfig>,
    ) -> std::io::Result<Self> {
        let (stream, connection) = shake_hands(address, name, config)?;
        Ok(Self {
            local: stream.local_addr().ok(),
            tcp: Some(stream.try_clone()?),
            wire: Box::new(rustls::StreamOwned::new(connection, stream)),
            buffer: Vec::new(),
        })
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).unwrap();
        self
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.wire.write_all(bytes.as_ref())?;
        self.wire.flush()
    }

    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.send(get(path, "")).response()
    }

    /// A GET with further lines.
    pub(crate) fn get_with(&mut self, path: &str, lines: &str) -> Response {
        self.send(get(path, lines)).response()
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> Response {
        self.send(post(path, body)).response()
    }

    pub(crate) fn response(&mut self) -> Response {
        self.try_response("GET").unwrap()
    }

    /// The response to a request with this method.
    pub(crate) fn try_response(&mut self, method: &str) -> std::io::Result<Response> {
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                break String::from_utf8_lossy(&head).into_owned();
            }
            self.fill()?;
        };
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status: u16 = status.ok_or_else(|| std::io::Error::other(head.clone()))?;
        let mut response = Response {
            status,
            head,
            body: Vec::new(),
        };
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Ok(response);
        }
        if let Some(length) = response.field("content-length") {
            response.body = self.take(length.parse().map_err(std::io::Error::other)?)?;
        } else if response.field("transfer-encoding").is_some() {
            response.body = self.chunks()?;
        } else {
            while self.fill().is_ok() {}
            response.body = std::mem::take(&mut self.buffer);
        }
        Ok(response)
    }

    /// `count` raw bytes.
    pub(crate) fn take(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    fn chunks(&mut self) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            self.take(2)?;
        }
    }

    /// A line without its end.
    pub(crate) fn line(&mut self) -> std::io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\n") {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> std::io::Result<()> {
        let mut bytes = [0; 65536];
        match self.wire.read(&mut bytes)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
        }
    }

    /// No more is sent; the other direction stays.
    pub(crate) fn end_writing(&mut self) {
        let tcp = self.tcp.as_ref().unwrap();
        tcp.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Whether the other side has ended the connection (waits for it).
    pub(crate) fn is_closed(&mut self) -> bool {
        self.fill().is_err_and(|e| {
            !matches!(
                e.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            )
        })
    }
}

fn tcp(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection with TLS as far as the end of its handshake.
pub(crate) fn shake_hands(
    address: &str,
    name: &str,
    config: &Arc<rustls::ClientConfig>,
) -> std::io::Result<(TcpStream, rustls::ClientConnection)> {
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let mut connection =
        rustls::ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)?;
    let mut stream = tcp(address)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok((stream, connection))
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
