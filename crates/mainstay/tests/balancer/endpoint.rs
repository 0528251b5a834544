//! An endpoint: a server of HTTP/1.1 that notes every request and answers as its test says, with a
//! thread for each connection, so that an answer may take its time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::client::{Wire, field, find};
use crate::running::own_address;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        field(&self.head, name)
    }

    pub(crate) fn method(&self) -> &str {
        self.head.split(' ').next().unwrap()
    }

    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// One of the balancer's own.
    pub(crate) fn is_check(&self) -> bool {
        self.field("user-agent").as_deref() == Some("mainstay")
    }
}

/// What an endpoint does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A whole response.
    Text(u16, String),
    /// Bytes, and the end of the connection.
    Raw(String),
    /// The end of the connection.
    Cut,
    /// Raw bytes, then whatever arrives is sent back.
    Echo(String),
}

impl Reply {
    pub(crate) fn ok(text: &str) -> Self {
        Self::Text(200, text.to_owned())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Text(status, status.to_string())
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;
type Serve = dyn Fn(TcpStream) + Send + Sync;

/// A server; ends with its value.
pub(crate) struct Endpoint {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    running: Option<Running>,
    serve: Arc<Serve>,
}

struct Running {
    over: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    accepting: std::thread::JoinHandle<()>,
}

impl Endpoint {
    /// Answers every request with its name.
    pub(crate) fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self::new(move |_| Reply::ok(&name))
    }

    /// Answers requests as it is told, and checks with 200.
    pub(crate) fn new(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::at(&own_address(), move |seen| {
            if seen.is_check() {
                Reply::ok("healthy")
            } else {
                answer(seen)
            }
        })
    }

    /// Checks are told by the same function. Requests that are noted are those that are none.
    pub(crate) fn at(
        address: &str,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (answer, seen): (Arc<Answer>, _) = (Arc::new(answer), Arc::default());
        let noted = Arc::clone(&seen);
        let mut endpoint = Self::raw(address, move |stream| {
            stream.set_nodelay(true).unwrap();
            converse(&mut Box::new(stream), &*answer, &noted);
        });
        endpoint.seen = seen;
        endpoint
    }

    /// Serves its connections as it is told.
    pub(crate) fn raw(address: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let mut endpoint = Self {
            address: address.to_owned(),
            seen: Arc::default(),
            running: None,
            serve: Arc::new(serve),
        };
        endpoint.start();
        endpoint
    }

    /// The same over TLS.
    pub(crate) fn tls(
        config: rustls::ServerConfig,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (config, seen) = (Arc::new(config), Arc::default());
        let noted = Arc::clone(&seen);
        let mut endpoint = Self::raw(&own_address(), move |stream| {
            let Ok(connection) = rustls::ServerConnection::new(Arc::clone(&config)) else {
                return;
            };
            let mut stream = rustls::StreamOwned::new(connection, stream);
            converse(&mut stream, &answer, &noted);
            // The client is told that this is the end and not a cut.
            stream.conn.send_close_notify();
            let _sent = stream.flush();
        });
        endpoint.seen = seen;
        endpoint
    }

    /// Takes connections (again).
    pub(crate) fn start(&mut self) {
        let listener = TcpListener::bind(&self.address).unwrap();
        let (over, streams) = (
            Arc::<AtomicBool>::default(),
            Arc::<Mutex<Vec<TcpStream>>>::default(),
        );
        let (serve, end, open) = (
            Arc::clone(&self.serve),
            Arc::clone(&over),
            Arc::clone(&streams),
        );
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let serve = Arc::clone(&serve);
                open.lock().unwrap().push(stream.try_clone().unwrap());
                std::thread::spawn(move || {
                    let kept = stream.try_clone();
                    serve(stream);
                    if let Ok(kept) = kept {
                        let _closed = kept.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        self.running = Some(Running {
            over,
            streams,
            accepting,
        });
    }

    /// Refuses connections from now on; those that are open are cut.
    pub(crate) fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _woken = TcpStream::connect(&self.address);
        running.accepting.join().unwrap();
        for stream in running.streams.lock().unwrap().iter() {
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    /// The requests that arrived.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| !seen.is_check())
            .cloned()
            .collect()
    }

    /// The checks that arrived.
    pub(crate) fn checks(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.is_check())
            .cloned()
            .collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen().len()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Answers over a unix socket until the process ends, with a name.
pub(crate) fn on_unix_socket(path: &std::path::Path, name: &'static str) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                converse(&mut stream, &|_| Reply::ok(name), &Mutex::default());
            });
        }
    });
}

/// Requests of one connection, one after the other.
pub(crate) fn converse(stream: &mut impl Wire, answer: &Answer, noted: &Mutex<Vec<Seen>>) {
    let mut buffer = Vec::new();
    while let Some(seen) = read(stream, &mut buffer) {
        let is_head = seen.method() == "HEAD";
        noted.lock().unwrap().push(seen.clone());
        let (text, goes_on) = match answer(&seen) {
            Reply::Text(status, text) => {
                let length = text.len();
                let body = if is_head { "" } else { &text };
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
                (head + body, true)
            }
            Reply::Raw(text) => (text, false),
            Reply::Cut => return,
            Reply::Echo(text) => {
                if stream.write_all(text.as_bytes()).is_ok() {
                    echo(stream);
                }
                return;
            }
        };
        let sent = stream
            .write_all(text.as_bytes())
            .and_then(|()| stream.flush());
        if sent.is_err() || !goes_on {
            return;
        }
    }
}

fn echo(stream: &mut impl Wire) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        if stream
            .write_all(&bytes[..count])
            .and_then(|()| stream.flush())
            .is_err()
        {
            return;
        }
    }
}

/// The next request with its body, which has a length or is in chunks.
fn read(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<Seen> {
    let mut fill = |buffer: &mut Vec<u8>| {
        let mut bytes = [0; 65536];
        let count = stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
        buffer.extend_from_slice(&bytes[..count]);
        Some(())
    };
    let end = loop {
        match find(buffer, b"\r\n\r\n") {
            Some(end) => break end + 4,
            None => fill(buffer)?,
        }
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let head = String::from_utf8_lossy(&head).into_owned();
    let body = if field(&head, "transfer-encoding").is_some() {
        let end = loop {
            match find(buffer, b"0\r\n\r\n") {
                Some(end) => break end + 5,
                None => fill(buffer)?,
            }
        };
        buffer.drain(..end).collect()
    } else {
        let length = field(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        while buffer.len() < length {
            fill(buffer)?;
        }
        buffer.drain(..length).collect()
    };
    Some(Seen { head, body })
}

/// Something that threads wait for until the test lets them go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Until it is opened; for good, then.
    pub(crate) fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}
