//! Pure: the `Forwarded` field (RFC 7239): elements between commas, pairs between semicolons, values as
//! tokens or in quotes. An element that cannot be read is one without an address, so it ends the chain:
//! an open quote of a client's cannot make a proxy's own words part of his.

use std::io::Write as _;
use std::net::IpAddr;

use http::head::Fields;

/// One proxy's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Element<'a> {
    /// Of `for`, without quotes.
    pub client: Option<&'a [u8]>,
    pub scheme: Option<&'a str>,
    pub host: Option<&'a str>,
}

/// All elements, in order.
pub fn elements<'a>(fields: Fields<'_, 'a>) -> impl Iterator<Item = Element<'a>> {
    fields
        .all("forwarded")
        .flat_map(|line| Split {
            rest: Some(line),
            at: b',',
        })
        .filter(|element| !element.trim_ascii().is_empty())
        .map(|element| read(element).unwrap_or_default())
}

/// Adds our own element.
pub fn put(client: IpAddr, scheme: &str, host: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail. Quotes for what is no token: IPv6 and hosts with a port.
    match client.to_canonical() {
        IpAddr::V4(address) => write!(out, "for={address}"),
        IpAddr::V6(address) => write!(out, "for=\"[{address}]\""),
    }
    .unwrap_or_default();
    for text in [";proto=", scheme] {
        out.extend_from_slice(text.as_bytes());
    }
    let quotable = |b: u8| b > b' ' && b < 0x7f && b != b'"' && b != b'\\';
    if !host.is_empty() && host.bytes().all(quotable) {
        for text in [";host=\"", host, "\""] {
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Pieces between separators that do not stand in quotes.
struct Split<'a> {
    rest: Option<&'a [u8]>,
    at: u8,
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.iter().position(|b| {
            match b {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b if *b == self.at && !quoted => return true,
                _ => {}
            }
            false
        });
        match end.and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?))) {
            Some((piece, after)) => {
                self.rest = Some(after);
                Some(piece)
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

fn read(element: &[u8]) -> Option<Element<'_>> {
    let mut read = Element::default();
    let pairs = Split {
        rest: Some(element),
        at: b';',
    };
    for pair in pairs {
        let pair = pair.trim_ascii();
        if pair.is_empty() {
            continue;
        }
        let equals = pair.iter().position(|b| *b == b'=')?;
        let (name, value) = (pair.get(..equals)?, value(pair.get(equals + 1..)?)?);
        let text = || std::str::from_utf8(value).ok();
        // Each at most once (section 4); a second one may be the client's.
        let doubled = if name.eq_ignore_ascii_case(b"for") {
            read.client.replace(value).is_some()
        } else if name.eq_ignore_ascii_case(b"proto") {
            std::mem::replace(&mut read.scheme, text()).is_some()
        } else if name.eq_ignore_ascii_case(b"host") {
            std::mem::replace(&mut read.host, text()).is_some()
        } else {
            false
        };
        if doubled {
            return None;
        }
    }
    Some(read)
}

/// Without its quotes. One with escapes is none: nothing we look for needs them.
fn value(text: &[u8]) -> Option<&[u8]> {
    let inner = match text.strip_prefix(b"\"") {
        Some(inner) => inner.strip_suffix(b"\"")?,
        None => text,
    };
    (!inner.contains(&b'"') && !inner.contains(&b'\\')).then_some(inner)
}
