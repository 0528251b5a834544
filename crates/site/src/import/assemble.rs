//! Pure: everything that was understood → the sections of a site file.

use std::collections::BTreeSet;

use super::backend;
use super::cells::{Action, Rules};
use super::choose::choose;
use super::conditions::Conditions;
use super::config::Config;
use super::document::Section;
use super::frontend::reached;
use super::ledger::Ledger;
use super::limits::{self, Carried};
use super::listeners::{self, Listening, Tcp, Wanted};
use super::names::Names;
use super::read::{Bytes, is_disabled, read};
use super::route;
use super::stick_table::Tables;
use super::tcp::has_servers;

/// The sections, and where to listen.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) sections: Vec<Section>,
    pub(super) http: Option<String>,
    pub(super) https: Option<String>,
}

pub(super) fn assemble(config: &Config, only: &[String], ledger: &mut Ledger) -> Assembled {
    let tables = Tables::new(&config.proxies);
    let (mut http, bytes) = read(config, only, &tables, ledger);
    let (main, shared, to_https) = choose(config, &mut http, ledger);
    let mut cells = main;
    let reached = reached(&cells);
    let mut names = Names::default();
    let mut labels: Vec<(usize, String)> = Vec::new();
    let mut backends = Vec::new();
    let mut add = |at: usize, http: bool, ledger: &mut Ledger| {
        let Some(proxy) = config.proxies.get(at) else {
            return;
        };
        let label = names.label(&proxy.name, "backend");
        match backend::section(config, at, &label, http, ledger) {
            Some(section) => {
                labels.push((at, label));
                backends.push(section);
            }
            None => ledger.lost(
                proxy.line,
                "it has no endpoint that could be written; requests for it get 503",
                "endpoints = [\"10.0.0.5:80\"]",
            ),
        }
    };
    for at in &reached {
        add(*at, true, ledger);
    }
    let of_tcp: BTreeSet<usize> = bytes
        .iter()
        .flat_map(|bytes| bytes.leads.all())
        .filter(|at| !reached.contains(at))
        .collect();
    for at in &of_tcp {
        add(*at, false, ledger);
    }
    let label = |at: usize| {
        labels
            .iter()
            .find(|(known, _)| *known == at)
            .map(|(_, label)| label.clone())
    };
    let tcp = listeners_of_bytes(config, &bytes, &of_tcp, &label, ledger);
    let carried_http: Vec<usize> = shared.iter().map(|http| http.0).collect();
    let carried_tcp: Vec<usize> = bytes.iter().map(|bytes| bytes.at).collect();
    let reached: Vec<usize> = reached.into_iter().collect();
    let of_tcp: Vec<usize> = of_tcp.into_iter().collect();
    let carried = Carried {
        http_frontends: &carried_http,
        tcp_frontends: &carried_tcp,
        http_backends: &reached,
        tcp_backends: &of_tcp,
    };
    let (limits, response_head) = limits::section(config, &carried, ledger);
    for cell in &mut cells {
        let Action::To(at) = cell.action else {
            continue;
        };
        let own = limits::timeout(config, at, "server", ledger).map(|(time, _)| time);
        if cell.rules.response_head.is_none() && own != response_head {
            cell.rules.response_head = own;
        }
    }
    let wanted: Vec<Wanted> = shared.into_iter().map(|(_, wanted)| wanted).collect();
    let Listening {
        sections,
        http,
        https,
    } = listeners::sections(&wanted, &tcp, to_https.map(|(line, _)| line), ledger);
    let mut sections = sections;
    let at = sections
        .iter()
        .position(|section| section.header != "[balancer]")
        .unwrap_or(sections.len());
    if !limits.entries.is_empty() {
        sections.insert(at, limits);
    }
    sections.extend(backends);
    let trivial = labels.len() - tcp_labels(&labels, &of_tcp) == 1
        && matches!(cells.as_slice(), [cell] if cell.when == Conditions::default() && cell.rules == Rules::default() && matches!(cell.action, Action::To(at) if label(at).is_some()));
    if !trivial {
        sections.extend(cells.iter().map(|cell| route::section(cell, &label)));
    }
    leave_out(
        config,
        &[&carried_http, &carried_tcp, &reached, &of_tcp],
        only,
        ledger,
    );
    Assembled {
        sections,
        http,
        https,
    }
}

fn tcp_labels(labels: &[(usize, String)], of_tcp: &[usize]) -> usize {
    labels.iter().filter(|(at, _)| of_tcp.contains(at)).count()
}

fn listeners_of_bytes(
    config: &Config,
    bytes: &[Bytes],
    of_tcp: &BTreeSet<usize>,
    label: &dyn Fn(usize) -> Option<String>,
    ledger: &mut Ledger,
) -> Vec<Tcp> {
    let mut listeners = Vec::new();
    for bytes in bytes {
        let Some(proxy) = config.proxies.get(bytes.at) else {
            continue;
        };
        let known = |at: usize| label(at).filter(|_| of_tcp.contains(&at));
        let otherwise = bytes.leads.otherwise.and_then(known);
        let by_name = bytes
            .leads
            .by_name
            .iter()
            .filter_map(|(name, at)| Some((name.clone(), known(*at)?)));
        let tcp = Tcp {
            of: Wanted {
                name: proxy.name.clone(),
                line: proxy.line,
                binds: bytes.binds.clone(),
            },
            otherwise,
            by_name: by_name.collect(),
        };
        if tcp.otherwise.is_none() && tcp.by_name.is_empty() {
            ledger.lost(
                proxy.line,
                "it leads to no backend that could be written",
                "backend = \"NAME\" of the listener",
            );
            continue;
        }
        listeners.push(tcp);
    }
    listeners
}

/// What nothing leads to.
fn leave_out(config: &Config, carried: &[&[usize]], only: &[String], ledger: &mut Ledger) {
    for (at, proxy) in config.proxies.iter().enumerate() {
        if carried.iter().any(|list| list.contains(&at)) {
            continue;
        }
        if is_disabled(proxy) {
            ledger.needless(proxy.line, "it is disabled, and left out");
        } else if !only.is_empty() && proxy.listens() && !only.contains(&proxy.name) {
            ledger.needless(proxy.line, "not asked for");
        } else if !proxy.listens() && !has_servers(proxy) && proxy.last(&["stick-table"]).is_some()
        {
            ledger.needless(proxy.line, "a table only: `rate-limit` counts by itself");
            for line in &proxy.own {
                ledger.carried(line.number);
            }
            continue;
        } else if !proxy.listens() {
            match only.is_empty() {
                true => ledger.lost(
                    proxy.line,
                    "nothing that is carried over leads to it",
                    "a route or a listener that names it",
                ),
                false => ledger.needless(proxy.line, "nothing that was asked for leads to it"),
            }
        }
        for line in &proxy.own {
            match only.is_empty() {
                true => ledger.skip(line.number),
                false => ledger.carried(line.number),
            }
        }
    }
}
