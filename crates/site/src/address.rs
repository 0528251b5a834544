//! Pure: IP addresses and networks as people write them.

use std::net::{IpAddr, Ipv4Addr};

use crate::hint::quoted;
use crate::target::balancer::Network;

/// Why a text is no address of a server, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoAddress {
    pub(crate) what: String,
    pub(crate) write: String,
}

/// An address that other servers can connect to.
pub(crate) fn address(text: &str) -> Result<IpAddr, NoAddress> {
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(no_address(text));
    };
    // `::ffff:10.0.0.11` is 10.0.0.11, and would otherwise be taken for another server.
    let address = address.to_canonical();
    if address.is_unspecified() {
        return refuse(format!(
            "{address} means \"every address\", and is no server's own"
        ));
    }
    let broadcast = matches!(address, IpAddr::V4(v4) if v4 == Ipv4Addr::BROADCAST);
    if address.is_multicast() || broadcast {
        return refuse(format!(
            "{address} is the address of a group, not of one server"
        ));
    }
    Ok(address)
}

/// `203.0.113.7` or `203.0.113.0/24`.
pub(crate) fn network(text: &str) -> Result<Network, NoAddress> {
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(no_network(text));
    };
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits.map(str::parse::<u8>) {
        None => all,
        Some(Ok(bits)) if bits <= all => bits,
        Some(_) => {
            return Err(NoAddress {
                what: format!("`{text}` is no network: behind the `/` stands a number up to {all}"),
                write: quoted(&format!("{address}/24")),
            });
        }
    };
    let network = first_address(address, bits);
    if network == address {
        return Ok(Network { address, bits });
    }
    Err(NoAddress {
        what: format!("`{text}` is no network: {address} is an address inside {network}/{bits}"),
        write: format!("\"{network}/{bits}\" for the network, \"{address}\" for the one address"),
    })
}

fn first_address(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

fn no_network(text: &str) -> NoAddress {
    NoAddress {
        what: format!("`{text}` is no address and no network"),
        write: "an address or a network, like \"203.0.113.7\" or \"203.0.113.0/24\"".to_owned(),
    }
}

fn refuse(what: String) -> Result<IpAddr, NoAddress> {
    Err(NoAddress {
        what,
        write: "the server's own address, like \"10.0.0.11\"".to_owned(),
    })
}

fn no_address(text: &str) -> NoAddress {
    let inner = text.trim().trim_start_matches('[');
    let end = inner
        .find([']', '/'])
        .or_else(|| inner.rfind(':'))
        .unwrap_or(inner.len());
    let without_rest = inner.get(..end).unwrap_or(inner);
    let looks_like_numbers = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let (what, write) = if without_rest.parse::<IpAddr>().is_ok() {
        let what = format!("`{text}` is more than an IP address");
        (
            what,
            format!("{}, without port or mask", quoted(without_rest)),
        )
    } else if text.is_empty() || looks_like_numbers || text.contains([':', ' ']) {
        let what = format!("`{text}` is no IP address");
        (
            what,
            "an address like \"10.0.0.11\" or \"2001:db8::11\"".to_owned(),
        )
    } else {
        let what = format!("`{text}` is a host name; this version takes IP addresses only");
        (
            what,
            format!("the address that `{text}` stands for, like \"10.0.0.11\""),
        )
    };
    NoAddress { what, write }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> String {
        let no = address(text).unwrap_err();
        format!("{} -> {}", no.what, no.write)
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(address("10.0.0.11").unwrap().to_string(), "10.0.0.11");
        assert_eq!(address("2001:db8::11").unwrap().to_string(), "2001:db8::11");
    }

    #[test]
    fn near_misses_are_explained() {
        for (text, part) in [
            ("10.0.0.256", "no IP address"),
            ("10.0.0.11:22", "\"10.0.0.11\", without port"),
            ("10.0.0.0/24", "\"10.0.0.0\", without port"),
            ("[2001:db8::1]:80", "\"2001:db8::1\", without port"),
            ("app1.example.com", "host name"),
            ("0.0.0.0", "every address"),
            ("224.0.0.1", "group"),
            ("", "no IP address"),
        ] {
            assert!(problem(text).contains(part), "{}", problem(text));
        }
    }

    #[test]
    fn networks_are_read_and_checked() {
        assert_eq!(
            network("203.0.113.0/24").unwrap().to_string(),
            "203.0.113.0/24"
        );
        assert_eq!(network("203.0.113.7").unwrap().bits, 32);
        assert_eq!(network("0.0.0.0/0").unwrap().bits, 0);
        assert_eq!(network("2001:db8::/32").unwrap().bits, 32);
        assert!(
            network("203.0.113.7/24")
                .unwrap_err()
                .what
                .contains("inside 203.0.113.0/24")
        );
        assert!(network("203.0.113.0/33").is_err());
        assert!(network("office").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".*") {
            drop(address(&text));
            drop(network(&text));
        }
    }
}
