//! Pure: whose rules become the routes. Routes hold for every listener of HTTP, so further frontends
//! share them when they have the same rules, or only send HTTP on to HTTPS. Others are told, and can be
//! imported alone.

use super::cells::{Action, Cell, Rules};
use super::conditions::Conditions;
use super::config::Config;
use super::frontend::Security;
use super::ledger::Ledger;
use super::listeners::Wanted;
use super::path::Path;
use super::read::Http;

/// Frontends that have the routes, with their listeners.
pub(super) type Shared = Vec<(usize, Wanted)>;

/// The routes; the frontends whose listeners have them; the line that sends HTTP on to HTTPS.
pub(super) fn choose(
    config: &Config,
    https: &mut Vec<Http>,
    ledger: &mut Ledger,
) -> (Vec<Cell>, Shared, Option<(u32, u16)>) {
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
        ledger.take_in(&first.ledger);
        let (line, status) = first.frontend.to_https.unwrap_or_default();
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
            action: Action::Redirect { to, status },
            rules: Rules::default(),
            main: line,
            lines: [line].into(),
        });
        let shared = vec![wanted(&first)];
        left_over(config, https, &[], ledger);
        return (cells, shared, None);
    };
    // What reading the others told is forgotten with them, unless they are carried over.
    ledger.take_in(&main.ledger);
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
