//! Pure: a frontend of bytes: which backend gets its connections, by name or without asking.
//!
//! Source: HAProxy configuration manual, sections 4.2 (`use_backend`, `tcp-request content`) and 7.3.5
//! (`req.ssl_sni`).

use std::collections::BTreeMap;

use super::acl::{Acls, Case};
use super::conditions::Conditions;
use super::config::{Config, Proxy};
use super::ledger::{Ledger, Unfit};

/// Indices of proxies.
#[derive(Debug, Default)]
pub(super) struct Leads {
    pub(super) otherwise: Option<usize>,
    pub(super) by_name: BTreeMap<String, usize>,
}

impl Leads {
    pub(super) fn all(&self) -> impl Iterator<Item = usize> + '_ {
        self.otherwise.iter().chain(self.by_name.values()).copied()
    }
}

pub(super) fn leads(config: &Config, at: usize, ledger: &mut Ledger) -> Leads {
    let mut leads = Leads::default();
    let Some(proxy) = config.proxies.get(at) else {
        return leads;
    };
    let acls = Acls::new(proxy.all(&["acl"]));
    for line in proxy.all(&["use_backend"]) {
        let condition = line
            .words
            .iter()
            .position(|word| word == "if" || word == "unless");
        let read = acls.condition(line, condition);
        let made = read.and_then(|read| {
            let to = answering(config, line.word(1)).ok_or_else(|| {
                Unfit::new("a listener names backends that are there", "by-name = { \"mail.foobar.com\" = \"mail\" }")
            })?;
            let mut names = Vec::new();
            for case in &read.cases {
                match only_names(case) {
                    Some(found) => names.extend(found),
                    None => {
                        return Err(Unfit::new(
                            "a listener of bytes looks at the name in a TLS greeting, and at nothing else",
                            "by-name, or a listener for each backend",
                        ));
                    }
                }
            }
            Ok((to, names, read))
        });
        match made {
            Ok((to, names, read)) => {
                ledger.carried(line.number);
                for line in &read.lines {
                    ledger.carried(*line);
                }
                for (line, unfit) in &read.differs {
                    ledger.differs(*line, unfit.why.clone(), unfit.instead.clone());
                }
                for name in names {
                    // The first rule counts.
                    leads.by_name.entry(name).or_insert(to);
                }
            }
            Err(unfit) => ledger.unfit(line.number, unfit),
        }
    }
    if let Some(line) = proxy.last(&["default_backend"]) {
        match answering(config, line.word(1)) {
            Some(to) => {
                ledger.carried(line.number);
                leads.otherwise = Some(to);
            }
            None => ledger.lost(
                line.number,
                "there is no such backend",
                "the backend, or without the rule",
            ),
        }
    } else if proxy.answers() && has_servers(proxy) {
        leads.otherwise = Some(at);
    }
    leads
}

pub(super) fn has_servers(proxy: &Proxy) -> bool {
    proxy
        .all(&["server"])
        .chain(proxy.all(&["server-template"]))
        .next()
        .is_some()
}

fn answering(config: &Config, name: &str) -> Option<usize> {
    config
        .proxies
        .iter()
        .position(|proxy| proxy.name == name && proxy.answers())
}

/// The names a case asks for, if it asks for nothing else.
fn only_names(case: &Case) -> Option<impl Iterator<Item = String> + use<>> {
    let rest = Case {
        sni: None,
        ..case.clone()
    };
    let plain = rest == Case::default() && case.is == Conditions::default();
    let names = case.sni.clone().filter(|_| plain)?;
    Some(names.into_iter())
}
