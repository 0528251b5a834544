//! Pure: what stops the site, or loses its data, when one server or process fails.

use crate::audit::propose::{Proposals, with_role};
use crate::audit::{Finding, Kind, Severity, listed};
use crate::target::backup::BackupPlace;
use crate::topology::{Place, Role, Server, Site};

/// Agreement needs a majority: three may lose one, two may lose none (the etcd manual, "What is
/// failure tolerance?").
const FEWEST_COORDINATORS: usize = 3;

pub(super) fn look(site: &Site, findings: &mut Vec<Finding>) {
    let mut propose = Proposals::new(site);
    findings.extend(balancer(site, &mut propose));
    findings.extend(app_server(site, &mut propose));
    findings.extend(instances(site));
    findings.extend(database(site, &mut propose));
    findings.extend(shared_database_server(site, &mut propose));
    findings.extend(idle_database_server(site));
    findings.extend(backup_beside_the_data(site));
    findings.extend(coordinators(site, &mut propose));
}

fn finding(code: &'static str, severity: Severity, at: Place) -> Finding {
    Finding {
        code,
        kind: Kind::SinglePoint,
        severity,
        what: String::new(),
        consequence: String::new(),
        add: Vec::new(),
        at: Some(at),
    }
}

fn balancer(site: &Site, propose: &mut Proposals<'_>) -> Option<Finding> {
    let balancers: Vec<&Server> = site.servers_with(Role::Balancer).collect();
    match (balancers.as_slice(), &site.virtual_address) {
        ([only], address) => {
            let mut add = propose.server("lb", &[Role::Balancer]);
            if address.is_none() {
                add.push(String::new());
                add.extend(propose.virtual_address());
            }
            Some(Finding {
                what: format!("`{}` is the only balancer", only.name),
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
            add: propose.virtual_address(),
            ..finding(
                "balancers-without-virtual-address",
                Severity::Medium,
                first.roles_at,
            )
        }),
        _ => None,
    }
}

fn app_server(site: &Site, propose: &mut Proposals<'_>) -> Option<Finding> {
    let servers: Vec<&Server> = site.servers_with(Role::Web).collect();
    let [only] = servers.as_slice() else {
        return None;
    };
    let roles: &[Role] = if site.app.is_some() {
        &[Role::Web, Role::App]
    } else {
        &[Role::Web]
    };
    let add = propose.server("app", roles);
    Some(Finding {
        what: format!("`{}` alone answers all requests", only.name),
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

fn database(site: &Site, propose: &mut Proposals<'_>) -> Option<Finding> {
    let database = site.database.as_ref()?;
    let members = site.members();
    let primary = members.first()?;
    if members.len() == 1 {
        return Some(Finding {
            what: format!("the database on `{}` has no replica", primary.server),
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
        what: format!("the primary and every replica are on `{}`", primary.server),
        consequence:
            "when that server fails, the site cannot read or write, and with its disk all \
                      data is gone"
                .to_owned(),
        add: propose.server("db", &[Role::Database]),
        ..finding("primary-server-alone", Severity::High, at)
    })
}

/// More copies than servers: the further ones protect from less than they seem to.
fn shared_database_server(site: &Site, propose: &mut Proposals<'_>) -> Option<Finding> {
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
        what: format!("`{}` keeps more than one copy of the data", second.server),
        consequence: format!(
            "{} copies survive the loss of {} servers only",
            members.len(),
            servers.len() - 1
        ),
        add: propose.server("db", &[Role::Database]),
        ..finding("copies-share-a-server", Severity::Low, at)
    })
}

fn backup_beside_the_data(site: &Site) -> Option<Finding> {
    let backup = site.database.as_ref()?.backup.as_ref()?;
    let BackupPlace::Server(name) = &backup.target.to else {
        return None;
    };
    let members = site.members();
    members.iter().find(|member| member.server == *name)?;
    Some(Finding {
        what: format!("backups are kept on `{name}`, beside the data"),
        consequence: "what destroys that server destroys a copy of the data and every backup"
            .to_owned(),
        add: vec![
            "[database.backup]".to_owned(),
            "to = \"/mnt/backups\"  # a share, or server:NAME without the role `database`"
                .to_owned(),
        ],
        ..finding("backup-beside-data", Severity::Medium, backup.at)
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
        what: format!("`{}` has the role database and keeps no copy", idle.name),
        consequence: "it takes over nothing when another database server fails".to_owned(),
        add: vec!["[database]".to_owned(), format!("replicas = {wanted}")],
        ..finding("database-server-idle", Severity::Low, idle.roles_at)
    })
}

/// Needed as soon as a failover has somewhere to go: members on more than one server.
fn coordinators(site: &Site, propose: &mut Proposals<'_>) -> Option<Finding> {
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
            add: votes(&free, FEWEST_COORDINATORS - count, propose),
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
            add: votes(&free, 1, propose),
            ..finding("even-coordinators", Severity::Medium, at)
        });
    }
    None
}

/// The first `count` servers without the role, with it; new servers when there are not enough.
fn votes(free: &[&Server], count: usize, propose: &mut Proposals<'_>) -> Vec<String> {
    let mut lines: Vec<String> = free
        .iter()
        .take(count)
        .flat_map(|server| with_role(server, Role::Coordinator))
        .collect();
    for _ in free.len()..count {
        lines.extend(propose.server("vote", &[Role::Coordinator]));
    }
    lines
}

fn names(servers: &[&Server]) -> Vec<String> {
    servers
        .iter()
        .map(|server| format!("`{}`", server.name))
        .collect()
}
