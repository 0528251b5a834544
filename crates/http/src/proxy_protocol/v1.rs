//! Pure: version 1, a line of text (section 2.1).

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::claim::{Claim, Header, Origin, one_family};
use crate::fault::Kind;

const BEGINNING: &[u8] = b"PROXY ";
/// With its line end: "a 108-byte buffer is always enough to store all the line and a trailing zero".
const LONGEST: usize = 107;

const BAD: Kind = Kind::Malformed("the PROXY line");

/// `Ok(None)`: more is needed.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Kind> {
    let common = bytes.iter().zip(BEGINNING);
    if common.clone().any(|(ours, theirs)| ours != theirs) {
        return Err(Kind::Malformed("no PROXY header"));
    }
    let line = bytes.get(..bytes.len().min(LONGEST)).unwrap_or_default();
    let Some(end) = memchr::memchr(b'\n', line) else {
        return if bytes.len() < LONGEST {
            could_be_a_line(line)
        } else {
            Err(Kind::TooLarge("the PROXY line"))
        };
    };
    let text = line
        .get(BEGINNING.len()..end)
        .and_then(|text| text.strip_suffix(b"\r"))
        .filter(|text| !text.contains(&b'\r'))
        .ok_or(BAD)?;
    Ok(Some(Header {
        claim: Claim::of(origin(text)?),
        length: end + 1,
    }))
}

/// A CR that no LF follows is refused at once.
fn could_be_a_line(line: &[u8]) -> Result<Option<Header>, Kind> {
    match memchr::memchr(b'\r', line) {
        Some(at) if at + 1 < line.len() => Err(BAD),
        _ => Ok(None),
    }
}

fn origin(text: &[u8]) -> Result<Origin, Kind> {
    let text = std::str::from_utf8(text).map_err(|_| BAD)?;
    let mut words = text.split(' ');
    let family = words.next();
    if family == Some("UNKNOWN") {
        // What follows is to be ignored.
        return Ok(Origin::Unknown);
    }
    let (Some(source), Some(destination), Some(from), Some(to), None) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return Err(BAD);
    };
    let address = match family {
        Some("TCP4") => |word| Ipv4Addr::from_str(word).ok().map(IpAddr::from),
        Some("TCP6") => |word| Ipv6Addr::from_str(word).ok().map(IpAddr::from),
        _ => return Err(BAD),
    };
    Ok(Origin::Known {
        source: SocketAddr::new(address(source).ok_or(BAD)?, port(from)?),
        destination: SocketAddr::new(address(destination).ok_or(BAD)?, port(to)?),
    })
}

/// Digits only, and no zero in front.
fn port(word: &str) -> Result<u16, Kind> {
    let plain = word.bytes().all(|b| b.is_ascii_digit());
    let zero_in_front = word.len() > 1 && word.starts_with('0');
    if !plain || zero_in_front {
        return Err(BAD);
    }
    word.parse().map_err(|_| BAD)
}

/// Appends the line.
pub fn write(origin: Origin, out: &mut Vec<u8>) {
    let written = match origin {
        Origin::Local | Origin::Unknown => out.write_all(b"PROXY UNKNOWN\r\n"),
        Origin::Known {
            source,
            destination,
        } => {
            let (source, destination) = one_family(source, destination);
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (source.ip(), destination.ip());
            let (source, destination) = (source.port(), destination.port());
            write!(out, "PROXY {family} {from} {to} {source} {destination}\r\n")
        }
    };
    // Writing to a Vec cannot fail.
    written.unwrap_or_default();
}
