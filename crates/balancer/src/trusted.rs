//! Pure: where a request really comes from, when proxies stand in front of this one.
//!
//! Only a peer in `trusted_proxies` is believed, and of the chain it tells only as far as it goes through
//! trusted ones: from the right, the first address that is not trusted is the client (nginx's
//! `real_ip_recursive`; MDN, "X-Forwarded-For", selecting an IP address). Whatever stands left of it,
//! the client may have made up. An entry that is no address (`unknown`, `_hidden`; RFC 7239 section 6) ends
//! the chain: what is right of it is the nearest we know.
//!
//! `X-Forwarded-For` is read, and `Forwarded` only when the first is not there: a proxy writes one of
//! them and may pass on the other as the client sent it. So one that writes `Forwarded` has to
//! remove the other.

use std::net::{IpAddr, SocketAddr};

use http::head::Fields;
use http::head::address::AddressText;

use crate::networks::Networks;

pub mod forwarded;

/// Entries of a chain that are looked at, from the left; a longer one is not believed at all (no source:
/// five proxies in a row are many).
const ENTRIES: usize = 64;

/// What counts as the truth about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    pub client: IpAddr,
    /// `http` or `https`: how the client came to the first proxy.
    pub scheme: &'static str,
    /// The host the client asked for, when a trusted proxy says that it was another.
    pub host: Option<&'a str>,
}

/// `peer`: whose connection it is (or who the PROXY protocol says it is).
pub fn origin<'a>(
    trusted: &Networks,
    peer: IpAddr,
    secure: bool,
    fields: Fields<'_, 'a>,
) -> Origin<'a> {
    let peer = peer.to_canonical();
    let scheme = if secure { "https" } else { "http" };
    if !trusted.contains(peer) {
        return Origin {
            client: peer,
            scheme,
            host: None,
        };
    }
    let plain = fields.get("x-forwarded-for").is_some();
    let nearest = forwarded::elements(fields).last();
    let client = if plain {
        client(trusted, peer, items(fields, "x-forwarded-for").map(address))
    } else {
        let of = |element: forwarded::Element<'_>| element.client.and_then(address);
        client(trusted, peer, forwarded::elements(fields).map(of))
    };
    // What the nearest proxy says: it is the last.
    let said = |name| {
        items(fields, name)
            .last()
            .and_then(|text| std::str::from_utf8(text).ok())
    };
    let (told_scheme, told_host) = match nearest.filter(|_| !plain) {
        Some(element) => (element.scheme, element.host),
        None => (said("x-forwarded-proto"), said("x-forwarded-host")),
    };
    Origin {
        client,
        scheme: told_scheme.and_then(known_scheme).unwrap_or(scheme),
        host: told_host.filter(|host| is_host(host)),
    }
}

/// The value of `X-Forwarded-For` for an endpoint: the chain of a trusted peer, whichever of the two
/// fields it is in, and the peer, or the peer alone. Nothing that was not an address or a token is passed on.
pub fn put_forwarded_for(
    trusted: &Networks,
    peer: IpAddr,
    fields: Fields<'_, '_>,
    out: &mut Vec<u8>,
) {
    let peer = peer.to_canonical();
    if trusted.contains(peer) {
        let mut put = |item: &[u8]| {
            let plain = |b: &u8| b.is_ascii_alphanumeric() || b"._:[]-".contains(b);
            if item.iter().all(plain) {
                out.extend_from_slice(item);
                out.extend_from_slice(b", ");
            }
        };
        if fields.get("x-forwarded-for").is_some() {
            items(fields, "x-forwarded-for")
                .take(ENTRIES)
                .for_each(&mut put);
        } else {
            let clients = forwarded::elements(fields).filter_map(|element| element.client);
            for client in clients.take(ENTRIES) {
                // There in brackets and with a port, here without.
                match address(client) {
                    Some(address) => put(address.to_string().as_bytes()),
                    None => put(client),
                }
            }
        }
    }
    out.extend_from_slice(AddressText::new(peer).as_str().as_bytes());
}

fn client(trusted: &Networks, peer: IpAddr, chain: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
    // From the left, so that it needs no list: whatever is not trusted, or is no address, makes all
    // before it void.
    let mut client = None;
    for (number, entry) in chain.enumerate() {
        if number == ENTRIES {
            return peer;
        }
        client = match entry {
            None => None,
            Some(address) if trusted.contains(address) => client.or(Some(address)),
            Some(address) => Some(address),
        };
    }
    client.unwrap_or(peer)
}

/// Of a list field, in all its lines; empty ones do not count (RFC 9110 section 5.6.1).
fn items<'a>(fields: Fields<'_, 'a>, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .all(name)
        .flat_map(|line| line.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

/// With or without a port; IPv6 with or without brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => text
            .parse()
            .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
            .ok()?,
    };
    Some(address.to_canonical())
}

fn known_scheme(text: &str) -> Option<&'static str> {
    ["http", "https"]
        .into_iter()
        .find(|scheme| scheme.eq_ignore_ascii_case(text))
}

fn is_host(text: &str) -> bool {
    let of_host = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
    !text.is_empty() && text.bytes().all(of_host)
}

#[cfg(test)]
mod tests;
