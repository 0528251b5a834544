//! Pure: `server`, `server-template` and `default-server` lines → endpoints.
//!
//! Source: HAProxy configuration manual, section 4.2, `server`, `server-template`, `default-server`.

use super::config::Proxy;
use super::document::{Row, inline, text};
use super::ledger::Ledger;
use super::server::Server;

/// Servers that one `server-template` may stand for.
const TEMPLATE: u32 = 1000;
/// Endpoints of a backend at most.
const MOST: usize = 10_000;

pub(super) fn servers(proxy: &Proxy, ledger: &mut Ledger) -> Vec<Server> {
    let mut defaults: Vec<String> = Vec::new();
    let mut servers = Vec::new();
    for line in proxy.inherited.iter().chain(&proxy.own) {
        match line.word(0) {
            "default-server" => {
                // Read once for itself, so that what is wrong is told here.
                Server::read(line, "", "127.0.0.1:1", line.from(1), &[], ledger);
                ledger.carried(line.number);
                defaults.extend(line.from(1).iter().cloned());
            }
            "server" => {
                ledger.carried(line.number);
                servers.push(Server::read(
                    line,
                    line.word(1),
                    line.word(2),
                    line.from(3),
                    &defaults,
                    ledger,
                ));
            }
            "server-template" => {
                ledger.carried(line.number);
                let range = line.word(2);
                let (from, to) = range.split_once('-').unwrap_or(("1", range));
                let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) else {
                    ledger.lost(
                        line.number,
                        format!("`{range}` is no number of servers"),
                        "endpoints, one by one",
                    );
                    continue;
                };
                if to.saturating_sub(from) >= TEMPLATE {
                    ledger.lost(
                        line.number,
                        format!("more than {TEMPLATE} servers"),
                        "endpoints, one by one",
                    );
                    continue;
                }
                let first = Server::read(line, "", line.word(3), line.from(4), &defaults, ledger);
                // A name is looked up by HAProxy, and would stand for all of them.
                let most = if first.address.is_none() { from } else { to };
                servers.extend((from..=most).map(|number| Server {
                    name: format!("{}{number}", line.word(1)),
                    ..first.clone()
                }));
            }
            _ => {}
        }
    }
    servers
}

/// Rows, and the servers that are among the endpoints.
pub(super) fn endpoints(servers: &[Server], ledger: &mut Ledger) -> (Vec<Row>, Vec<Server>) {
    let mut rows = Vec::new();
    let mut used: Vec<Server> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    // A backend keeps its place even when the file has no address for it.
    let nobody = servers
        .iter()
        .all(|server| server.address.is_none() || server.disabled);
    for server in servers {
        let out = |why: &str| Row {
            text: server.name.clone(),
            line: server.line,
            was: String::new(),
            out: Some(why.to_owned()),
        };
        let (address, was) = match (&server.address, stand_in(server, rows.len())) {
            (Some(address), _) => (address.clone(), String::new()),
            (None, Some(address)) if nobody => {
                let why = format!(
                    "{}; {address} stands in its place, which is nobody's",
                    server.why_not
                );
                ledger.lost(server.line, why, "the address that is meant, with its port");
                (address, server.written.clone())
            }
            (None, _) => {
                ledger.lost(
                    server.line,
                    server.why_not.clone(),
                    "an address with its port, like \"10.0.0.5:80\", for each endpoint",
                );
                rows.push(out(&server.why_not));
                continue;
            }
        };
        if server.disabled {
            ledger.differs(
                server.line,
                "a server that is disabled stands in a comment",
                "",
            );
            rows.push(out(&format!("{address} is disabled")));
            continue;
        }
        if let Some(first) = used.first()
            && !first.tls.agrees(&server.tls)
        {
            let why = "all endpoints of a backend are asked over the same TLS";
            ledger.lost(server.line, why, "a backend of its own");
            rows.push(out(why));
            continue;
        }
        if used.len() >= MOST {
            ledger.lost(
                server.line,
                format!("a backend has at most {MOST} endpoints"),
                "several backends",
            );
            continue;
        }
        let mut pairs = vec![("address".to_owned(), text(&address))];
        let visible = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\' && c != '/';
        let named = !server.name.is_empty() && server.name.chars().all(visible);
        let name = if named {
            server.name.clone()
        } else {
            address.clone()
        };
        if !names.insert(name.clone()) {
            ledger.lost(
                server.line,
                format!("there is an endpoint `{name}` already"),
                "another name",
            );
            continue;
        }
        if named {
            pairs.push(("name".to_owned(), text(&name)));
        }
        if let Some(weight) = server.weight {
            pairs.push(("weight".to_owned(), weight.to_string()));
        }
        if server.backup {
            pairs.push(("backup".to_owned(), "true".to_owned()));
        }
        rows.push(Row {
            text: inline(&pairs),
            line: server.line,
            was,
            out: None,
        });
        used.push(server.clone());
    }
    if !used.is_empty() && used.iter().all(|server| server.weight == Some(0)) {
        for row in rows.iter_mut().filter(|row| row.out.is_none()) {
            row.out = Some("every server has weight 0".to_owned());
            ledger.lost(
                row.line,
                "every server of the backend has weight 0",
                "weight = 1",
            );
        }
        used.clear();
    }
    (rows, used)
}

/// An address that is nobody's (RFC 5737), with the port that is written.
fn stand_in(server: &Server, number: usize) -> Option<String> {
    let number = number % 254 + 1;
    let port = server
        .written
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    let port = port.filter(|port| *port > 0).unwrap_or(80);
    (!server.written.is_empty()).then(|| format!("192.0.2.{number}:{port}"))
}
