//! Pure: where traffic comes in → `[balancer]` with its two ports, `[balancer.listeners.NAME]`, `[tls]`.

use std::collections::{BTreeMap, BTreeSet};

use super::bind::{Bind, Place};
use super::document::{Section, inline, text};
use super::ledger::Ledger;
use super::names::Names;

/// What listens, in whose name.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) binds: Vec<Bind>,
}

/// A listener of bytes.
#[derive(Debug, Clone)]
pub(super) struct Tcp {
    pub(super) of: Wanted,
    pub(super) otherwise: Option<String>,
    pub(super) by_name: BTreeMap<String, String>,
}

/// Sections, and where `mainstay up` has to be told to listen.
#[derive(Debug, Default)]
pub(super) struct Listening {
    pub(super) sections: Vec<Section>,
    pub(super) http: Option<String>,
    pub(super) https: Option<String>,
}

/// Port of metrics, unless another one is written.
const MONITORING: u16 = 9400;

pub(super) fn sections(
    http: &[Wanted],
    tcp: &[Tcp],
    to_https: Option<u32>,
    ledger: &mut Ledger,
) -> Listening {
    let mut listening = Listening::default();
    let mut balancer = Section::new("[balancer]", Vec::new());
    let all: Vec<(&Wanted, &Bind)> = http
        .iter()
        .flat_map(|of| of.binds.iter().map(move |bind| (of, bind)))
        .collect();
    let plain = slot(&all, false, None);
    let proxied = plain.map(|(_, bind)| bind.accept_proxy);
    let tls = slot(&all, true, proxied);
    let slots: Vec<&Bind> = [plain, tls]
        .into_iter()
        .flatten()
        .map(|(_, bind)| bind)
        .collect();
    // Every port that something else takes on all addresses.
    let mut taken: BTreeSet<u16> = tcp
        .iter()
        .flat_map(|tcp| &tcp.of.binds)
        .filter_map(|bind| bind.at.everywhere())
        .collect();
    taken.extend(
        all.iter()
            .filter(|(_, bind)| !slots.contains(bind))
            .filter_map(|(_, bind)| bind.at.everywhere()),
    );
    let mut own = BTreeSet::new();
    for (name, usual, bind) in [("http", 80, plain), ("https", 443, tls)] {
        match bind {
            Some((_, bind)) => {
                let Place::Tcp(address) = &bind.at else {
                    continue;
                };
                balancer.add(name, address.port().to_string(), &[bind.line]);
                own.insert(address.port());
                let place = match name {
                    "http" => &mut listening.http,
                    _ => &mut listening.https,
                };
                *place = Some(address.to_string());
                if !address.ip().is_unspecified() || address.is_ipv6() {
                    let why = format!(
                        "`{name}` of [balancer] is a port; the address is said when it is started"
                    );
                    ledger.differs(bind.line, why, format!("mainstay up --{name} {address}"));
                }
            }
            None if taken.contains(&usual) => {
                let free = (8000..9000)
                    .map(|port| port + usual)
                    .find(|port| !taken.contains(port) && !own.contains(port));
                if let Some(port) = free {
                    balancer.about = "a port that a listener has is not free for HTTP, even when nothing is there".to_owned();
                    balancer.add(name, port.to_string(), &[]);
                    own.insert(port);
                }
            }
            None => {
                own.insert(usual);
            }
        }
    }
    if let (None, Some((_, bind))) = (plain, tls) {
        ledger.differs(
            bind.line,
            "the balancer listens for HTTP too",
            "nothing: unless told otherwise by --http, only at 127.0.0.1:8080, which this machine alone reaches",
        );
    }
    security(&all, proxied, &mut balancer, ledger);
    listening.sections.push(balancer);
    if to_https.is_some()
        || tls.is_some() && !all.iter().any(|(_, bind)| !bind.certificates.is_empty())
    {
        let mut section = Section::new("[tls]", Vec::new());
        section.vital("authority", text("local"), &[]);
        let lines: Vec<u32> = to_https.into_iter().collect();
        section.vital("redirect", to_https.is_some().to_string(), &lines);
        listening.sections.push(section);
    }
    let mut names = Names::with(["http", "https"]);
    let mut known: Vec<Place> = slots.iter().map(|bind| bind.at.clone()).collect();
    let mut add = |of: &Wanted, bind: &Bind, names: &mut Names, fill: &dyn Fn(&mut Section)| {
        let port = bind.at.everywhere();
        if known.contains(&bind.at) || port.is_some_and(|port| own.contains(&port)) {
            ledger.lost(
                bind.line,
                format!(
                    "the port of {} is taken by another listener; one port is for every address",
                    bind.at.shown()
                ),
                "a listener on the address itself, like \"[2001:db8::1]:80\"",
            );
            return;
        }
        own.extend(port);
        known.push(bind.at.clone());
        let label = names.label(&of.name, "listener");
        let mut section = Section::new(format!("[balancer.listeners.{label}]"), vec![of.line]);
        section.vital("bind", text(&bind.at.shown()), &[bind.line]);
        fill(&mut section);
        if bind.accept_proxy {
            section.vital("proxy-protocol", "true".to_owned(), &[]);
        }
        listening.sections.push(section);
    };
    for (of, bind) in &all {
        if !slots.contains(bind) {
            add(of, bind, &mut names, &|section| {
                if bind.tls {
                    section.vital("mode", text("https"), &[]);
                }
            });
        }
    }
    for tcp in tcp {
        for bind in &tcp.of.binds {
            add(&tcp.of, bind, &mut names, &|section| {
                section.vital("mode", text("tcp"), &[]);
                if let Some(backend) = &tcp.otherwise {
                    section.vital("backend", text(backend), &[]);
                }
                if !tcp.by_name.is_empty() {
                    let pairs: Vec<(String, String)> = tcp
                        .by_name
                        .iter()
                        .map(|(host, backend)| (host.clone(), text(backend)))
                        .collect();
                    section.vital("by-name", inline(&pairs), &[]);
                }
            });
        }
    }
    if own.contains(&MONITORING) {
        let free = (MONITORING + 1..=u16::MAX).find(|port| !own.contains(port));
        let mut section = Section::new("[monitoring]", Vec::new());
        section.about = format!("{MONITORING} is a listener's");
        section.vital("port", free.unwrap_or(MONITORING).to_string(), &[]);
        listening.sections.push(section);
    }
    listening
        .sections
        .retain(|section| !section.entries.is_empty());
    listening
}

/// The bind that becomes a port of [balancer]: best one on every address.
fn slot<'a>(
    all: &[(&'a Wanted, &'a Bind)],
    tls: bool,
    proxied: Option<bool>,
) -> Option<(&'a Wanted, &'a Bind)> {
    let fits = |bind: &Bind| {
        bind.tls == tls
            && matches!(bind.at, Place::Tcp(_))
            && proxied.is_none_or(|proxied| proxied == bind.accept_proxy)
    };
    let fitting = || all.iter().filter(|(_, bind)| fits(bind));
    let v4 = fitting().find(
        |(_, bind)| matches!(&bind.at, Place::Tcp(at) if at.ip().is_unspecified() && at.is_ipv4()),
    );
    v4.or_else(|| fitting().next()).copied()
}

/// Certificates, and what else is one for all listeners.
fn security(
    all: &[(&Wanted, &Bind)],
    proxied: Option<bool>,
    balancer: &mut Section,
    ledger: &mut Ledger,
) {
    let tls: Vec<&Bind> = all
        .iter()
        .map(|(_, bind)| *bind)
        .filter(|bind| bind.tls)
        .collect();
    if proxied.or_else(|| tls.first().map(|bind| bind.accept_proxy)) == Some(true) {
        balancer.vital("proxy-protocol", "true".to_owned(), &[]);
    }
    if tls.iter().any(|bind| !bind.h2) {
        balancer.add("http2", "false".to_owned(), &[]);
    }
    if tls.first().is_some_and(|bind| bind.tls13_only) {
        balancer.add("tls-from", text("1.3"), &[]);
    }
    let mut known = BTreeSet::new();
    let mut lines = BTreeSet::new();
    let mut items = Vec::new();
    for bind in &tls {
        for path in &bind.certificates {
            if known.insert(path) {
                lines.insert(bind.line);
                // HAProxy has certificate and key in one file.
                let pair = [
                    ("chain".to_owned(), text(path)),
                    ("key".to_owned(), text(path)),
                ];
                items.push(inline(&pair));
            }
        }
    }
    if !items.is_empty() {
        let lines: Vec<u32> = lines.into_iter().collect();
        balancer.add("certificates", format!("[{}]", items.join(", ")), &lines);
    }
    let mut asked = tls
        .iter()
        .filter_map(|bind| bind.clients.as_ref().map(|clients| (bind.line, clients)));
    let first = asked.next();
    if let Some((line, (authority, required))) = first {
        let mut pairs = vec![("authority".to_owned(), text(authority))];
        if !required {
            pairs.push(("required".to_owned(), "false".to_owned()));
        }
        balancer.vital("client-certificates", inline(&pairs), &[line]);
    }
    for bind in &tls {
        if bind.clients.as_ref() != first.map(|(_, clients)| clients) {
            ledger.lost(
                bind.line,
                "all listeners with TLS ask clients for the same certificates",
                "a second balancer",
            );
        }
    }
}
