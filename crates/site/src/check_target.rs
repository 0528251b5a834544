//! Pure: an independent look at any `Target`. It shares no code with `derive` on purpose: what it
//! finds is a mistake of ours, found before a server acts on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::name::ServerName;
use crate::target::balancer::Bind;
use crate::target::{
    AppTarget, InstanceListen, MemberAddress, ServerTarget, Target, VERSION_OF_FORMAT,
};

mod balancer;

/// Something in a target that no server could make come true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// None: of the whole site.
    pub server: Option<ServerName>,
    pub what: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "{server}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Empty: nothing two roles claim, every name resolves.
pub fn check_target(target: &Target) -> Vec<Defect> {
    let mut defects = Vec::new();
    if target.format != VERSION_OF_FORMAT {
        defects.push(whole(format!(
            "format {} is not {VERSION_OF_FORMAT}",
            target.format
        )));
    }
    if target.parent >= target.version {
        defects.push(whole(format!(
            "version {} is not above its parent's",
            target.version
        )));
    }
    if target
        .servers
        .values()
        .all(|server| server.balancer.is_none())
    {
        defects.push(whole("no server is a balancer".to_owned()));
    }
    one_address_each(target, &mut defects);
    members(target, &mut defects);
    for (name, server) in &target.servers {
        let mut found = listeners(server);
        found.extend(
            server
                .balancer
                .iter()
                .flat_map(|it| balancer::check(it, target)),
        );
        found.extend(server.app.iter().flat_map(check_app));
        found.extend(check_roles(server, target));
        defects.extend(found.into_iter().map(|what| Defect {
            server: Some(name.clone()),
            what,
        }));
    }
    defects
}

fn whole(what: String) -> Defect {
    Defect { server: None, what }
}

fn one_address_each(target: &Target, defects: &mut Vec<Defect>) {
    let mut known: BTreeMap<IpAddr, &ServerName> = BTreeMap::new();
    for (name, server) in &target.servers {
        if server.address.is_unspecified() {
            defects.push(whole(format!("{name} has no address")));
        } else if let Some(other) = known.insert(server.address, name) {
            defects.push(whole(format!("{other} and {name} have the same address")));
        }
    }
}

/// The database members of all servers.
fn members(target: &Target, defects: &mut Vec<Defect>) {
    let all: Vec<_> = target
        .servers
        .iter()
        .flat_map(|(server, it)| it.database.iter().map(move |member| (server, member)))
        .collect();
    let names: BTreeSet<_> = all.iter().map(|(_, member)| &member.name).collect();
    let ids: BTreeSet<_> = all.iter().map(|(_, member)| member.server_id).collect();
    let first = all
        .iter()
        .filter(|(_, member)| member.first_primary)
        .count();
    let schemas: BTreeSet<_> = all.iter().map(|(_, m)| (&m.schema, &m.user)).collect();
    if names.len() != all.len() {
        defects.push(whole("two database members have the same name".to_owned()));
    }
    if ids.len() != all.len() || ids.contains(&0) {
        defects.push(whole("a server id is 0 or used twice".to_owned()));
    }
    if !all.is_empty() && first != 1 {
        defects.push(whole(format!(
            "{first} members are the first primary; one must be"
        )));
    }
    if schemas.len() > 1 {
        defects.push(whole(
            "the members have different databases or users".to_owned(),
        ));
    }
    let real: BTreeSet<_> = all.iter().map(|(s, m)| (&m.name, *s, m.listen)).collect();
    let differs = |seen: &[MemberAddress]| {
        seen.len() != real.len()
            || seen
                .iter()
                .any(|m| !real.contains(&(&m.name, &m.server, m.address)))
    };
    for (server, it) in &target.servers {
        let lists = it.sql_router.iter().map(|router| &router.members);
        let lists = lists.chain(it.database.iter().map(|member| &member.members));
        if lists.into_iter().any(|list| differs(list)) {
            defects.push(whole(format!(
                "{server} knows other database members than there are"
            )));
        }
    }
}

/// No two sockets on one address and port. Port 0 is any free one.
fn listeners(server: &ServerTarget) -> Vec<String> {
    let mut all: Vec<(String, SocketAddr)> = vec![("admin".to_owned(), server.admin)];
    if let Some(balancer) = &server.balancer {
        for listener in &balancer.listeners {
            if let Bind::Tcp(address) = listener.bind {
                all.push((format!("balancer {}", listener.name), address));
            }
        }
    }
    all.extend(server.web.iter().map(|web| ("web".to_owned(), web.listen)));
    all.extend(
        server
            .sql_router
            .iter()
            .map(|router| ("sql router".to_owned(), router.listen)),
    );
    all.extend(
        server
            .database
            .iter()
            .map(|m| (format!("database {}", m.name), m.listen)),
    );
    let mut defects = Vec::new();
    if let Some(AppTarget {
        listen: InstanceListen::Port { first },
        instances,
        ..
    }) = &server.app
    {
        for i in 0..*instances {
            match first.checked_add(i) {
                Some(port) => {
                    all.push((
                        format!("instance {i}"),
                        SocketAddr::new(server.address, port),
                    ));
                }
                None => defects.push(format!("instance {i} has no port")),
            }
        }
    }
    for (index, (one, a)) in all.iter().enumerate() {
        for (other, b) in all.iter().skip(index + 1) {
            if a.port() != 0 && a.port() == b.port() && meet(a.ip(), b.ip()) {
                defects.push(format!("{one} and {other} both listen on {b}"));
            }
        }
    }
    defects
}

/// A wildcard meets every address of its family; `[::]` also takes IPv4 (Linux' default).
fn meet(a: IpAddr, b: IpAddr) -> bool {
    let takes =
        |wide: IpAddr, other: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || other.is_ipv4());
    a == b || takes(a, b) || takes(b, a)
}

fn check_app(app: &AppTarget) -> Vec<String> {
    let mut defects = Vec::new();
    if app.command.first().is_none_or(String::is_empty) {
        defects.push("the application has no command".to_owned());
    }
    if app.instances == 0 {
        defects.push("the application has no instance".to_owned());
    }
    if !app.source.is_absolute() {
        defects.push("the application's directory is not absolute".to_owned());
    }
    if !app.health_path.starts_with('/') {
        defects.push("the application's health path is no path".to_owned());
    }
    defects
}

fn check_roles(server: &ServerTarget, target: &Target) -> Vec<String> {
    let mut defects = Vec::new();
    let has_database = target
        .servers
        .values()
        .any(|server| !server.database.is_empty());
    if server.app.is_some() && server.web.is_none() {
        defects.push("the application has no web server beside it".to_owned());
    }
    if server.app.is_some() && has_database != server.sql_router.is_some() {
        defects.push("the application does not find the database".to_owned());
    }
    let balancers = target
        .servers
        .values()
        .filter(|server| server.balancer.is_some());
    for balancer in balancers.map(|server| server.address) {
        if server
            .web
            .as_ref()
            .is_some_and(|web| !web.trusted.contains(&balancer))
        {
            defects.push(format!(
                "the web server does not trust the balancer at {balancer}"
            ));
        }
    }
    for member in &server.database {
        if member.listen.ip() != server.address {
            defects.push(format!(
                "{} listens on another server's address",
                member.name
            ));
        }
    }
    defects
}

#[cfg(test)]
mod tests;
