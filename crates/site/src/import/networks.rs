//! Pure: an address or network as HAProxy takes it, which need not be the network's first address.
//!
//! Source: HAProxy configuration manual, section 7.1.6 "Matching IPv4 and IPv6 addresses".

use crate::address::network;
use crate::target::balancer::Network;

/// An address, or the network that an address with a mask stands in.
pub(super) fn first_of(text: &str) -> Option<Network> {
    if let Ok(network) = network(text) {
        return Some(network);
    }
    let (address, bits) = text.split_once('/')?;
    let bits = bits.parse::<u8>().ok().or_else(|| {
        // `255.255.255.0`
        let mask = u32::from(bits.parse::<std::net::Ipv4Addr>().ok()?);
        let ones = mask.leading_ones();
        (mask.count_ones() == ones).then(|| u8::try_from(ones).unwrap_or(32))
    })?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let first = match address {
        std::net::IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32_u32.checked_sub(u32::from(bits))?)
                .unwrap_or(0);
            std::net::IpAddr::V4((u32::from(v4) & mask).into())
        }
        std::net::IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128_u32.checked_sub(u32::from(bits))?)
                .unwrap_or(0);
            std::net::IpAddr::V6((u128::from(v6) & mask).into())
        }
    };
    Some(Network {
        address: first,
        bits,
    })
}
