//! What a run does, from words like `connections=32`.

use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests over kept connections.
    Requests,
    /// A connection for each request.
    Fresh,
    /// Frames there and back.
    WebSocket,
    /// One request, then nothing, until a line comes on standard input.
    Idle,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub kind: Kind,
    pub to: SocketAddr,
    pub tls: bool,
    pub path: String,
    /// So many paths `/r0/…` in turn in place of `path`; 0: only that.
    pub paths: usize,
    pub connections: usize,
    pub time: Duration,
    /// Requests a second of all connections together; 0: as many as possible.
    pub rate: u64,
    /// Bytes of each request's body.
    pub body: usize,
}

impl Plan {
    pub fn read(words: &[String]) -> Result<Self, String> {
        let mut plan = Self {
            kind: Kind::Requests,
            to: SocketAddr::from(([127, 0, 0, 1], 80)),
            tls: false,
            path: "/".to_owned(),
            paths: 0,
            connections: 32,
            time: Duration::from_secs(3),
            rate: 0,
            body: 0,
        };
        for word in words {
            let (key, value) = word.split_once('=').ok_or(format!("{word}: KEY=VALUE"))?;
            let number = || value.parse::<usize>().map_err(|e| format!("{word}: {e}"));
            match key {
                "kind" => {
                    plan.kind = match value {
                        "requests" => Kind::Requests,
                        "fresh" => Kind::Fresh,
                        "websocket" => Kind::WebSocket,
                        "idle" => Kind::Idle,
                        _ => return Err(format!("{word}: no such kind")),
                    }
                }
                "to" => plan.to = value.parse().map_err(|e| format!("{word}: {e}"))?,
                "tls" => plan.tls = number()? > 0,
                "path" => plan.path = value.to_owned(),
                "paths" => plan.paths = number()?,
                "connections" => plan.connections = number()?.max(1),
                "ms" => plan.time = Duration::from_millis(number()? as u64),
                "rate" => plan.rate = number()? as u64,
                "body" => plan.body = number()?,
                _ => return Err(format!("{word}: no such key")),
            }
        }
        // Nobody is to be loaded but this machine.
        if !plan.to.ip().is_loopback() {
            return Err(format!("{} is not of loopback", plan.to));
        }
        Ok(plan)
    }

    /// The bytes of the requests, one of each path.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        let one = |path: &str| {
            let method = if self.body > 0 { "POST" } else { "GET" };
            let mut text = format!("{method} {path} HTTP/1.1\r\nHost: www.bench.example\r\n");
            text += "User-Agent: Mozilla/5.0 (X11; Linux x86_64) load\r\nAccept: */*\r\n";
            if self.kind == Kind::Fresh {
                text += "Connection: close\r\n";
            }
            if self.body > 0 {
                text += &format!("Content-Length: {}\r\n", self.body);
            }
            text += "\r\n";
            let mut bytes = text.into_bytes();
            bytes.resize(bytes.len() + self.body, b'x');
            bytes
        };
        match self.paths {
            0 => vec![one(&self.path)],
            paths => (0..paths).map(|n| one(&format!("/r{n}/x"))).collect(),
        }
    }
}
