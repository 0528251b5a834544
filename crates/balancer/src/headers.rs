//! Pure: a route's edits of header fields, made ready once per snapshot: for each field of a head
//! whether it goes on, and the lines that are added at its end.
//!
//! Fields that say where a message ends or what becomes of the connection are not for editing: they are
//! ours (see `http::head::write`), and a wrong one would let one message be read as two. No expansion
//! can end a line: one that has a control character is refused with the request.

use std::io::Write as _;
use std::net::IpAddr;

use site::target::balancer::HeaderEdits;

use crate::sticky::is_token;
use crate::template::{BadTemplate, Name, Piece, pieces};

/// Names in braces that a value may have.
const NAMES: [&str; 5] = ["client", "host", "scheme", "request-id", "route"];
/// In lower case. `Host` has a setting of its own (`Action::Forward`).
const OURS: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "mainstay-not-handled",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The compiled form of `HeaderEdits`.
#[derive(Debug, Default)]
pub struct Edits {
    /// Removed or replaced.
    dropped: Box<[Box<str>]>,
    /// Bit n: a name of n bytes is among them (63: or of more). Nearly every field is told apart by it.
    lengths: u64,
    lines: Box<[Line]>,
}

#[derive(Debug)]
struct Line {
    name: Box<str>,
    value: Box<[Piece]>,
}

/// What stands for the names.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    pub client: IpAddr,
    /// As sent, without port.
    pub host: &'a str,
    pub scheme: &'a str,
    pub request_id: &'a str,
    pub route: &'a str,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEdit {
    #[error("{0:?} cannot be the name of a header")]
    Name(String),
    #[error("{0} says where a message ends or what becomes of the connection: it cannot be edited")]
    Ours(String),
    #[error("the value of {0} has a control character")]
    Control(String),
    #[error("the value of {name}: {why}")]
    Value { name: String, why: BadTemplate },
}

/// An expansion has what no value may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadExpansion;

impl Edits {
    pub fn new(edits: &HeaderEdits) -> Result<Self, BadEdit> {
        let set = edits.set.iter().map(|(name, _)| name);
        let mut dropped: Vec<Box<str>> = Vec::new();
        for name in edits.remove.iter().chain(set) {
            dropped.push(checked(name)?.into());
        }
        let lengths = dropped.iter().fold(0, |bits, name| bits | bit(name));
        let lines = edits
            .set
            .iter()
            .chain(&edits.add)
            .map(|(name, value)| {
                if value.bytes().any(is_control) {
                    return Err(BadEdit::Control(name.clone()));
                }
                let value = pieces(value.trim(), &NAMES, 0).map_err(|why| BadEdit::Value {
                    name: name.clone(),
                    why,
                })?;
                Ok(Line {
                    name: checked(name)?.into(),
                    value: value.into(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            dropped: dropped.into(),
            lengths,
            lines,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.lines.is_empty()
    }

    /// Whether a field of the message goes on.
    pub fn keeps(&self, name: &str) -> bool {
        self.lengths & bit(name) == 0
            || !self
                .dropped
                .iter()
                .any(|dropped| dropped.eq_ignore_ascii_case(name))
    }

    /// Adds the lines, each with its end. On an error `out` is as before.
    pub fn append(&self, values: &Values<'_>, out: &mut Vec<u8>) -> Result<(), BadExpansion> {
        let begin = out.len();
        for line in &self.lines {
            out.extend_from_slice(line.name.as_bytes());
            out.extend_from_slice(b": ");
            for piece in &line.value {
                if put(piece, values, out).is_err() {
                    out.truncate(begin);
                    return Err(BadExpansion);
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }
}

fn put(piece: &Piece, values: &Values<'_>, out: &mut Vec<u8>) -> Result<(), BadExpansion> {
    let text = match piece {
        Piece::Text(text) => text,
        Piece::Name(Name::Client) => {
            return write!(out, "{}", values.client.to_canonical()).map_err(|_| BadExpansion);
        }
        Piece::Name(Name::Host) => values.host,
        Piece::Name(Name::Scheme) => values.scheme,
        Piece::Name(Name::RequestId) => values.request_id,
        Piece::Name(Name::Route) => values.route,
        // Not among NAMES.
        Piece::Name(Name::Path | Name::Query | Name::Group(_)) => return Err(BadExpansion),
    };
    if text.bytes().any(is_control) {
        return Err(BadExpansion);
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn checked(name: &str) -> Result<&str, BadEdit> {
    if !is_token(name) {
        return Err(BadEdit::Name(name.to_owned()));
    }
    if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
        return Err(BadEdit::Ours(name.to_owned()));
    }
    Ok(name)
}

fn bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

/// A tab may stand in a value (RFC 9110 section 5.5).
fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' || byte == 0x7f
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edits(remove: &[&str], set: &[(&str, &str)], add: &[(&str, &str)]) -> HeaderEdits {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        HeaderEdits {
            remove: remove.iter().map(|name| (*name).to_owned()).collect(),
            set: pairs(set),
            add: pairs(add),
        }
    }

    const VALUES: Values<'_> = Values {
        client: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
        host: "www.foobar.com",
        scheme: "https",
        request_id: "abc",
        route: "api",
    };

    #[test]
    fn fields_are_removed_set_and_added() {
        let edits = Edits::new(&edits(
            &["Server"],
            &[("X-Origin", "{scheme}://{host} {client}")],
            &[("X-Route", "{route} {request-id} {{}}")],
        ))
        .unwrap();
        assert!(!edits.keeps("server") && !edits.keeps("X-ORIGIN"));
        assert!(edits.keeps("X-Route") && edits.keeps("Accept") && edits.keeps("Cookie"));
        let mut out = b"A: b\r\n".to_vec();
        edits.append(&VALUES, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "A: b\r\nX-Origin: https://www.foobar.com 192.0.2.7\r\nX-Route: api abc {}\r\n"
        );
        assert!(Edits::default().keeps("x"));
    }

    #[test]
    fn what_cannot_be_edited() {
        for (set, why) in [
            (
                ("content-Length", "1"),
                "content-Length says where a message ends or what becomes of the connection: it cannot be edited",
            ),
            (("a b", "1"), "\"a b\" cannot be the name of a header"),
            (("a", "1\r\nb: 2"), "the value of a has a control character"),
            (
                ("a", "{path}"),
                "the value of a: {path} means nothing here; there are {client}, {host}, {scheme}, {request-id}, {route}",
            ),
        ] {
            assert_eq!(
                Edits::new(&edits(&[], &[set], &[]))
                    .unwrap_err()
                    .to_string(),
                why
            );
        }
        assert!(Edits::new(&edits(&["Transfer-Encoding"], &[], &[])).is_err());
    }

    proptest! {
        #[test]
        fn no_expansion_ends_a_line(host in ".{0,20}", id in "(a|\r|\n|\0|\t){0,4}") {
            let compiled = Edits::new(&edits(&[], &[], &[("a", "{host}{request-id}")])).unwrap();
            let mut out = Vec::new();
            let values = Values { host: &host, request_id: &id, ..VALUES };
            let done = compiled.append(&values, &mut out);
            let text = String::from_utf8(out).unwrap();
            match done {
                Ok(()) => prop_assert!(!text.trim_end_matches("\r\n").contains(['\r', '\n', '\0'])),
                Err(BadExpansion) => prop_assert_eq!(text, ""),
            }
        }
    }
}
