//! Pure: `[virtual-address]`: the address that the balancers share.

use crate::address::address;
use crate::at::At;
use crate::problem::Code;
use crate::source::Problems;
use crate::topology::{Role, Server, VirtualAddress};
use crate::written::Written;

pub(super) fn resolve(
    written: &Written,
    servers: &[Server],
    problems: &mut Problems<'_>,
) -> Option<VirtualAddress> {
    let At {
        value: section,
        span: header,
    } = written.virtual_address.as_ref()?;
    let At { value: text, span } = section.address.as_ref()?;
    let address = match address(text) {
        Ok(address) => address,
        Err(no) => {
            problems.add(Code::BadValue, span, no.what, no.write);
            return None;
        }
    };
    if let Some(server) = servers.iter().find(|server| server.address == address) {
        let what = format!(
            "{address} is the own address of `{}`, so it could not move",
            server.name
        );
        problems.add(
            Code::Conflict,
            span,
            what,
            "a free address of the same network",
        );
    }
    let mut balancers = servers.iter().filter(|server| server.has(Role::Balancer));
    let other_family = balancers.find(|server| {
        !server.address.is_unspecified() && server.address.is_ipv4() != address.is_ipv4()
    });
    if let Some(server) = other_family {
        let what = format!(
            "{address} is of another family than {}, `{}`",
            server.address, server.name
        );
        problems.add(
            Code::Conflict,
            span,
            what,
            "an address of the balancers' network",
        );
    }
    Some(VirtualAddress {
        address,
        at: problems.source.place(header.start),
    })
}
