//! Pure: a file without servers: a balancer in front of anything. It has one server, the machine it
//! runs on, and answers for any host unless `[site]` names domains.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::name::ServerName;
use crate::problem::Code;
use crate::resolve::site::{self, Names};
use crate::source::Problems;
use crate::target::balancer::Protocol;
use crate::topology::{Place, Role, Server, Site};
use crate::written::Written;

/// What such a balancer's server and site are called.
const NAME: &str = "balancer";

/// Backends, and nothing of a site of servers.
pub(super) fn is_alone(written: &Written) -> bool {
    let backends = written.backends.is_some() || written.left_out.contains("backends");
    backends
        && written.servers.is_none()
        && !written.left_out.contains("servers")
        && written.app.is_none()
        && written.database.is_none()
}

pub(super) fn names(written: &Written, problems: &mut Problems<'_>) -> Names {
    let mut names = site::resolve(written, true, problems);
    if names.name.is_empty() {
        NAME.clone_into(&mut names.name);
    }
    names
}

pub(super) fn server() -> Server {
    let top = Place { line: 1, column: 1 };
    Server {
        name: ServerName::new(NAME),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        roles: BTreeSet::from([Role::Balancer]),
        at: top,
        roles_at: top,
    }
}

/// Every backend is used by something.
pub(super) fn check(written: &Written, site: &Site, problems: &mut Problems<'_>) {
    let is_http = |name: &str| {
        let backend = site
            .balancer
            .backends
            .iter()
            .find(|backend| backend.name == name);
        backend.is_some_and(|backend| backend.protocol != Protocol::Tcp)
    };
    let sections: Vec<_> = written.backends.iter().flatten().collect();
    let http: Vec<_> = sections
        .iter()
        .filter(|(name, _)| is_http(&name.value))
        .collect();
    let no_routes = written.routes.is_none() && !written.left_out.contains("routes");
    if let (true, [first, _, ..]) = (no_routes, http.as_slice()) {
        let what = format!(
            "{} backends, and nothing says which one gets a request",
            http.len()
        );
        let write = format!(
            "[[routes]]\npath-prefix = \"/\"\nbackend = \"{}\"",
            first.0.value
        );
        problems.add(Code::Missing, &first.0.span, what, write);
    }
}
