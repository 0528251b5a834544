//! Pure: every frontend that is wanted, understood by itself.

use super::backend;
use super::bind::{Bind, binds};
use super::config::{Config, Proxy};
use super::frontend::{Frontend, Reader, Security};
use super::ledger::Ledger;
use super::stick_table::Tables;
use super::tcp::{self, Leads, has_servers};

/// A frontend of HTTP with its listeners.
pub(super) struct Http {
    pub(super) at: usize,
    pub(super) binds: Vec<Bind>,
    pub(super) security: Security,
    pub(super) frontend: Frontend,
    /// What reading it told.
    pub(super) ledger: Ledger,
}

/// A frontend of bytes.
pub(super) struct Bytes {
    pub(super) at: usize,
    pub(super) binds: Vec<Bind>,
    pub(super) leads: Leads,
}

/// Every frontend that was asked for, understood.
pub(super) fn read(
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

pub(super) fn is_disabled(proxy: &Proxy) -> bool {
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
