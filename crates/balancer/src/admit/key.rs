//! Pure: what counts as one client, as a number. The hash has a secret of the process, so that nobody
//! can find keys that fall together with somebody else's.

use std::net::IpAddr;

use http::head::Fields;
use site::target::balancer::ClientKey;

use crate::hash::{Seed, keyed};
use http::head::cookie;

pub fn of(key: &ClientKey, client: IpAddr, fields: Fields<'_, '_>, seed: Seed) -> u64 {
    // A header's value must not be able to stand for an address.
    let of_text = Seed(seed.0, seed.1 ^ u64::MAX);
    let text = match key {
        ClientKey::Everybody => return 1,
        ClientKey::Address { v4_bits, v6_bits } => {
            return of_address(client, *v4_bits, *v6_bits, seed);
        }
        ClientKey::Header(name) => fields.get(name),
        ClientKey::Cookie(name) => cookie::values(fields, name).next(),
    };
    match text.filter(|text| !text.is_empty()) {
        Some(text) => keyed(of_text, text),
        // A site's network in IPv6 is 64 bits: an address of its own for each request is no way out.
        None => of_address(client, 32, 64, seed),
    }
}

fn of_address(client: IpAddr, v4_bits: u8, v6_bits: u8, seed: Seed) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(address) => {
            let cut = 32 - u32::from(v4_bits).min(32);
            let bits = address.to_bits().checked_shr(cut).unwrap_or(0);
            keyed(seed, &bits.to_be_bytes())
        }
        IpAddr::V6(address) => {
            let cut = 128 - u32::from(v6_bits).min(128);
            let bits = address.to_bits().checked_shr(cut).unwrap_or(0);
            keyed(seed, &bits.to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use http::head::{Storage, request};

    use super::*;

    #[test]
    fn what_is_one_client() {
        let key = |key: &ClientKey, client: &str, more: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{more}\r\n");
            let mut storage = Storage::new();
            let head = request(text.as_bytes(), &mut storage).unwrap();
            of(key, client.parse().unwrap(), head.fields, Seed(1, 2))
        };
        let address = ClientKey::Address {
            v4_bits: 24,
            v6_bits: 48,
        };
        assert_eq!(
            key(&address, "192.0.2.1", ""),
            key(&address, "192.0.2.9", "")
        );
        assert_ne!(
            key(&address, "192.0.2.1", ""),
            key(&address, "192.0.3.1", "")
        );
        assert_eq!(
            key(&address, "2001:db8::1", ""),
            key(&address, "2001:db8:0:9::1", "")
        );
        let header = ClientKey::Header("X-Api-Key".to_owned());
        let a = "X-Api-Key: a\r\n";
        assert_eq!(key(&header, "192.0.2.1", a), key(&header, "192.0.3.1", a));
        assert_ne!(key(&header, "192.0.2.1", a), key(&header, "192.0.2.1", ""));
        assert_ne!(key(&header, "192.0.2.1", ""), key(&header, "192.0.3.1", ""));
        let cookie = ClientKey::Cookie("s".to_owned());
        let s = "Cookie: t=1; s=2\r\n";
        assert_eq!(key(&cookie, "192.0.2.1", s), key(&cookie, "192.0.3.1", s));
        let all = ClientKey::Everybody;
        assert_eq!(key(&all, "192.0.2.1", s), key(&all, "192.0.3.1", ""));
    }
}
