//! Pure: hashes of two kinds, both SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input
//! PRF", 2012), which is quick for short texts and gives an attacker nothing to aim with.
//!
//! Stable ones (no key) say which endpoint or which part of a hundred a client belongs to: every
//! balancer of a site and every version must say the same. Keyed ones are for tables that strangers
//! fill: who does not know the key cannot choose where his entries go.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher as _};
use std::net::IpAddr;

use siphasher::sip::SipHasher13;

/// A map whose keys come from configuration: nobody can choose colliding ones, so no key is needed.
pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<SipHasher13>>;

/// A secret of this process.
#[derive(Clone, Copy)]
pub struct Seed(pub u64, pub u64);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// The same for the same bytes, everywhere and for ever.
pub fn stable(bytes: &[u8]) -> u64 {
    keyed(Seed(0, 0), bytes)
}

pub fn keyed(seed: Seed, bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(seed.0, seed.1);
    hasher.write(bytes);
    hasher.finish()
}

/// One more number mixed in: the points of an endpoint on a ring (the finalizer of SplitMix64; Steele,
/// Lea, Flood 2014).
pub fn mix(hash: u64, number: u64) -> u64 {
    let mut z = hash.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A client for `stable`: of an IPv6 address the first 64 bits, since a host changes the others at will
/// (RFC 8981).
pub fn of_client(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => stable(&address.octets()),
        IpAddr::V6(address) => stable(&(address.to_bits() >> 64).to_be_bytes()),
    }
}

/// `of` shares, by the upper bits, without the bias and the cost of a division (Lemire: "Fast random
/// integer generation in an interval", 2019).
pub fn share(hash: u64, of: usize) -> usize {
    let product = u128::from(hash) * (of as u128);
    usize::try_from(product >> 64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        // A change here moves every visitor of every site.
        assert_eq!(stable(b"www.foobar.com"), 0x8b2d_5dc2_42b8_2528);
        assert_eq!(mix(1, 2), mix(1, 2));
        assert_ne!(mix(1, 2), mix(1, 3));
    }

    #[test]
    fn a_client_is_its_network_in_ipv6() {
        let of = |text: &str| of_client(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    }

    #[test]
    fn shares_are_within_bounds() {
        assert_eq!(share(u64::MAX, 7), 6);
        assert_eq!(share(0, 7), 0);
        assert_eq!(share(u64::MAX, 0), 0);
    }
}
