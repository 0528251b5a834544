//! Pure: lines for the site file that close a finding. Names and addresses are proposals, but such
//! that the lines can be added as they are: nothing is used twice, in the file or among proposals.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::topology::{Role, Server, Site};

/// What was proposed so far.
pub(super) struct Proposals<'a> {
    site: &'a Site,
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

impl<'a> Proposals<'a> {
    pub(super) fn new(site: &'a Site) -> Self {
        let names = site
            .servers
            .iter()
            .map(|server| server.name.to_string())
            .collect();
        let shared = site.virtual_address.iter().map(|shared| shared.address);
        let addresses = site
            .servers
            .iter()
            .map(|server| server.address)
            .chain(shared)
            .collect();
        Self {
            site,
            names,
            addresses,
        }
    }

    /// A whole `[servers.NAME]`, with an address beside the last server that does the same.
    pub(super) fn server(&mut self, prefix: &str, roles: &[Role]) -> Vec<String> {
        let name = (2..)
            .map(|n| format!("{prefix}-{n}"))
            .find(|name| !self.names.contains(name));
        let name = name.unwrap_or_default();
        self.names.insert(name.clone());
        let alike = self
            .site
            .servers
            .iter()
            .rfind(|it| roles.iter().all(|role| it.has(*role)));
        let near = alike
            .or(self.site.servers.last())
            .map(|server| server.address);
        vec![
            format!("[servers.{name}]"),
            format!("address = \"{}\"", self.address(near, 1)),
            roles_line(roles.iter().copied()),
        ]
    }

    /// A whole `[virtual-address]`.
    pub(super) fn virtual_address(&mut self) -> Vec<String> {
        let first = self
            .site
            .servers_with(Role::Balancer)
            .next()
            .map(|server| server.address);
        // 100 further on: seldom reached by servers that are numbered from the first.
        let address = self.address(first, 100);
        vec![
            "[virtual-address]".to_owned(),
            format!("address = \"{address}\"  # a free one of the balancers' network"),
        ]
    }

    /// The first free address that far behind another one.
    fn address(&mut self, near: Option<IpAddr>, distance: u32) -> String {
        let free = (distance..distance + 1000)
            .filter_map(|distance| further(near?, distance))
            .find(|address| !self.addresses.contains(address));
        self.addresses.extend(free);
        free.map_or_else(|| "…".to_owned(), |address| address.to_string())
    }
}

/// `[servers.NAME]` with the roles it has and one more.
pub(super) fn with_role(server: &Server, role: Role) -> Vec<String> {
    let roles = server.roles.iter().copied().chain([role]);
    vec![format!("[servers.{}]", server.name), roles_line(roles)]
}

/// `[servers.NAME]` with the roles it has but one.
pub(super) fn without_role(server: &Server, role: Role) -> Vec<String> {
    let roles = server.roles.iter().copied().filter(|other| *other != role);
    vec![format!("[servers.{}]", server.name), roles_line(roles)]
}

fn roles_line(roles: impl Iterator<Item = Role>) -> String {
    let words: Vec<String> = roles.map(|role| format!("\"{role}\"")).collect();
    format!("roles = [{}]", words.join(", "))
}

/// Inside the /24 (or the last 16 bits of IPv6), and no network or broadcast address.
fn further(address: IpAddr, distance: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            let d = u8::try_from(u32::from(d) + distance)
                .ok()
                .filter(|d| *d < 255)?;
            Some(IpAddr::from([a, b, c, d]))
        }
        IpAddr::V6(v6) => {
            let mut segments = v6.segments();
            let last = segments.last_mut()?;
            *last = last.checked_add(u16::try_from(distance).ok()?)?;
            Some(IpAddr::from(segments))
        }
    }
}
