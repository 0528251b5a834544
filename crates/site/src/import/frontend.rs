//! Pure: the rules of a frontend, and of the backends it leads to, folded into routes.

use std::collections::{BTreeMap, BTreeSet};

use super::acl::{Acls, Case, Counted, Rate, Read};
use super::cells::{
    Action, Cell, Edit, Limit, Rewrite, Rules, first, split, stop, without_shadowed,
};
use super::conditions::{Both, Conditions, Path};
use super::config::Proxy;
use super::ledger::{Ledger, Unfit};
use super::order;
use super::rules::{Rule, What, prefix_rewrite, rules};
use super::stick_table::Tables;

/// What a client gets that says nothing else: the token of ACME stays on HTTP (RFC 8555 section 8.3),
/// with Mainstay as well.
const ACME: &str = "/.well-known/acme-challenge";

/// A frontend of HTTP, understood.
#[derive(Debug)]
pub(super) struct Frontend {
    pub(super) cells: Vec<Cell>,
    /// The line that sends HTTP on to HTTPS.
    pub(super) to_https: Option<u32>,
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

/// Rules that are looked up while others are read.
type Tracks = BTreeMap<u8, (String, String, Vec<Case>)>;

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
        let mut cells = self.default(at, proxy);
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
                let lines = [line.number].into();
                let cell = Cell {
                    when: Conditions::default(),
                    action: Action::To(to),
                    rules: Rules::default(),
                    lines,
                };
                Ok((stop(&cells, &cases, &cell.lines, &cell.action)?, read))
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

    fn default(&mut self, at: usize, proxy: &Proxy) -> Vec<Cell> {
        let named = proxy.last(&["default_backend"]);
        let (to, line) = match named {
            Some(line) => match self.answering(line.word(1)) {
                Some(to) => {
                    self.ledger.carried(line.number);
                    (to, line.number)
                }
                None => {
                    self.ledger.lost(
                        line.number,
                        "there is no such backend",
                        "the backend, or without the rule",
                    );
                    return Vec::new();
                }
            },
            None if proxy.answers() && proxy.all(&["server"]).next().is_some() => (at, proxy.line),
            None => return Vec::new(),
        };
        vec![Cell {
            when: Conditions::default(),
            action: Action::To(to),
            rules: Rules::default(),
            lines: [line].into(),
        }]
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
        to_https: &mut Option<u32>,
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
                    if https {
                        *to_https = Some(rule.line);
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

    fn ordered(&mut self, cells: Vec<Cell>) -> Vec<Cell> {
        let (cells, swapped) = order::keep(cells);
        for pair in swapped {
            self.ledger.lost(
                pair.second,
                format!("the most specific route counts, so it takes requests that line {} takes with HAProxy", pair.first),
                "routes that leave each other alone",
            );
        }
        cells
    }
}

/// Conditions that a route can have, with what is known of TLS taken out.
fn plain(read: &Read, security: Security) -> Result<Vec<Case>, Unfit> {
    let mut cases = Vec::new();
    for case in &read.cases {
        if case.rate.is_some() || case.sni.is_some() {
            return Err(Unfit::new(
                "how often a client asks, and TLS greetings, choose no route",
                "rate-limit of a route; `by-name` of a listener with mode = \"tcp\"",
            ));
        }
        match (case.tls, security) {
            (Some(tls), Security::Tls) if !tls => continue,
            (Some(tls), Security::Plain) if tls => continue,
            (Some(_), Security::Both) => {
                return Err(Unfit::new(
                    "a route holds for HTTP and HTTPS alike",
                    "[tls] redirect = true, so that everything comes over HTTPS",
                ));
            }
            _ => cases.push(Case {
                tls: None,
                ..case.clone()
            }),
        }
    }
    Ok(cases)
}

/// One rule on its way into the cells.
struct Step<'a> {
    rule: &'a Rule,
    security: Security,
    tracks: &'a Tracks,
    tables: &'a Tables,
    name: &'a str,
    /// What stands behind all of the rules.
    behind: &'a [Cell],
}

#[derive(Default)]
struct Done {
    cells: Vec<Cell>,
    https: bool,
    differs: Vec<(String, String)>,
    needless: Option<String>,
}

impl Step<'_> {
    fn apply(&self, cells: &[Cell]) -> Result<Done, Unfit> {
        let mut done = Done::default();
        done.cells = match &self.rule.what {
            What::ToHttps => return self.to_https(cells),
            What::Track { .. } => cells.to_vec(),
            What::Refuse(status) => self.refuse(cells, *status, &mut done)?,
            What::Stop(action) => stop(cells, &self.cases()?, &[self.rule.line].into(), action)?,
            What::GoOn => first(self.behind, &self.cases()?, cells)?,
            What::Request(edit) => self.change(cells, &|cell| match cell.action {
                Action::To(_) => cell.rules.request.before(edit),
                _ => Ok(()),
            })?,
            What::Response(edit) => {
                let strict = self.only_tls(edit);
                let step = Step {
                    security: strict.unwrap_or(self.security),
                    ..*self
                };
                step.change(cells, &|cell| match cell.action {
                    Action::To(_) => cell.rules.response.before(edit),
                    _ => Ok(()),
                })?
            }
            What::AfterResponse(edit) => {
                let strict = self.only_tls(edit);
                let step = Step {
                    security: strict.unwrap_or(self.security),
                    ..*self
                };
                step.change(cells, &|cell| cell.rules.response.before(edit))?
            }
            What::Host(host) => self.change(cells, &|cell| {
                if matches!(cell.action, Action::To(_)) && cell.rules.host.is_none() {
                    cell.rules.host = Some(host.clone());
                }
                Ok(())
            })?,
            What::ResponseHead(time) => self.change(cells, &|cell| {
                if matches!(cell.action, Action::To(_)) {
                    cell.rules.response_head = Some(*time);
                }
                Ok(())
            })?,
            What::SetPath(path) => {
                self.change(cells, &|cell| rewritten(cell, Rewrite::Path(path.clone())))?
            }
            What::Prefix(from, to) => {
                let cases = self.narrowed(&Path::prefix(from))?;
                self.change_in(cells, &cases, &|cell| match cell.action {
                    Action::To(_) => rewritten(cell, prefix_rewrite(&cell.when.path, from, to)?),
                    _ => Ok(()),
                })?
            }
            What::Replace(regex, to) => {
                let path = Path::Regex(regex.clone());
                let cases = self.narrowed(&path)?;
                self.change_in(cells, &cases, &|cell| match cell.action {
                    Action::To(_) if cell.when.path != path => Err(Unfit::new(
                        "a path is replaced by what the route's own `path-regex` matched",
                        "one `path-regex` for condition and replacement",
                    )),
                    Action::To(_) => rewritten(cell, Rewrite::Path(to.clone())),
                    _ => Ok(()),
                })?
            }
        };
        Ok(done)
    }

    fn cases(&self) -> Result<Vec<Case>, Unfit> {
        plain(&self.rule.read, self.security)
    }

    /// Browsers take no notice of HSTS over HTTP (RFC 6797 section 8.1).
    fn only_tls(&self, edit: &Edit) -> Option<Security> {
        match edit {
            Edit::Set(name, _) | Edit::Add(name, _) => name
                .eq_ignore_ascii_case("strict-transport-security")
                .then_some(Security::Tls),
            Edit::Remove(_) => None,
        }
    }

    fn change(
        &self,
        cells: &[Cell],
        change: &dyn Fn(&mut Cell) -> Result<(), Unfit>,
    ) -> Result<Vec<Cell>, Unfit> {
        self.change_in(cells, &self.cases()?, change)
    }

    fn change_in(
        &self,
        cells: &[Cell],
        cases: &[Case],
        change: &dyn Fn(&mut Cell) -> Result<(), Unfit>,
    ) -> Result<Vec<Cell>, Unfit> {
        let mut cells = cells.to_vec();
        for case in cases {
            cells = split(&cells, case, self.rule.line, change)?;
        }
        Ok(cells)
    }

    fn narrowed(&self, path: &Path) -> Result<Vec<Case>, Unfit> {
        let wanted = Conditions {
            path: path.clone(),
            ..Conditions::default()
        };
        let mut cases = Vec::new();
        for case in self.cases()? {
            match case.is.and(&wanted) {
                Both::Is(is) => cases.push(Case { is, ..case }),
                Both::Never => {}
                Both::Unsayable => {
                    return Err(Unfit::new(
                        "a route has one path",
                        "one `path-regex` for condition and replacement",
                    ));
                }
            }
        }
        Ok(cases)
    }

    fn to_https(&self, cells: &[Cell]) -> Result<Done, Unfit> {
        let mut done = Done {
            cells: cells.to_vec(),
            ..Done::default()
        };
        let is_acme = |not: &Conditions| {
            let rest = Conditions {
                path: Path::Any,
                ..not.clone()
            };
            let path = match &not.path {
                Path::Exact(path) | Path::Prefix(path) => path.as_str(),
                _ => "",
            };
            rest == Conditions::default() && path.starts_with(ACME)
        };
        let trivial =
            |case: &Case| case.is == Conditions::default() && case.not.iter().all(is_acme);
        let reaches = |case: &&Case| !(case.tls == Some(true) && self.security != Security::Tls);
        let cases: Vec<&Case> = self.rule.read.cases.iter().filter(reaches).collect();
        let plain_only = |case: &&Case| case.tls == Some(false) || self.security == Security::Plain;
        if !cases.is_empty()
            && cases.iter().all(plain_only)
            && cases.iter().any(|case| trivial(case))
        {
            done.https = true;
            let exception = cases.iter().any(|case| !case.not.is_empty());
            if exception {
                done.needless =
                    Some("[tls] redirect leaves challenges of ACME on HTTP by itself".to_owned());
            }
            return Ok(done);
        }
        Err(Unfit::new(
            "HTTP is sent on to HTTPS for all requests or for none",
            "[tls] redirect = true",
        ))
    }

    fn refuse(&self, cells: &[Cell], status: u16, done: &mut Done) -> Result<Vec<Cell>, Unfit> {
        let mut next = cells.to_vec();
        let mut rest = Vec::new();
        for case in &self.rule.read.cases {
            if let Some(rate) = &case.rate {
                next = self.limit(&next, case, rate, done)?;
                continue;
            }
            let one = Read {
                cases: vec![case.clone()],
                ..Read::default()
            };
            for case in plain(&one, self.security)? {
                let outside = case.not.iter().position(|not| only_from(not).is_some());
                if let (403, Some(at)) = (status, outside)
                    && let Some(networks) = case.not.get(at).and_then(only_from)
                {
                    let mut case = case.clone();
                    case.not.remove(at);
                    next = split(
                        &next,
                        &case,
                        self.rule.line,
                        &|cell| match &cell.rules.allow {
                            Some(known) if *known != networks => Err(Unfit::new(
                                "a route has one list of clients that are let in",
                                "one list, in `allow`",
                            )),
                            _ => {
                                cell.rules.allow = Some(networks.clone());
                                Ok(())
                            }
                        },
                    )?;
                } else if let (403, Some(networks)) = (status, case.is.from.clone()) {
                    let mut case = case.clone();
                    case.is.from = None;
                    next = split(&next, &case, self.rule.line, &|cell| {
                        cell.rules.deny.add(&networks);
                        Ok(())
                    })?;
                } else {
                    rest.push(case);
                }
            }
        }
        let action = Action::Respond {
            status,
            body: String::new(),
        };
        match rest.is_empty() {
            true => Ok(next),
            false => stop(&next, &rest, &[self.rule.line].into(), &action),
        }
    }

    fn limit(
        &self,
        cells: &[Cell],
        case: &Case,
        rate: &Rate,
        done: &mut Done,
    ) -> Result<Vec<Cell>, Unfit> {
        let (key, table, mut when) = match rate.counter {
            Some(counter) => {
                let (key, table, when) = self.tracks.get(&counter).ok_or_else(|| {
                    Unfit::new(
                        format!("nothing is tracked in the counter {counter} here"),
                        "rate-limit of a route",
                    )
                })?;
                (key.as_str(), table.as_str(), when.clone())
            }
            None => ("address", rate.table.as_str(), vec![Case::default()]),
        };
        if when.is_empty() {
            when.push(Case::default());
        }
        let name = if table.is_empty() { self.name } else { table };
        let per = self.tables.period(name, rate.what).ok_or_else(|| {
            Unfit::new(
                format!("the table `{name}` does not say over which time it counts"),
                "rate-limit = { requests = 100, per = \"10s\" }",
            )
        })?;
        let limit = Limit {
            requests: rate.above,
            per,
            key: key.to_owned(),
            line: self.rule.line,
        };
        let open = rate.what == Counted::Open;
        if rate.what != Counted::Requests {
            done.differs.push((
                "requests are counted, not connections".to_owned(),
                String::new(),
            ));
        }
        let mut next = cells.to_vec();
        let mut touched = 0_usize;
        for tracked in when {
            let is = match case.is.and(&tracked.is) {
                Both::Is(is) => is,
                Both::Never => continue,
                Both::Unsayable => {
                    return Err(Unfit::new(
                        "a route has one path",
                        "rate-limit of that route",
                    ));
                }
            };
            let read = Read {
                cases: vec![Case {
                    is,
                    not: case.not.iter().chain(&tracked.not).cloned().collect(),
                    tls: case.tls.or(tracked.tls),
                    ..Case::default()
                }],
                ..Read::default()
            };
            for case in plain(&read, self.security)? {
                next = split(&next, &case, self.rule.line, &|cell| {
                    let place = match open {
                        true => &mut cell.rules.concurrency,
                        false => &mut cell.rules.rate,
                    };
                    match place {
                        Some(known) if known.line != limit.line => {
                            Err(Unfit::new("a route has one limit", "the stricter one"))
                        }
                        _ => {
                            *place = Some(limit.clone());
                            Ok(())
                        }
                    }
                })?;
            }
        }
        for cell in &next {
            let place = if open {
                &cell.rules.concurrency
            } else {
                &cell.rules.rate
            };
            touched += usize::from(place.as_ref() == Some(&limit));
        }
        if touched > 1 {
            done.differs.push((
                format!("{touched} routes have this limit, and each counts for itself"),
                "a lower number, or fewer routes".to_owned(),
            ));
        }
        Ok(next)
    }
}

fn rewritten(cell: &mut Cell, rewrite: Rewrite) -> Result<(), Unfit> {
    if !matches!(cell.action, Action::To(_)) {
        return Ok(());
    }
    match &cell.rules.rewrite {
        Some(_) => Err(Unfit::new(
            "a route replaces the path once",
            "one replacement that does both",
        )),
        None => {
            cell.rules.rewrite = Some(rewrite);
            Ok(())
        }
    }
}

/// The networks, when nothing else is asked for.
fn only_from(conditions: &Conditions) -> Option<super::conditions::Networks> {
    let networks = conditions.from.clone()?;
    let rest = Conditions {
        from: None,
        ..conditions.clone()
    };
    (rest == Conditions::default()).then_some(networks)
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
