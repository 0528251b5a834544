//! An endpoint that gives the answer of the row in hand, whatever it is asked, and keeps what it was asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the row in hand wants.
#[derive(Default)]
struct Hand {
    answer: Vec<u8>,
    /// The connection ends after the answer.
    closes: bool,
    seen: Vec<String>,
}

pub(crate) struct Origin {
    pub(crate) address: String,
    hand: Arc<Mutex<Hand>>,
}

/// What every request gets that is not the row's.
const AFTER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter";

impl Origin {
    /// Lives as long as the test.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let hand: Arc<Mutex<Hand>> = Arc::default();
        let of_all = Arc::clone(&hand);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let hand = Arc::clone(&of_all);
                std::thread::spawn(move || serve(stream, &hand));
            }
        });
        Self { address, hand }
    }

    pub(crate) fn prepare(&self, answer: &str, closes: bool) {
        *self.hand.lock().unwrap() = Hand {
            answer: answer.as_bytes().to_vec(),
            closes,
            seen: Vec::new(),
        };
    }

    /// Every request since, as it came.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.hand.lock().unwrap().seen.clone()
    }
}

/// Ends with the connection.
fn serve(mut stream: TcpStream, hand: &Mutex<Hand>) {
    let mut buffer = Vec::new();
    while let Some(request) = next(&mut stream, &mut buffer) {
        let text = String::from_utf8_lossy(&request).into_owned();
        let is_after = text.starts_with("GET /after ");
        let (answer, closes) = {
            let mut hand = hand.lock().unwrap();
            hand.seen.push(text);
            (hand.answer.clone(), hand.closes)
        };
        let (answer, closes) = if is_after {
            (AFTER.to_vec(), false)
        } else {
            (answer, closes)
        };
        if stream.write_all(&answer).is_err() || closes {
            return;
        }
    }
}

/// The next request with its body.
fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut bytes = [0; 4096];
    loop {
        if let Some(length) = length(buffer)
            && buffer.len() >= length
        {
            return Some(buffer.drain(..length).collect());
        }
        match stream.read(&mut bytes) {
            Ok(count @ 1..) => buffer.extend_from_slice(&bytes[..count]),
            _ => return None,
        }
    }
}

/// Bytes of the first request, when that can be told.
fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    if field("transfer-encoding: chunked").is_some() {
        let last = bytes[end..]
            .windows(5)
            .position(|five| five == b"0\r\n\r\n");
        // Or with trailers.
        let trailed = || {
            let zero = bytes[end..]
                .windows(3)
                .position(|three| three == b"0\r\n")?
                + end
                + 3;
            let close = bytes[zero..]
                .windows(4)
                .position(|four| four == b"\r\n\r\n")?;
            Some(zero + close + 4)
        };
        return last.map(|at| end + at + 5).or_else(trailed);
    }
    let body = field("content-length: ")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    Some(end + body)
}
