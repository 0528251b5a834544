//! Pure: everything that was understood → the sections of a site file.
//!
//! Routes hold for every listener of HTTP, so one frontend's rules become the routes; further
//! frontends share them when they have the same rules, or only send HTTP on to HTTPS. Others are told,
//! and can be imported alone.

use std::collections::BTreeSet;

use super::backend;
use super::bind::{Bind, binds};
use super::cells::{Action, Cell, Rules};
use super::conditions::{Conditions, Path};
use super::config::{Config, Proxy};
use super::document::Section;
use super::frontend::{Frontend, Reader, Security, reached};
use super::ledger::Ledger;
use super::limits::{self, Carried};
use super::listeners::{self, Listening, Tcp, Wanted};
use super::names::Names;
use super::route;
use super::stick_table::Tables;
use super::tcp::{self, Leads, has_servers};

/// The sections, and where to listen.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) sections: Vec<Section>,
    pub(super) http: Option<String>,
    pub(super) https: Option<String>,
}

/// A frontend of HTTP with its listeners.
struct Http {
    at: usize,
    binds: Vec<Bind>,
    security: Security,
    frontend: Frontend,
    /// What reading it told.
    ledger: Ledger,
}

/// A frontend of bytes.
struct Bytes {
    at: usize,
    binds: Vec<Bind>,
    leads: Leads,
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
    } = listeners::sections(&wanted, &tcp, to_https, ledger);
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

/// Every frontend that was asked for, understood.
fn read(
    config: &Config,
    only: &[String],
    tables: &Tables,
    ledger: &mut Ledger,
) -> (Vec<Http>, Vec<Bytes>) {
    let (mut https, mut bytes) = (Vec::new(), Vec::new());
    let base = backend::base(config, "crt-base");
    let ca_base = backend::base(config, "ca-base");
    for (at, proxy) in config
        .proxies
        .iter()
        .enumerate()
        .filter(|(_, proxy)| proxy.listens())
    {
        if !only.is_empty() && !only.contains(&proxy.name) || is_disabled(proxy) {
            continue;
        }
        if is_statistics(proxy) {
            ledger.needless(proxy.line, "`mainstay status`, the live page and /metrics on the port of [monitoring] say more");
            for line in &proxy.own {
                ledger.carried(line.number);
            }
            continue;
        }
        if let Some(line) = proxy.last(&["mode"]) {
            match line.word(1) {
                "http" | "tcp" => ledger.carried(line.number),
                other => {
                    ledger.lost(
                        line.number,
                        format!("a listener speaks HTTP, or bytes, not `{other}`"),
                        "",
                    );
                    continue;
                }
            }
        }
        let binds = binds(
            proxy.all(&["bind"]),
            base.as_deref(),
            ca_base.as_deref(),
            ledger,
        );
        if binds.is_empty() {
            ledger.lost(
                proxy.line,
                "it listens nowhere that could be written",
                "a listener with `bind`",
            );
            continue;
        }
        if proxy.is_http() {
            let security = match (
                binds.iter().any(|bind| bind.tls),
                binds.iter().all(|bind| bind.tls),
            ) {
                (_, true) => Security::Tls,
                (false, _) => Security::Plain,
                _ => Security::Both,
            };
            let mut trial = ledger.clone();
            let mut reader = Reader {
                proxies: &config.proxies,
                tables,
                ledger: &mut trial,
            };
            if let Some(frontend) = reader.frontend(at, security) {
                https.push(Http {
                    at,
                    binds,
                    security,
                    frontend,
                    ledger: trial,
                });
            }
            continue;
        }
        if let Some(bind) = binds.iter().find(|bind| bind.tls) {
            ledger.lost(
                bind.line,
                "a listener of bytes passes TLS on; it does not end it",
                "mode = \"http\" here, or TLS at the endpoints",
            );
            continue;
        }
        let leads = tcp::leads(config, at, ledger);
        bytes.push(Bytes { at, binds, leads });
    }
    (https, bytes)
}

fn is_disabled(proxy: &Proxy) -> bool {
    proxy.own.iter().any(|line| line.begins(&["disabled"]))
}

/// A page of numbers, and nothing else.
fn is_statistics(proxy: &Proxy) -> bool {
    let asks = proxy.own.iter().any(|line| {
        line.begins(&["stats"]) || line.words.iter().any(|word| word == "prometheus-exporter")
    });
    asks && !has_servers(proxy)
        && proxy.last(&["default_backend"]).is_none()
        && proxy.all(&["use_backend"]).next().is_none()
}

type Shared = Vec<(usize, Wanted)>;

/// The routes; the frontends whose listeners have them; the line that sends HTTP on to HTTPS.
fn choose(
    config: &Config,
    https: &mut Vec<Http>,
    ledger: &mut Ledger,
) -> (Vec<Cell>, Shared, Option<u32>) {
    let only_redirects =
        |http: &Http| http.frontend.to_https.is_some() && http.security == Security::Plain;
    let wanted = |http: &Http| {
        let proxy = config.proxies.get(http.at);
        let wanted = Wanted {
            name: proxy.map(|proxy| proxy.name.clone()).unwrap_or_default(),
            line: proxy.map_or(0, |proxy| proxy.line),
            binds: http.binds.clone(),
        };
        (http.at, wanted)
    };
    let main = https
        .iter()
        .position(|http| !only_redirects(http) && !http.frontend.cells.is_empty());
    let Some(main) = main.map(|at| https.remove(at)) else {
        // HTTPS is somebody else's, behind a listener of bytes.
        let Some(first) = https
            .iter()
            .position(only_redirects)
            .map(|at| https.remove(at))
        else {
            return (Vec::new(), Vec::new(), None);
        };
        *ledger = first.ledger.clone();
        let line = first.frontend.to_https.unwrap_or_default();
        let to = "https://{host}{path}{query}".to_owned();
        let mut cells: Vec<Cell> = first
            .frontend
            .cells
            .iter()
            .filter(|cell| is_of_acme(cell))
            .cloned()
            .collect();
        cells.push(Cell {
            when: Conditions::default(),
            action: Action::Redirect { to, status: 302 },
            rules: Rules::default(),
            lines: [line].into(),
        });
        let shared = vec![wanted(&first)];
        left_over(config, https, &[], ledger);
        return (cells, shared, None);
    };
    // What reading the others told is forgotten with them, unless they are carried over.
    *ledger = main.ledger.clone();
    let mut cells = main.frontend.cells.clone();
    let mut to_https = main.frontend.to_https;
    let mut shared = vec![wanted(&main)];
    let tls = main.security != Security::Plain
        || https
            .iter()
            .any(|http| http.security != Security::Plain && same(&http.frontend.cells, &cells));
    let mut rest = Vec::new();
    for http in https.drain(..) {
        let redirects = only_redirects(&http) && tls;
        if redirects
            || same(&http.frontend.cells, &main.frontend.cells) && http.frontend.to_https.is_none()
        {
            ledger.take_in(&http.ledger);
            shared.push(wanted(&http));
            if redirects {
                to_https = to_https.or(http.frontend.to_https);
                let of_acme = http.frontend.cells.iter().filter(|cell| is_of_acme(cell));
                let new: Vec<Cell> = of_acme
                    .filter(|cell| !cells.iter().any(|known| known.when == cell.when))
                    .cloned()
                    .collect();
                cells.splice(0..0, new);
            }
        } else {
            rest.push(http);
        }
    }
    left_over(config, &rest, &shared, ledger);
    (cells, shared, to_https)
}

/// A token of ACME is asked for over HTTP (RFC 8555 section 8.3), and is not sent on.
fn is_of_acme(cell: &Cell) -> bool {
    match &cell.when.path {
        Path::Exact(path) | Path::Prefix(path) => path.starts_with("/.well-known/acme-challenge"),
        _ => false,
    }
}

fn same(a: &[Cell], b: &[Cell]) -> bool {
    let plain = |cell: &Cell| {
        let mut cell = cell.clone();
        cell.lines.clear();
        for limit in [&mut cell.rules.rate, &mut cell.rules.concurrency]
            .into_iter()
            .flatten()
        {
            limit.line = 0;
        }
        cell
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| plain(a) == plain(b))
}

fn left_over(config: &Config, https: &[Http], shared: &[(usize, Wanted)], ledger: &mut Ledger) {
    for http in https {
        let Some(proxy) = config.proxies.get(http.at) else {
            continue;
        };
        let with = shared
            .first()
            .map_or_else(String::new, |(_, wanted)| format!(" of `{}`", wanted.name));
        ledger.lost(
            proxy.line,
            format!("routes hold for every listener of HTTP, and this one has other rules than those{with}"),
            format!("a second balancer: `mainstay import haproxy --frontend {}`", proxy.name),
        );
        for line in &proxy.own {
            ledger.skip(line.number);
        }
    }
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
