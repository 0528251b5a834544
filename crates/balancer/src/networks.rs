//! Pure: whether an address is in one of many networks: sorted ranges, so that a list of ten thousand
//! costs a few comparisons more than one of ten.

use std::net::IpAddr;

use site::target::balancer::Network;

/// Made once from a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks {
    /// First and last address of each range; sorted, not touching each other.
    v4: Box<[(u128, u128)]>,
    v6: Box<[(u128, u128)]>,
}

impl Networks {
    pub fn new(networks: &[Network]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            // As `Network::contains`: an IPv4 address mapped into IPv6 counts as what it is.
            let (address, width, list) = match network.address.to_canonical() {
                IpAddr::V4(address) => (u128::from(address.to_bits()), 32, &mut v4),
                IpAddr::V6(address) => (address.to_bits(), 128, &mut v6),
            };
            let free = width - u32::from(network.bits).min(width);
            let mask = 1_u128.checked_shl(free).map_or(u128::MAX, |bit| bit - 1);
            list.push((address & !mask, address | mask));
        }
        Self {
            v4: merged(v4),
            v6: merged(v6),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let (ranges, address) = match address.to_canonical() {
            IpAddr::V4(address) => (&self.v4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (&self.v6, address.to_bits()),
        };
        let after = ranges.partition_point(|(first, _)| *first <= address);
        after
            .checked_sub(1)
            .and_then(|at| ranges.get(at))
            .is_some_and(|(_, last)| address <= *last)
    }
}

fn merged(mut ranges: Vec<(u128, u128)>) -> Box<[(u128, u128)]> {
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_and_none() {
        let address = "192.0.2.1".parse().unwrap();
        assert!(!Networks::new(&[]).contains(address));
        let all = Network {
            address: "::".parse().unwrap(),
            bits: 0,
        };
        assert!(Networks::new(&[all]).contains("2001:db8::1".parse().unwrap()));
        assert!(!Networks::new(&[all]).contains(address));
    }

    /// Few different bits, so that networks and addresses meet.
    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            proptest::array::uniform4(prop_oneof![Just(0_u8), Just(255), Just(10), 126..130_u8])
                .prop_map(IpAddr::from),
            proptest::array::uniform8(prop_oneof![Just(0_u16), Just(0xffff), Just(0x2001)])
                .prop_map(IpAddr::from),
        ]
    }

    proptest! {
        #[test]
        fn it_is_what_asking_each_network_says(
            networks in proptest::collection::vec((address(), 0_u8..=128), 0..6),
            asked in proptest::collection::vec(address(), 1..20),
        ) {
            let networks: Vec<Network> = networks
                .into_iter()
                .map(|(address, bits)| Network { address, bits })
                .collect();
            let compiled = Networks::new(&networks);
            for address in asked {
                let expected = networks.iter().any(|network| network.contains(address));
                prop_assert_eq!(compiled.contains(address), expected, "{}", address);
            }
        }
    }
}
