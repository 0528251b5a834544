//! Pure: `[servers.NAME]`: names, addresses, roles.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::address::address;
use crate::at::{At, Span};
use crate::domain::{as_label, is_label};
use crate::hint;
use crate::name::ServerName;
use crate::problem::Code;
use crate::schema::schema;
use crate::source::Problems;
use crate::topology::{Role, Server};
use crate::written::{ServerSection, Written};

/// More servers than this are another product. The bound also keeps every server's own loopback
/// address (`network.11` and up, see `derive`) within one /24.
const MOST_SERVERS: usize = 200;

/// In the order of the file.
pub(super) fn resolve(written: &Written, problems: &mut Problems<'_>) -> Vec<Server> {
    let mut sections: Vec<_> = written.servers.iter().flatten().collect();
    sections.sort_by_key(|(name, _)| name.span.start);
    if written.servers.is_none() && !written.left_out.contains("servers") {
        let server = &schema()["properties"]["servers"]["additionalProperties"];
        let write = hint::section("servers.app-1", server);
        problems.add(Code::Missing, &(0..0), "the file has no server", write);
    }
    if sections.is_empty() && written.servers.is_some() && !written.left_out.contains("servers") {
        let write = "[servers.app-1]\naddress = \"10.0.0.11\"\nroles = [\"web\", \"app\"]";
        problems.add(Code::Missing, &(0..0), "the file has no server", write);
    }
    if let Some((name, _)) = sections.get(MOST_SERVERS) {
        let what = format!("more than {MOST_SERVERS} servers");
        problems.add(
            Code::OutOfRange,
            &name.span,
            what,
            format!("at most {MOST_SERVERS}"),
        );
    }
    let mut addresses = BTreeMap::new();
    let count = sections.len();
    sections
        .into_iter()
        .map(|(name, section)| {
            check_name(name, problems);
            let address = server_address(name, &section.value, count, &mut addresses, problems);
            let at = problems.source.place(name.span.start);
            let roles = section.value.roles.as_ref();
            Server {
                name: ServerName::new(name.value.as_str()),
                address,
                roles: server_roles(name, roles, problems),
                at,
                roles_at: roles.map_or(at, |roles| problems.source.place(roles.span.start)),
            }
        })
        .collect()
}

fn check_name(name: &At<String>, problems: &mut Problems<'_>) {
    if !is_label(&name.value) {
        let what = format!(
            "the server name `{}` may have only a-z, 0-9 and `-` inside",
            name.value
        );
        let proposed = as_label(&name.value).unwrap_or_else(|| "app-1".to_owned());
        problems.add(
            Code::BadValue,
            &name.span,
            what,
            format!("[servers.{proposed}]"),
        );
    }
}

fn server_address<'w>(
    name: &At<String>,
    section: &'w ServerSection,
    count: usize,
    known: &mut BTreeMap<IpAddr, (String, &'w Span)>,
    problems: &mut Problems<'_>,
) -> IpAddr {
    const NONE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let Some(At { value: text, span }) = &section.address else {
        return NONE;
    };
    let address = match address(text) {
        Ok(address) => address,
        Err(no) => {
            problems.add(Code::BadValue, span, no.what, no.write);
            return NONE;
        }
    };
    if address.is_loopback() && count > 1 {
        let what = format!("{address} is every machine's own; the other servers cannot reach it");
        let write = "the address the others reach it at (`mainstay up` makes its own local ones)";
        problems.add(Code::BadValue, span, what, write);
    } else if let Some((other, at)) = known.get(&address) {
        let line = problems.source.place(at.start).line;
        let what = format!("{address} is already the address of `{other}` (line {line})");
        let write = "another address, or give that server the roles of both";
        problems.add(Code::Duplicate, span, what, write);
    } else {
        known.insert(address, (name.value.clone(), span));
    }
    address
}

fn server_roles(
    name: &At<String>,
    roles: Option<&At<Vec<At<Role>>>>,
    problems: &mut Problems<'_>,
) -> BTreeSet<Role> {
    let mut known = BTreeSet::new();
    let Some(roles) = roles else { return known };
    for role in &roles.value {
        if !known.insert(role.value) {
            let what = format!("the role `{}` is written twice", role.value);
            problems.add(Code::Duplicate, &role.span, what, "every role once");
        }
    }
    // `[]` itself; an item that was taken out is a problem of its own already.
    let written = problems
        .source
        .text
        .get(roles.span.clone())
        .unwrap_or_default();
    if known.is_empty()
        && written
            .chars()
            .all(|c| c.is_whitespace() || "[]".contains(c))
    {
        let what = format!(
            "the server `{}` has no role, so it would do nothing",
            name.value
        );
        problems.add(
            Code::Missing,
            &roles.span,
            what,
            "roles = [\"web\", \"app\"]",
        );
    }
    known
}
