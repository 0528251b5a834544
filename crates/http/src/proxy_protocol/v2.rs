//! Pure: version 2, binary (section 2.2). Of the fields behind the addresses (TLVs) the server name and
//! the ALPN are kept, a checksum is verified, and the rest is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::claim::{Claim, Header, Origin, one_family};
use super::crc32c::checksum;
use crate::fault::Kind;
use crate::limits;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;

const BAD: Kind = Kind::Malformed("the PROXY header");

/// `Ok(None)`: more is needed.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Kind> {
    let begins = bytes.iter().zip(SIGNATURE).all(|(a, b)| a == b);
    if !begins {
        return Err(Kind::Malformed("no PROXY header"));
    }
    let Some(after) = bytes.get(SIGNATURE.len()..) else {
        return Ok(None);
    };
    let local = match after.first() {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(Kind::Malformed("the PROXY header's version or command")),
    };
    let [_, family, high, low, rest @ ..] = after else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > limits::PROXY_HEADER - FIXED {
        return Err(Kind::TooLarge("the PROXY header"));
    }
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    let fixed = bytes.get(..FIXED).unwrap_or_default();
    Ok(Some(Header {
        claim: claim(local, *family, fixed, body)?,
        length: FIXED + length,
    }))
}

fn claim(local: bool, family: u8, fixed: &[u8], body: &[u8]) -> Result<Claim, Kind> {
    // Of the lower half (stream or datagram) only the stream can come this way.
    let size = match family {
        // "The receiver must accept this connection as valid and must use the real connection
        // endpoints and discard the protocol block including the family."
        _ if local => return Ok(Claim::of(Origin::Local)),
        0x11 => 4,
        0x21 => 16,
        // Unspecified, unix sockets, datagrams, and what comes after us.
        _ => return Ok(Claim::of(Origin::Unknown)),
    };
    let mut rest = body;
    let addresses = split(&mut rest, 2 * size)?;
    let ports = split(&mut rest, 4)?;
    let (source, destination) = addresses.split_at_checked(size).ok_or(BAD)?;
    let port = |at: usize| {
        let pair = ports.get(at..at + 2).and_then(|pair| pair.try_into().ok());
        pair.map(u16::from_be_bytes).ok_or(BAD)
    };
    let origin = Origin::Known {
        source: SocketAddr::new(address(source)?, port(0)?),
        destination: SocketAddr::new(address(destination)?, port(2)?),
    };
    fields(Claim::of(origin), fixed, body, rest)
}

fn address(bytes: &[u8]) -> Result<IpAddr, Kind> {
    let four = <[u8; 4]>::try_from(bytes).map(|four| Ipv4Addr::from(four).into());
    let six = || <[u8; 16]>::try_from(bytes).map(|six| Ipv6Addr::from(six).into());
    four.or_else(|_| six()).map_err(|_| BAD)
}

fn fields(mut claim: Claim, fixed: &[u8], body: &[u8], mut rest: &[u8]) -> Result<Claim, Kind> {
    let mut verified = false;
    while !rest.is_empty() {
        let [kind, high, low] = *split(&mut rest, 3)? else {
            return Err(BAD);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let before = body.get(..body.len() - rest.len()).unwrap_or_default();
        let value = split(&mut rest, length)?;
        match kind {
            ALPN => claim.alpn = Some(value.to_vec()),
            AUTHORITY => {
                let name = std::str::from_utf8(value).map_err(|_| BAD)?;
                // It may come to stand in a log or a field of a head.
                if name.contains(char::is_control) {
                    return Err(BAD);
                }
                claim.authority = Some(name.to_owned());
            }
            // One: each costs a run over everything.
            CRC32C if std::mem::replace(&mut verified, true) => return Err(BAD),
            CRC32C => {
                let sent = value.try_into().map(u32::from_be_bytes).map_err(|_| BAD)?;
                // Over everything, with the checksum itself taken as zero.
                if checksum([fixed, before, &[0; 4], rest]) != sent {
                    return Err(Kind::Malformed("the PROXY header's checksum"));
                }
            }
            _ => {}
        }
    }
    Ok(claim)
}

fn split<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Kind> {
    let (taken, left) = rest.split_at_checked(count).ok_or(BAD)?;
    *rest = left;
    Ok(taken)
}

/// Appends the header. With `verified`, a checksum follows the fields.
pub fn write(claim: &Claim, verified: bool, out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(SIGNATURE);
    let command = match claim.origin {
        Origin::Local => 0x20,
        Origin::Unknown | Origin::Known { .. } => 0x21,
    };
    let Origin::Known {
        source,
        destination,
    } = claim.origin
    else {
        out.extend_from_slice(&[command, 0, 0, 0]);
        return;
    };
    let (source, destination) = one_family(source, destination);
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    out.extend_from_slice(&[command, family, 0, 0]);
    for address in [source.ip(), destination.ip()] {
        match address {
            IpAddr::V4(four) => out.extend_from_slice(&four.octets()),
            IpAddr::V6(six) => out.extend_from_slice(&six.octets()),
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    if let Some(alpn) = &claim.alpn {
        field(ALPN, alpn, out);
    }
    if let Some(authority) = &claim.authority {
        field(AUTHORITY, authority.as_bytes(), out);
    }
    if verified {
        field(CRC32C, &[0; 4], out);
    }
    let length = out.len() - begin - FIXED;
    // Two fields of at most 255 bytes each: always below.
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(place) = out.get_mut(begin + 14..begin + FIXED) {
        place.copy_from_slice(&length);
    }
    if verified {
        let sum = checksum(out.get(begin..)).to_be_bytes();
        let end = out.len();
        if let Some(place) = out.get_mut(end - 4..) {
            place.copy_from_slice(&sum);
        }
    }
}

/// A value longer than names and protocols may be (255 bytes) is left out.
fn field(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    if let Ok(length) = u8::try_from(value.len()) {
        out.extend_from_slice(&[kind, 0, length]);
        out.extend_from_slice(value);
    }
}
