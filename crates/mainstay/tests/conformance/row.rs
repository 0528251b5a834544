//! One rule: what is sent, what comes of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::origin::Origin;

pub(crate) struct Row {
    pub(crate) section: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) sent: &'static str,
    /// What the endpoint says to it.
    pub(crate) answer: &'static str,
    /// It ends the connection then.
    pub(crate) ends: bool,
    pub(crate) client: Client,
    pub(crate) endpoint: Endpoint,
}

/// What the client gets.
pub(crate) struct Client {
    /// Of the first response.
    pub(crate) status: u16,
    /// Text that stands in what comes back, and text that does not.
    pub(crate) has: &'static [&'static str],
    pub(crate) lacks: &'static [&'static str],
    /// The connection is closed. Else another request on it is answered.
    pub(crate) closed: bool,
}

/// What the endpoint gets.
pub(crate) enum Endpoint {
    Nothing,
    /// One request with this text in it, and without that.
    One {
        has: &'static [&'static str],
        lacks: &'static [&'static str],
    },
    /// So many.
    Several(usize),
}

/// The usual answer.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const AFTER: &str = "GET /after HTTP/1.1\r\nHost: x\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(10);

impl Row {
    /// A request that is refused and reaches nobody.
    pub(crate) const fn refused(
        section: &'static str,
        rule: &'static str,
        sent: &'static str,
        status: u16,
    ) -> Self {
        Self {
            section,
            rule,
            sent,
            answer: OK,
            ends: false,
            client: Client {
                status,
                has: &[],
                lacks: &[],
                closed: true,
            },
            endpoint: Endpoint::Nothing,
        }
    }

    /// A request that goes on, and is answered with 200.
    pub(crate) const fn passed(
        section: &'static str,
        rule: &'static str,
        sent: &'static str,
        has: &'static [&'static str],
        lacks: &'static [&'static str],
    ) -> Self {
        Self {
            section,
            rule,
            sent,
            answer: OK,
            ends: false,
            client: Client {
                status: 200,
                has: &[],
                lacks: &[],
                closed: false,
            },
            endpoint: Endpoint::One { has, lacks },
        }
    }

    pub(crate) const fn closing(mut self) -> Self {
        self.client.closed = true;
        self
    }

    /// Where the request ends is clear: the connection goes on.
    pub(crate) const fn keeping(mut self) -> Self {
        self.client.closed = false;
        self
    }

    /// A response that comes to the client so.
    pub(crate) const fn response(
        section: &'static str,
        rule: &'static str,
        sent: &'static str,
        answer: &'static str,
        client: Client,
    ) -> Self {
        Self {
            section,
            rule,
            sent,
            answer,
            ends: false,
            client,
            endpoint: Endpoint::Several(1),
        }
    }

    pub(crate) const fn ending(mut self) -> Self {
        self.ends = true;
        self
    }

    /// In one line for the page.
    pub(crate) fn shown(&self) -> String {
        let bytes = match self.answer == OK {
            true => self.sent,
            false => self.answer,
        };
        let text = bytes.escape_debug().to_string();
        let text = text.replace('|', "\\|").replace('`', "'");
        match text.char_indices().nth(150) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text,
        }
    }

    pub(crate) fn result(&self) -> String {
        let mut text = match self.client.status {
            0 => String::new(),
            status => status.to_string(),
        };
        text.push_str(match (&self.endpoint, self.answer == OK) {
            (Endpoint::Nothing, _) => ", reaches nobody",
            (_, true) => ", goes on",
            (_, false) => "",
        });
        if self.client.closed {
            text.push_str(", closed");
        }
        text.trim_start_matches(", ").to_owned()
    }

    pub(crate) fn check(&self, address: &str, origin: &Origin) -> Result<(), String> {
        origin.prepare(self.answer, self.ends);
        let mut stream = TcpStream::connect(address).map_err(|e| e.to_string())?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .map_err(|e| e.to_string())?;
        // It may be refused before all of it is sent.
        let _refused = stream.write_all(self.sent.as_bytes());
        let came = self.read(&mut stream)?;
        let first = format!("HTTP/1.1 {}", self.client.status);
        if self.client.status > 0 && !came.starts_with(&first) {
            return Err(format!("the client got {came:?}"));
        }
        for text in self.client.has {
            if !came.contains(text) {
                return Err(format!("{text:?} is not in {came:?}"));
            }
        }
        for text in self.client.lacks {
            if came.contains(text) {
                return Err(format!("{text:?} is in {came:?}"));
            }
        }
        let mut seen = origin.seen();
        seen.retain(|request| !request.starts_with("GET /after "));
        match (&self.endpoint, seen.as_slice()) {
            (Endpoint::Nothing, []) => Ok(()),
            (Endpoint::Several(count), seen) if seen.len() == *count => Ok(()),
            (Endpoint::One { has, lacks }, [only]) => {
                let missing = has.iter().find(|text| !only.contains(**text));
                let there = lacks.iter().find(|text| only.contains(**text));
                match (missing, there) {
                    (None, None) => Ok(()),
                    (Some(text), _) => Err(format!("{text:?} is not in {only:?}")),
                    (_, Some(text)) => Err(format!("{text:?} is in {only:?}")),
                }
            }
            (_, seen) => Err(format!("the endpoint got {seen:?}")),
        }
    }

    /// What comes back: until the end of the connection, or until another request was answered on it.
    fn read(&self, stream: &mut TcpStream) -> Result<String, String> {
        let mut came = Vec::new();
        let mut bytes = [0; 4096];
        if !self.client.closed {
            // Behind the row's own request: its answer comes first.
            stream
                .write_all(AFTER.as_bytes())
                .map_err(|e| e.to_string())?;
        }
        loop {
            match stream.read(&mut bytes) {
                Ok(0) if self.client.closed => break,
                Ok(0) => {
                    let came = String::from_utf8_lossy(&came).into_owned();
                    return Err(format!("the connection was closed after {came:?}"));
                }
                Ok(count) => came.extend_from_slice(&bytes[..count]),
                // A reset is an end too.
                Err(e) if self.client.closed && e.kind() == std::io::ErrorKind::ConnectionReset => {
                    break;
                }
                Err(e) => {
                    let came = String::from_utf8_lossy(&came).into_owned();
                    return Err(format!("{e} after {came:?}"));
                }
            }
            if !self.client.closed && came.ends_with(b"\r\n\r\nafter") {
                break;
            }
        }
        let came = String::from_utf8_lossy(&came).into_owned();
        Ok(match came.rfind("HTTP/1.1 200 OK\r\nContent-Length: 5") {
            Some(at) if !self.client.closed => came[..at].to_owned(),
            _ => came,
        })
    }
}
