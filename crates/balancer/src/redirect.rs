//! Pure: where a redirect leads.
//!
//! What a client sends must not decide to which site it is sent on (an open redirect), nor end the
//! header's line. So the host of a template is what a person wrote, `{host}`, or a group followed by
//! more of the name (`https://{1}.foobar.com`); a path begins with exactly one slash, since browsers take
//! `//name` and `/\name` for another host; and everything is percent-encoded that may not stand in a URL
//! (RFC 3986).

use crate::escaped;
use crate::pattern::Groups;
use crate::reason::Reason;
use crate::template::{BadTemplate, Name, Piece, pieces};

/// Names in braces that a target may have, besides groups.
const NAMES: [&str; 4] = ["scheme", "host", "path", "query"];
/// What an authority for ACME asks, over cleartext HTTP (RFC 8555 section 8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// The compiled form of `Action::Redirect`.
#[derive(Debug)]
pub struct Redirect {
    pub status: u16,
    pieces: Box<[Part]>,
    /// Without a host.
    relative: bool,
}

#[derive(Debug)]
enum Part {
    Text(Box<[u8]>),
    Name(Name),
    /// A group that stands in a host's name.
    Label(usize),
}

/// What stands for the names.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    pub scheme: &'a str,
    /// Without port.
    pub host: &'a str,
    /// As sent.
    pub path: &'a str,
    /// Without the `?`.
    pub query: &'a str,
    /// Of the normal path.
    pub groups: Groups,
    pub normal_path: &'a [u8],
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRedirect {
    #[error("{0} is not 301, 302, 303, 307 or 308")]
    Status(u16),
    #[error(transparent)]
    Template(#[from] BadTemplate),
    #[error("{0:?} must begin with http://, https://, {{scheme}}:// or a slash")]
    Begin(String),
    #[error("{0:?}: a client could choose the host; write more of its name behind the group")]
    Host(String),
}

impl Redirect {
    /// `groups`: how many the route's pattern has.
    pub fn new(status: u16, to: &str, groups: usize) -> Result<Self, BadRedirect> {
        if !matches!(status, 301..=303 | 307 | 308) {
            return Err(BadRedirect::Status(status));
        }
        let pieces = pieces(to, &NAMES, groups)?;
        let host = host_begin(&pieces).ok_or_else(|| BadRedirect::Begin(to.to_owned()))?;
        let parts = match host {
            None => pieces.into_iter().map(Part::of).collect(),
            Some(begin) => with_host(pieces, begin).ok_or(BadRedirect::Host(to.to_owned()))?,
        };
        Ok(Self {
            status,
            pieces: parts,
            relative: host.is_none(),
        })
    }

    /// The value of `Location`. On an error `out` is as before.
    pub fn location(&self, values: &Values<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
        let begin = out.len();
        for part in &self.pieces {
            if let Err(reason) = part.put(values, out) {
                out.truncate(begin);
                return Err(reason);
            }
        }
        if self.relative {
            one_slash(begin, out);
        }
        Ok(())
    }
}

/// Removes what would make a path look like a host.
pub(crate) fn one_slash(begin: usize, out: &mut Vec<u8>) {
    let slashes = out.iter().skip(begin).take_while(|b| **b == b'/').count();
    if slashes > 1 {
        out.drain(begin + 1..begin + slashes);
    }
}

/// Where the host begins: which piece, and how far in it. Some(None): there is none, it is a path.
fn host_begin(pieces: &[Piece]) -> Option<Option<(usize, usize)>> {
    match pieces {
        [Piece::Text(text), ..] if text.starts_with('/') => {
            // A host that a person wrote, without a scheme: not worth a case of its own.
            (!text.starts_with("//")).then_some(None)
        }
        [Piece::Name(Name::Path), ..] => Some(None),
        [Piece::Text(text), ..] => ["https://", "http://"]
            .into_iter()
            .find(|scheme| text.starts_with(scheme))
            .map(|scheme| Some((0, scheme.len()))),
        [Piece::Name(Name::Scheme), Piece::Text(text), ..] => {
            text.starts_with("://").then_some(Some((1, 3)))
        }
        _ => None,
    }
}

/// None: a client could choose the host.
fn with_host(pieces: Vec<Piece>, (first, skip): (usize, usize)) -> Option<Box<[Part]>> {
    let mut parts = Vec::new();
    let (mut in_host, mut named, mut open) = (true, false, false);
    for (at, piece) in pieces.into_iter().enumerate() {
        if !in_host || at < first {
            parts.push(Part::of(piece));
            continue;
        }
        match piece {
            Piece::Text(text) => {
                let text_of_host = if at == first {
                    text.get(skip..)?
                } else {
                    &text
                };
                let end = text_of_host.find(['/', '?', '#']);
                let name = text_of_host.get(..end.unwrap_or(text_of_host.len()))?;
                // Behind a group the name must go on, or it could be anybody's.
                if open && !name.starts_with('.') || name.contains(['@', '\\']) {
                    return None;
                }
                open = open && name.len() < 2;
                named |= !name.is_empty();
                in_host = end.is_none();
                parts.push(Part::of(Piece::Text(text)));
            }
            Piece::Name(Name::Group(_)) if open => return None,
            Piece::Name(Name::Group(number)) => {
                // Behind a name it would be its end.
                if named {
                    return None;
                }
                (open, named) = (true, true);
                parts.push(Part::Label(number));
            }
            Piece::Name(Name::Host) => {
                if named {
                    return None;
                }
                named = true;
                parts.push(Part::Name(Name::Host));
            }
            Piece::Name(Name::Path) => {
                if open || !named {
                    return None;
                }
                in_host = false;
                parts.push(Part::Name(Name::Path));
            }
            Piece::Name(_) => return None,
        }
    }
    (named && !open).then(|| parts.into())
}

impl Part {
    fn of(piece: Piece) -> Self {
        match piece {
            Piece::Name(name) => Self::Name(name),
            Piece::Text(text) => {
                let mut encoded = Vec::new();
                escaped::put(text.as_bytes(), escaped::written, &mut encoded);
                Self::Text(encoded.into())
            }
        }
    }

    fn put(&self, values: &Values<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
        match self {
            Self::Text(text) => out.extend_from_slice(text),
            Self::Name(Name::Scheme) => out.extend_from_slice(values.scheme.as_bytes()),
            Self::Name(Name::Host) => out.extend_from_slice(host_name(values.host)?),
            Self::Name(Name::Path) => put_path(values.path, out),
            Self::Name(Name::Query) => put_query(values.query, out),
            Self::Name(Name::Group(number)) => {
                let text = values.groups.text(*number, values.normal_path);
                escaped::put(text, escaped::decoded_piece, out);
            }
            Self::Label(number) => {
                let text = values.groups.text(*number, values.normal_path);
                let of_label = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
                let dots = text.starts_with(b".") || text.ends_with(b".");
                if text.is_empty() || dots || !text.iter().all(of_label) {
                    return Err(Reason::BadRequestPath);
                }
                out.extend_from_slice(text);
            }
            // Not among NAMES.
            Self::Name(Name::Client | Name::RequestId | Name::Route) => {}
        }
        Ok(())
    }
}

fn put_path(path: &str, out: &mut Vec<u8>) {
    let begin = out.len();
    if !path.starts_with('/') {
        out.push(b'/');
    }
    // `OPTIONS *`
    if path != "*" {
        escaped::put(path.as_bytes(), escaped::sent_path, out);
    }
    one_slash(begin, out);
}

fn put_query(query: &str, out: &mut Vec<u8>) {
    if !query.is_empty() {
        out.push(b'?');
        escaped::put(query.as_bytes(), escaped::sent_query, out);
    }
}

/// A name or address of which nobody can make anything else.
fn host_name(host: &str) -> Result<&[u8], Reason> {
    let of_host = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
    if host.is_empty() || !host.bytes().all(of_host) {
        return Err(Reason::BadRequestHost);
    }
    Ok(host.as_bytes())
}

/// Whether a listener that sends everything on to HTTPS sends this. `path`: the normal one, since
/// otherwise any path could be spelled as a challenge.
pub fn goes_to_https(path: &[u8]) -> bool {
    !path.starts_with(CHALLENGES.as_bytes())
}

/// Status and `Location` for a request that came over cleartext. GET and HEAD have the old status that
/// everybody knows; with others it would turn into GET (RFC 9110 section 15.4.2).
pub fn to_https(
    method: &str,
    port: u16,
    values: &Values<'_>,
    out: &mut Vec<u8>,
) -> Result<u16, Reason> {
    let host = host_name(values.host)?;
    out.extend_from_slice(b"https://");
    out.extend_from_slice(host);
    if port != 443 {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    put_path(values.path, out);
    put_query(values.query, out);
    Ok(if matches!(method, "GET" | "HEAD") {
        301
    } else {
        308
    })
}

#[cfg(test)]
mod tests;
