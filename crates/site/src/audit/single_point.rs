//! Pure: what stops the site, or loses its data, when one server or process fails.

use std::net::IpAddr;

use crate::audit::{Finding, Kind, Severity, listed};
use crate::topology::{Place, Role, Server, Site};

/// Agreement needs a majority: three may lose one, two may lose none (the etcd manual, "What is
/// failure tolerance?").
const FEWEST_COORDINATORS: usize = 3;

pub(super) fn look(site: &Site, findings: &mut Vec<Finding>) {
    findings.extend(balancer(site));
    findings.extend(app_server(site));
    findings.extend(instances(site));
    findings.extend(database(site));
    findings.extend(shared_database_server(site));
    findings.extend(idle_database_server(site));
    findings.extend(coordinators(site));
}

fn finding(code: &'static str, severity: Severity, at: Place) -> Finding {
    Finding {
        code,
        kind: Kind::SinglePoint,
        severity,
        what: String::new(),
        consequence: String::new(),
        add: Vec::new(),
        at,
    }
}

fn balancer(site: &Site) -> Option<Finding> {
    let balancers: Vec<&Server> = site.servers_with(Role::Balancer).collect();
    match (balancers.as_slice(), &site.virtual_address) {
        ([only], address) => {
            let mut add = new_server(site, "lb", Role::Balancer);
            if address.is_none() {
                add.push(String::new());
                add.extend(virtual_address(site));
            }
            Some(Finding {
                what: format!("{} is the only balancer", only.name),
                consequence:
                    "when it fails, no visitor reaches the site, although everything behind \
                              it runs"
                        .to_owned(),
                add,
                ..finding("balancer-alone", Severity::High, only.roles_at)
            })
        }
        ([first, ..], None) => Some(Finding {
            what: format!("{} share no address", listed(&names(&balancers))),
            consequence: "when one fails, the visitors whose DNS answer names it see errors until \
                          somebody changes DNS"
                .to_owned(),
            add: virtual_address(site),
            ..finding(
                "balancers-without-virtual-address",
                Severity::Medium,
                first.roles_at,
            )
        }),
        _ => None,
    }
}

fn app_server(site: &Site) -> Option<Finding> {
    let servers: Vec<&Server> = site.servers_with(Role::Web).collect();
    let [only] = servers.as_slice() else {
        return None;
    };
    let mut add = new_server(site, "app", Role::Web);
    if site.app.is_some() {
        for line in &mut add {
            *line = line.replace("[\"web\"]", "[\"web\", \"app\"]");
        }
    }
    Some(Finding {
        what: format!("{} alone answers all requests", only.name),
        consequence: "when it fails, or while it is changed, the balancer has nowhere to send \
                      requests to"
            .to_owned(),
        add,
        ..finding("app-server-alone", Severity::High, only.roles_at)
    })
}

fn instances(site: &Site) -> Option<Finding> {
    let app = site.app.as_ref().filter(|app| app.instances == 1)?;
    Some(Finding {
        what: "one instance of the application on each app server".to_owned(),
        consequence: "a crash takes its whole server out of rotation until the instance is back"
            .to_owned(),
        add: vec!["[app]".to_owned(), "instances = 2".to_owned()],
        ..finding("one-instance", Severity::Low, app.instances_at)
    })
}

fn database(site: &Site) -> Option<Finding> {
    let database = site.database.as_ref()?;
    let members = site.members();
    let primary = members.first()?;
    if members.len() == 1 {
        return Some(Finding {
            what: format!("the database on {} has no replica", primary.server),
            consequence: "when its disk fails, every write since the last backup is lost"
                .to_owned(),
            add: vec!["[database]".to_owned(), "replicas = 1".to_owned()],
            ..finding("no-replica", Severity::High, database.at)
        });
    }
    if members.iter().any(|member| member.server != primary.server) {
        return None;
    }
    let at = site
        .servers
        .iter()
        .find(|server| server.name == primary.server)?
        .roles_at;
    Some(Finding {
        what: format!("the primary and every replica are on {}", primary.server),
        consequence:
            "when that server fails, the site cannot read or write, and with its disk all \
                      data is gone"
                .to_owned(),
        add: new_server(site, "db", Role::Database),
        ..finding("primary-server-alone", Severity::High, at)
    })
}

/// More copies than servers: the further ones protect from less than they seem to.
fn shared_database_server(site: &Site) -> Option<Finding> {
    let members = site.members();
    let servers: Vec<&Server> = site.servers_with(Role::Database).collect();
    let second = members.iter().find(|member| member.nth_on_server > 0)?;
    if servers.len() < 2 {
        return None;
    }
    let at = servers
        .iter()
        .find(|server| server.name == second.server)?
        .roles_at;
    Some(Finding {
        what: format!("{} keeps more than one copy of the data", second.server),
        consequence: format!(
            "{} copies survive the loss of {} servers only",
            members.len(),
            servers.len() - 1
        ),
        add: new_server(site, "db", Role::Database),
        ..finding("copies-share-a-server", Severity::Low, at)
    })
}

fn idle_database_server(site: &Site) -> Option<Finding> {
    let members = site.members();
    let database = site.database.as_ref()?;
    let idle = site
        .servers_with(Role::Database)
        .find(|server| members.iter().all(|member| member.server != server.name))?;
    let wanted = site.servers_with(Role::Database).count() - 1;
    // Said already, and closed by the same line.
    if database.replicas == 0 {
        return None;
    }
    Some(Finding {
        what: format!("{} has the role database and keeps no copy", idle.name),
        consequence: "it takes over nothing when another database server fails".to_owned(),
        add: vec!["[database]".to_owned(), format!("replicas = {wanted}")],
        ..finding("database-server-idle", Severity::Low, idle.roles_at)
    })
}

/// Needed as soon as a failover has somewhere to go: members on more than one server.
fn coordinators(site: &Site) -> Option<Finding> {
    let coordinators: Vec<&Server> = site.servers_with(Role::Coordinator).collect();
    let members = site.members();
    let first = members.first()?;
    let spread = members.iter().any(|member| member.server != first.server);
    let count = coordinators.len();
    let at = coordinators
        .first()
        .copied()
        .or(site.servers.first())?
        .roles_at;
    let free: Vec<&Server> = site
        .servers
        .iter()
        .filter(|server| !server.has(Role::Coordinator))
        .collect();
    if spread && count < FEWEST_COORDINATORS {
        return Some(Finding {
            what: match coordinators.as_slice() {
                [] => "no server is a coordinator".to_owned(),
                some => format!("only {} can vote on who is primary", listed(&names(some))),
            },
            consequence: "when the primary's server fails, the rest may not choose a new one: two \
                          primaries would be worse than none"
                .to_owned(),
            add: coordinator_lines(&free, FEWEST_COORDINATORS - count),
            ..finding("too-few-coordinators", Severity::High, at)
        });
    }
    if count > 0 && count.is_multiple_of(2) {
        return Some(Finding {
            what: format!("{count} coordinators, an even number"),
            consequence: format!(
                "they survive the loss of no more servers than {} would, and half of them is no \
                 majority",
                count - 1
            ),
            add: coordinator_lines(&free, 1),
            ..finding("even-coordinators", Severity::Medium, at)
        });
    }
    None
}

/// The first `count` servers without the role, with it; new servers when there are not enough.
fn coordinator_lines(free: &[&Server], count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for server in free.iter().take(count) {
        let roles = server.roles.iter().copied().chain([Role::Coordinator]);
        let roles: Vec<String> = roles.map(|role| format!("\"{role}\"")).collect();
        lines.push(format!("[servers.{}]", server.name));
        lines.push(format!("roles = [{}]", roles.join(", ")));
    }
    for number in free.len()..count {
        lines.push(format!("[servers.vote-{}]", number - free.len() + 1));
        lines.push("address = \"…\"".to_owned());
        lines.push("roles = [\"coordinator\"]".to_owned());
    }
    lines
}

fn names(servers: &[&Server]) -> Vec<String> {
    servers
        .iter()
        .map(|server| server.name.to_string())
        .collect()
}

/// `[servers.lb-2]` with a free name and an address that nobody in the file has.
fn new_server(site: &Site, prefix: &str, role: Role) -> Vec<String> {
    let taken = |name: &str| {
        site.servers
            .iter()
            .any(|server| server.name.as_str() == name)
    };
    let name = (2..)
        .map(|n| format!("{prefix}-{n}"))
        .find(|name| !taken(name));
    // Beside the last server that does the same.
    let alike = site.servers_with(role).last();
    let address = match alike.and_then(|server| free_address(site, server.address, 1)) {
        Some(address) => address.to_string(),
        None => "…".to_owned(),
    };
    vec![
        format!(
            "[servers.{}]",
            name.unwrap_or_else(|| format!("{prefix}-2"))
        ),
        format!("address = \"{address}\""),
        format!("roles = [\"{role}\"]"),
    ]
}

fn virtual_address(site: &Site) -> Vec<String> {
    let first = site.servers_with(Role::Balancer).next();
    // 100 further on: seldom taken by a server that is numbered from the first.
    let address = match first.and_then(|server| free_address(site, server.address, 100)) {
        Some(address) => address.to_string(),
        None => "…".to_owned(),
    };
    vec![
        "[virtual-address]".to_owned(),
        format!("address = \"{address}\""),
    ]
}

/// An address of the same /24 that stands nowhere in the file: a proposal, no more.
fn free_address(site: &Site, near: IpAddr, distance: u8) -> Option<IpAddr> {
    let IpAddr::V4(near) = near else { return None };
    let [a, b, c, d] = near.octets();
    let taken = |address: &IpAddr| site.servers.iter().any(|server| server.address == *address);
    let mut candidates = (d.checked_add(distance)?..=254).map(|d| IpAddr::from([a, b, c, d]));
    candidates.find(|address| !taken(address))
}
