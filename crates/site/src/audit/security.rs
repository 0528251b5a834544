//! Pure: what lets somebody in, or listen, who should not.

use crate::audit::propose::without_role;
use crate::audit::{Finding, Kind, Severity, listed};
use crate::target::balancer::{BackendTarget, Protocol};
use crate::topology::{Authority, EnvValue, Place, Role, Server, Site};

const SSH_FROM: &str = "ssh-from = [\"203.0.113.0/24\"]  # the network you administer from";

pub(super) fn look(site: &Site, findings: &mut Vec<Finding>) {
    findings.extend(firewall(site));
    findings.extend(ssh(site));
    findings.extend(https(site));
    findings.extend(authority(site));
    findings.extend(exposed_database(site));
    findings.extend(webhooks(site));
    findings.extend(unverified(site));
    findings.extend(open_backups(site));
}

fn open_backups(site: &Site) -> Option<Finding> {
    let backup = site.database.as_ref()?.backup.as_ref()?;
    backup.target.key.is_none().then(|| Finding {
        what: "backups are not encrypted".to_owned(),
        consequence: "who can read the place they are kept at reads the whole database".to_owned(),
        add: vec![
            "[database.backup]".to_owned(),
            "key = { secret = \"backup-key\" }".to_owned(),
        ],
        ..finding("backup-not-encrypted", Severity::Medium, Some(backup.at))
    })
}

/// A balancer in front of anything: the machine's other doors are not its own.
pub(super) fn look_alone(site: &Site, findings: &mut Vec<Finding>) {
    let http = site
        .balancer
        .backends
        .iter()
        .any(|b| b.protocol != Protocol::Tcp);
    if http && site.balancer.certificates.is_empty() {
        findings.extend(https(site));
    }
    findings.extend(unverified(site));
}

fn unverified(site: &Site) -> Option<Finding> {
    let open = |backend: &&BackendTarget| backend.tls.as_ref().is_some_and(|tls| !tls.verify);
    let backend = site.balancer.backends.iter().find(open)?;
    Some(Finding {
        what: format!("the backend `{}` takes any certificate", backend.name),
        consequence: "who is on the way to its endpoints reads and changes everything".to_owned(),
        add: vec![
            format!("[backends.{}.tls]", backend.name),
            "authority = \"tls/internal.pem\"".to_owned(),
        ],
        ..finding("endpoints-not-verified", Severity::Medium, None)
    })
}

fn finding(code: &'static str, severity: Severity, at: Option<Place>) -> Finding {
    Finding {
        code,
        kind: Kind::Security,
        severity,
        what: String::new(),
        consequence: String::new(),
        add: Vec::new(),
        at,
    }
}

fn firewall(site: &Site) -> Option<Finding> {
    if site.firewall.is_some() {
        return None;
    }
    let database = match site.database {
        Some(_) => "the database and ",
        None => "",
    };
    Some(Finding {
        what: "no firewall".to_owned(),
        consequence: format!(
            "{database}every server's internal ports can be reached by whoever reaches the servers"
        ),
        add: vec!["[firewall]".to_owned(), SSH_FROM.to_owned()],
        ..finding("no-firewall", Severity::High, None)
    })
}

fn ssh(site: &Site) -> Option<Finding> {
    let firewall = site.firewall.as_ref()?;
    let anybody = firewall.ssh_from.is_empty() || firewall.ssh_from.iter().any(|n| n.bits == 0);
    anybody.then(|| Finding {
        what: "SSH is open to everybody".to_owned(),
        consequence: "one guessed or stolen password or key, from anywhere, is enough for a server"
            .to_owned(),
        add: vec!["[firewall]".to_owned(), SSH_FROM.to_owned()],
        ..finding("ssh-open", Severity::Medium, Some(firewall.at))
    })
}

fn https(site: &Site) -> Option<Finding> {
    if site.tls.is_some() {
        return None;
    }
    let add = vec!["[tls]".to_owned(), "authority = \"acme\"".to_owned()];
    Some(Finding {
        what: "no HTTPS".to_owned(),
        consequence:
            "passwords and sessions can be read and changed on the way, and browsers warn \
                      the visitors"
                .to_owned(),
        add,
        ..finding("no-https", Severity::High, None)
    })
}

fn authority(site: &Site) -> Option<Finding> {
    let tls = site
        .tls
        .as_ref()
        .filter(|tls| tls.authority == Authority::Local)?;
    let public = site
        .domains
        .iter()
        .find(|domain| !crate::domain::is_private(domain))?;
    Some(Finding {
        what: format!("`{public}` gets its certificate from the site's own authority"),
        consequence: "browsers that were not told to trust it refuse the page".to_owned(),
        add: vec!["[tls]".to_owned(), "authority = \"acme\"".to_owned()],
        ..finding("local-authority", Severity::Medium, Some(tls.at))
    })
}

/// On up to three servers it cannot be avoided without a single point of failure elsewhere.
fn exposed_database(site: &Site) -> Option<Finding> {
    let both: Vec<&Server> = site
        .servers_with(Role::Database)
        .filter(|server| server.has(Role::Balancer))
        .collect();
    let first = both.first().filter(|_| site.servers.len() > 3)?;
    let names: Vec<String> = both
        .iter()
        .map(|server| format!("`{}`", server.name))
        .collect();
    Some(Finding {
        what: format!("{} faces the visitors and keeps the data", listed(&names)),
        consequence: "whoever breaks into the balancer has the database's files".to_owned(),
        add: without_role(first, Role::Database),
        ..finding(
            "database-on-balancer",
            Severity::Medium,
            Some(first.roles_at),
        )
    })
}

fn webhooks(site: &Site) -> Option<Finding> {
    let plain = site
        .alerts
        .webhooks
        .iter()
        .find_map(|webhook| match &webhook.url {
            EnvValue::Plain(url) if url.starts_with("http://") => Some((url, webhook.at)),
            _ => None,
        });
    let (url, at) = plain?;
    Some(Finding {
        what: format!("alerts go to {url} in the clear"),
        consequence: "who is on the way reads what is broken, and can swallow the alert".to_owned(),
        add: vec![
            "[alerts]".to_owned(),
            format!("webhook = [\"{}\"]", url.replacen("http", "https", 1)),
        ],
        ..finding("alerts-in-the-clear", Severity::Low, Some(at))
    })
}
