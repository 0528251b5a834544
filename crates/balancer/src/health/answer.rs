//! Pure: whether an HTTP answer is what a health check asks for.

use std::fmt;

use site::target::balancer::Ask;

use crate::pattern::{BadPattern, Pattern};

/// Bytes of a body that are looked at, and need be read.
pub const BODY: usize = 64 << 10;
/// Characters of a body that are shown.
const SHOWN: usize = 120;

/// The compiled form of `Ask::Http`.
#[derive(Debug)]
pub struct Expected {
    /// From and to; empty: 200 to 299.
    status: Box<[(u16, u16)]>,
    body: Option<Pattern>,
}

/// Why an endpoint is not healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unhealthy {
    /// With the beginning of the body: often it says why.
    Status(u16, String),
    Body(String),
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, body) => write!(f, "answered {status}: {body}"),
            Self::Body(body) => write!(f, "the answer's body is not as expected: {body}"),
        }
    }
}

impl Expected {
    /// None: the check does not ask over HTTP.
    pub fn new(ask: &Ask) -> Option<Result<Self, BadPattern>> {
        let Ask::Http { status, body, .. } = ask else {
            return None;
        };
        let body = body.as_deref().map(Pattern::new).transpose();
        Some(body.map(|body| Self {
            status: status.as_slice().into(),
            body,
        }))
    }

    /// Whether the body has to be read for the answer.
    pub fn needs_body(&self) -> bool {
        self.body.is_some()
    }

    pub fn check(&self, status: u16, body: &[u8]) -> Result<(), Unhealthy> {
        let body = body.get(..BODY).unwrap_or(body);
        let good = match &*self.status {
            [] => (200..300).contains(&status),
            ranges => ranges
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&status)),
        };
        if !good {
            return Err(Unhealthy::Status(status, shown(body)));
        }
        match &self.body {
            Some(pattern) if !pattern.matches(body) => Err(Unhealthy::Body(shown(body))),
            _ => Ok(()),
        }
    }
}

fn shown(body: &[u8]) -> String {
    let body = body.get(..4 * SHOWN).unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let text: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ranges: &[(u16, u16)], pattern: Option<&str>, status: u16, body: &str) -> String {
        let ask = Ask::Http {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            host: String::new(),
            headers: vec![],
            status: ranges.to_vec(),
            body: pattern.map(str::to_owned),
        };
        let expected = Expected::new(&ask).unwrap().unwrap();
        match expected.check(status, body.as_bytes()) {
            Ok(()) => "healthy".to_owned(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn status_and_body() {
        assert_eq!(check(&[], None, 204, ""), "healthy");
        assert_eq!(check(&[], None, 301, "moved\r\n"), "answered 301: moved");
        assert_eq!(check(&[(200, 200), (300, 399)], None, 301, ""), "healthy");
        assert_eq!(check(&[(200, 200)], None, 204, ""), "answered 204: ");
        assert_eq!(check(&[], Some("^ok$"), 200, "ok"), "healthy");
        let why = "the answer's body is not as expected: not ok";
        assert_eq!(check(&[], Some("^ok$"), 200, "not ok"), why);
        assert!(Expected::new(&Ask::Tcp).is_none());
    }

    #[test]
    fn only_the_beginning_of_a_body_counts() {
        let late = format!("{}ok", " ".repeat(BODY));
        assert_ne!(check(&[], Some("ok"), 200, &late), "healthy");
    }
}
