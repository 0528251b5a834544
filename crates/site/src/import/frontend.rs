//! Pure: the rules of a frontend, and of the backends it leads to, folded into routes.

use std::collections::{BTreeMap, BTreeSet};

use super::acl::{Acls, Read};
use super::cells::{Action, Cell, Rules, stop, without_shadowed};
use super::conditions::{Both, Conditions};
use super::config::Proxy;
use super::ledger::Ledger;
use super::order;
use super::rules::{Rule, What, rules};
use super::shorten::shorten;
use super::step::{Done, Step, Tracks, plain};
use super::stick_table::Tables;
use super::tcp::has_servers;

/// A frontend of HTTP, understood.
#[derive(Debug)]
pub(super) struct Frontend {
    pub(super) cells: Vec<Cell>,
    /// The line that sends HTTP on to HTTPS, and its status.
    pub(super) to_https: Option<(u32, u16)>,
}

/// Whether its clients speak TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    Plain,
    Tls,
    Both,
}

pub(super) struct Reader<'a> {
    pub(super) proxies: &'a [Proxy],
    pub(super) tables: &'a Tables,
    pub(super) ledger: &'a mut Ledger,
}

impl Reader<'_> {
    pub(super) fn frontend(&mut self, at: usize, security: Security) -> Option<Frontend> {
        let proxies = self.proxies;
        let proxy = proxies.get(at)?;
        let acls = Acls::new(proxy.all(&["acl"]));
        let own = rules(proxy, &acls, self.ledger);
        let mut frontend = Frontend {
            cells: Vec::new(),
            to_https: None,
        };
        let mut cells = vec![self.default(at, proxy)];
        let switches: Vec<_> = proxy.all(&["use_backend"]).collect();
        for line in switches.into_iter().rev() {
            let condition = line
                .words
                .iter()
                .position(|word| word == "if" || word == "unless");
            let Some(to) = self.answering(line.word(1)) else {
                let (why, instead) = match line.word(1).contains('%') {
                    true => (
                        "a backend is named, not computed",
                        "one route for each backend",
                    ),
                    false => (
                        "there is no such backend",
                        "the backend, or without the rule",
                    ),
                };
                self.ledger.lost(line.number, why, instead);
                continue;
            };
            let made = acls.condition(line, condition).and_then(|read| {
                let cases = plain(&read, security)?;
                Ok((stop(&cells, &cases, line.number, &Action::To(to))?, read))
            });
            match made {
                Ok((next, read)) => {
                    self.used(line.number, &read);
                    cells = next;
                }
                Err(unfit) => self.ledger.unfit(line.number, unfit),
            }
        }
        // A backend's own rules come after the frontend's.
        cells = cells
            .into_iter()
            .flat_map(|cell| self.behind(cell))
            .collect();
        frontend.cells = self.fold(own, cells, security, at, &mut frontend.to_https);
        frontend.cells = self.ordered(without_shadowed(&frontend.cells));
        Some(frontend)
    }

    /// What a request gets that no rule sends anywhere: the default backend, or 503.
    fn default(&mut self, at: usize, proxy: &Proxy) -> Cell {
        let nobody = Action::Respond {
            status: 503,
            body: String::new(),
        };
        let (action, line) = match proxy.last(&["default_backend"]) {
            Some(line) => match self.answering(line.word(1)) {
                Some(to) => {
                    self.ledger.carried(line.number);
                    (Action::To(to), line.number)
                }
                None => {
                    self.ledger.lost(
                        line.number,
                        "there is no such backend",
                        "the backend, or without the rule",
                    );
                    (nobody, line.number)
                }
            },
            None if proxy.answers() && has_servers(proxy) => (Action::To(at), proxy.line),
            None => (nobody, proxy.line),
        };
        Cell {
            when: Conditions::default(),
            action,
            rules: Rules::default(),
            main: line,
            lines: [line].into(),
        }
    }

    fn answering(&self, name: &str) -> Option<usize> {
        self.proxies
            .iter()
            .position(|proxy| proxy.name == name && proxy.answers())
    }

    fn behind(&mut self, cell: Cell) -> Vec<Cell> {
        let Action::To(at) = cell.action else {
            return vec![cell];
        };
        let proxies = self.proxies;
        let Some(proxy) = proxies.get(at).filter(|proxy| !proxy.listens()) else {
            return vec![cell];
        };
        let acls = Acls::new(proxy.all(&["acl"]));
        let own = rules(proxy, &acls, self.ledger);
        // What ends here ends for this backend's requests only.
        let parts = self.fold(own, vec![cell.clone()], Security::Both, at, &mut None);
        let mut narrowed = Vec::new();
        for part in parts {
            match cell.when.and(&part.when) {
                Both::Is(when) => narrowed.push(Cell {
                    when,
                    lines: &cell.lines | &part.lines,
                    ..part
                }),
                Both::Never => {}
                Both::Unsayable => {
                    let line = part.lines.last().copied().unwrap_or(proxy.line);
                    self.ledger.lost(line, "it holds for a part of the backend's requests, and a route cannot say which part", "a route of its own");
                }
            }
        }
        narrowed
    }

    fn fold(
        &mut self,
        rules: Vec<Rule>,
        mut cells: Vec<Cell>,
        security: Security,
        at: usize,
        to_https: &mut Option<(u32, u16)>,
    ) -> Vec<Cell> {
        let tracks: Tracks = rules
            .iter()
            .filter_map(|rule| match &rule.what {
                What::Track {
                    counter,
                    key,
                    table,
                } => Some((
                    *counter,
                    (key.clone(), table.clone(), rule.read.cases.clone()),
                )),
                _ => None,
            })
            .collect();
        let mut behind = cells.clone();
        let (requests, responses): (Vec<Rule>, Vec<Rule>) = rules
            .into_iter()
            .partition(|rule| !matches!(rule.what, What::Response(_) | What::AfterResponse(_)));
        let (after, responses): (Vec<Rule>, Vec<Rule>) = responses
            .into_iter()
            .partition(|rule| matches!(rule.what, What::AfterResponse(_)));
        let order = responses
            .iter()
            .rev()
            .chain(requests.iter().rev())
            .chain(after.iter().rev());
        for (number, rule) in order.enumerate() {
            if number == responses.len() {
                behind.clone_from(&cells);
            }
            let step = Step {
                rule,
                security,
                tracks: &tracks,
                tables: self.tables,
                name: self.proxies.get(at).map_or("", |proxy| proxy.name.as_str()),
                behind: &behind,
            };
            match step.apply(&cells) {
                Ok(Done {
                    cells: next,
                    https,
                    differs,
                    needless,
                }) => {
                    self.used(rule.line, &rule.read);
                    for (why, instead) in differs {
                        self.ledger.differs(rule.line, why, instead);
                    }
                    if let Some(why) = needless {
                        self.ledger.needless(rule.line, why);
                    }
                    if let Some(status) = https {
                        *to_https = Some((rule.line, status));
                    }
                    cells = next;
                }
                Err(unfit) => self.ledger.unfit(rule.line, unfit),
            }
        }
        cells
    }

    fn used(&mut self, line: u32, read: &Read) {
        self.ledger.carried(line);
        for line in &read.lines {
            self.ledger.carried(*line);
        }
        for (line, unfit) in &read.differs {
            self.ledger
                .differs(*line, unfit.why.clone(), unfit.instead.clone());
        }
    }

    /// As Mainstay has to have them, without those it needs not.
    fn ordered(&mut self, cells: Vec<Cell>) -> Vec<Cell> {
        let (cells, swapped) = order::keep(cells);
        let mut by_second: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for pair in swapped {
            by_second.entry(pair.second).or_default().insert(pair.first);
        }
        for (second, firsts) in by_second {
            let firsts: Vec<String> = firsts.iter().map(u32::to_string).collect();
            self.ledger.lost(
                second,
                format!("the most specific route counts: this one may take requests that HAProxy gives to line {}", firsts.join(", ")),
                "routes that leave each other alone; `path-regex`, of which the first counts",
            );
        }
        let mut cells = shorten(cells);
        // Without a route there is an answer too.
        let nobody = |cell: &Cell| {
            matches!(cell.action, Action::Respond { status: 503, .. })
                && cell.when == Conditions::default()
        };
        if cells.last().is_some_and(nobody) {
            cells.pop();
        }
        cells
    }
}

/// Proxies that the cells lead to.
pub(super) fn reached(cells: &[Cell]) -> BTreeSet<usize> {
    cells
        .iter()
        .filter_map(|cell| match cell.action {
            Action::To(at) => Some(at),
            _ => None,
        })
        .collect()
}
