//! A long run of requests through one balancer while everything is done to it that an operator does:
//! changed site files, drained endpoints, killed endpoints, replaced processes. Every request must get
//! its right answer. `bench/soak` starts it.
//!
//! Strict: an error on a kept connection counts as lost too, although a client may repeat such a request.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ORIGINS: usize = 3;
const VISITORS: usize = 6;

/// A server that answers every request with its path, and can be cut off and come back.
struct Origin {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
    listening: Arc<AtomicBool>,
}

impl Origin {
    fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let (open, listening) = (Arc::default(), Arc::new(AtomicBool::new(true)));
        let origin = Self {
            address,
            open,
            listening,
        };
        origin.accept(listener);
        Ok(origin)
    }

    fn accept(&self, listener: TcpListener) {
        let (open, listening) = (Arc::clone(&self.open), Arc::clone(&self.listening));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if !listening.load(Relaxed) {
                    return;
                }
                if let (Ok(copy), Ok(mut open)) = (stream.try_clone(), open.lock()) {
                    open.push(copy);
                }
                std::thread::spawn(move || serve(stream));
            }
        });
    }

    /// As kill -9 of the process: nothing more is accepted or answered.
    fn kill(&self) {
        self.listening.store(false, Relaxed);
        // The accepting thread wakes and goes; an error means that it has gone.
        drop(TcpStream::connect(self.address));
        if let Ok(mut open) = self.open.lock() {
            for stream in open.drain(..) {
                // It may have ended by itself.
                let _ended = stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn come_back(&self) -> io::Result<()> {
        let since = Instant::now();
        loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => {
                    self.listening.store(true, Relaxed);
                    self.accept(listener);
                    return Ok(());
                }
                Err(e) if since.elapsed() > Duration::from_secs(10) => return Err(e),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

/// Ends with the connection.
fn serve(mut stream: TcpStream) {
    let mut buffer = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        while let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = buffer.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head);
            let path = head.split(' ').nth(1).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
                path.len()
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
        match stream.read(&mut bytes) {
            Ok(count @ 1..) => buffer.extend_from_slice(bytes.get(..count).unwrap_or_default()),
            _ => return,
        }
    }
}

/// A visitor's connection.
struct Visitor {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Visitor {
    fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Whether the connection may be used again.
    fn ask(&mut self, path: &str) -> io::Result<bool> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: soak\r\n\r\n");
        self.stream.write_all(request.as_bytes())?;
        let mut bytes = [0; 4096];
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(self.buffer.get(..end).unwrap_or_default());
                let head = head.to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
                if self.buffer.len() >= end + 4 + length {
                    let body = self
                        .buffer
                        .get(end + 4..end + 4 + length)
                        .unwrap_or_default();
                    if !head.starts_with("http/1.1 200") || body != path.as_bytes() {
                        let first = head.lines().next().unwrap_or_default();
                        return Err(io::Error::other(format!("{path}: {first}")));
                    }
                    self.buffer.drain(..end + 4 + length);
                    return Ok(!head.contains("connection: close"));
                }
            }
            match self.stream.read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self
                    .buffer
                    .extend_from_slice(bytes.get(..count).unwrap_or_default()),
            }
        }
    }
}

#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    lost: Mutex<Vec<String>>,
}

fn visit(to: SocketAddr, number: usize, total: u64, tally: &Tally) {
    let mut visitor = Visitor::connect(to);
    let mut count = 0_u64;
    while tally.answered.load(Relaxed) < total {
        count += 1;
        let path = format!("/{number}/{count}");
        let asked = match &mut visitor {
            Ok(visitor) => visitor.ask(&path),
            Err(e) => Err(io::Error::new(e.kind(), format!("connect: {e}"))),
        };
        match asked {
            Ok(keep) => {
                tally.answered.fetch_add(1, Relaxed);
                // Now and then somebody new.
                if !keep || count.is_multiple_of(500) {
                    visitor = Visitor::connect(to);
                }
            }
            Err(e) => {
                if let Ok(mut lost) = tally.lost.lock() {
                    lost.push(e.to_string());
                }
                visitor = Visitor::connect(to);
            }
        }
    }
}

fn site_file(origins: &[&Origin], more: &str) -> String {
    let list: Vec<String> = origins
        .iter()
        .map(|origin| format!("\"{}\"", origin.address))
        .collect();
    format!(
        "[balancer.limits]\nattempts = 4\n\n[backends.app]\nendpoints = [{}]\n\
         health = {{ interval = \"200ms\", timeout = \"200ms\" }}\nretries = {{ budget = 100 }}\n{more}",
        list.join(", ")
    )
}

fn mainstay(binary: &Path, dir: &Path, args: &[&str]) -> io::Result<String> {
    let output = Command::new(binary).current_dir(dir).args(args).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{args:?}: {why}")))
}

/// One thing after another is done, again and again, until all requests are answered.
fn operate(
    binary: &Path,
    dir: &Path,
    origins: &[Origin],
    total: u64,
    tally: &Tally,
) -> io::Result<[u32; 4]> {
    let [one, two, three] = origins else {
        return Err(io::Error::other("three origins"));
    };
    let route = "[[routes]]\npath-prefix = \"/\"\nbackend = \"app\"\n";
    let files = [
        site_file(&[one, two], ""),
        site_file(&[one, two, three], route),
        site_file(&[three, two, one], "algorithm = \"least-requests\"\n"),
    ];
    let (mut reloads, mut drains, mut kills, mut upgrades) = (0, 0, 0, 0);
    let mut turn = 0_usize;
    while tally.answered.load(Relaxed) < total {
        turn += 1;
        match turn % 4 {
            0 => {
                let file = files.get(turn / 4 % files.len()).map_or("", String::as_str);
                std::fs::write(dir.join("site.toml"), file)?;
                mainstay(binary, dir, &["reload"])?;
                reloads += 1;
            }
            1 => {
                let name = format!("app/{}", two.address);
                mainstay(binary, dir, &["endpoint", "drain", &name])?;
                std::thread::sleep(Duration::from_millis(300));
                mainstay(binary, dir, &["endpoint", "ready", &name])?;
                drains += 1;
            }
            2 => {
                one.kill();
                std::thread::sleep(Duration::from_millis(700));
                one.come_back()?;
                kills += 1;
            }
            _ => {
                mainstay(binary, dir, &["upgrade"])?;
                upgrades += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok([reloads, drains, kills, upgrades])
}

fn run() -> io::Result<bool> {
    let mut args = std::env::args().skip(1);
    let (Some(binary), Some(total)) = (args.next(), args.next()) else {
        return Err(io::Error::other("soak MAINSTAY REQUESTS"));
    };
    let total: u64 = total.parse().map_err(io::Error::other)?;
    let binary = std::fs::canonicalize(binary)?;
    let dir = tempfile::tempdir()?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let origins: Vec<Origin> = (0..ORIGINS)
        .map(|_| Origin::start(any))
        .collect::<io::Result<_>>()?;
    let all: Vec<&Origin> = origins.iter().collect();
    std::fs::write(dir.path().join("site.toml"), site_file(&all, ""))?;
    let up = ["up", "--detach", "--json", "--http", "127.0.0.1:0"];
    let ready = mainstay(&binary, dir.path(), &up)?;
    let ready: serde_json::Value = serde_json::from_str(&ready)?;
    let url = ready["http"].as_str().unwrap_or_default();
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
    let to = SocketAddr::from(([127, 0, 0, 1], port.ok_or(io::Error::other("no port"))?));
    let (tally, began) = (Arc::new(Tally::default()), Instant::now());
    let visitors: Vec<_> = (0..VISITORS)
        .map(|number| {
            let tally = Arc::clone(&tally);
            std::thread::spawn(move || visit(to, number, total, &tally))
        })
        .collect();
    let done = operate(&binary, dir.path(), &origins, total, &tally);
    if done.is_err() {
        tally.answered.store(total, Relaxed);
    }
    for visitor in visitors {
        if visitor.join().is_err() {
            return Err(io::Error::other("a visitor panicked"));
        }
    }
    let down = mainstay(&binary, dir.path(), &["down"]);
    let [reloads, drains, kills, upgrades] = done?;
    down?;
    let lost = tally
        .lost
        .lock()
        .map(|lost| lost.clone())
        .unwrap_or_default();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{} requests answered in {:.0} s through {reloads} reloads, {drains} drains, {kills} kills of \
         an endpoint, {upgrades} replaced processes; lost: {}",
        tally.answered.load(Relaxed),
        began.elapsed().as_secs_f64(),
        lost.len()
    )?;
    for what in lost.iter().take(20) {
        writeln!(out, "  {what}")?;
    }
    Ok(lost.is_empty())
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            // Nothing else is to be done with it.
            let _said = writeln!(io::stderr(), "soak: {e}");
            ExitCode::from(2)
        }
    }
}
