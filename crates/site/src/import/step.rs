//! Pure: one rule on its way into the routes that stand behind it.

use std::collections::BTreeMap;

use super::acl::{Case, Read};
use super::cells::{Action, Cell, Edit, Rewrite, first, split, stop};
use super::conditions::{Both, Conditions};
use super::frontend::Security;
use super::ledger::Unfit;
use super::path::Path;
use super::rewriting;
use super::rules::{Rule, What};
use super::stick_table::Tables;

/// What a client gets that says nothing else: the token of ACME stays on HTTP (RFC 8555 section 8.3),
/// with Mainstay as well.
const ACME: &str = "/.well-known/acme-challenge";

/// Rules that are looked up while others are read.
pub(super) type Tracks = BTreeMap<u8, (String, String, Vec<Case>)>;

/// Conditions that a route can have, with what is known of TLS taken out.
pub(super) fn plain(read: &Read, security: Security) -> Result<Vec<Case>, Unfit> {
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
pub(super) struct Step<'a> {
    pub(super) rule: &'a Rule,
    pub(super) security: Security,
    pub(super) tracks: &'a Tracks,
    pub(super) tables: &'a Tables,
    pub(super) name: &'a str,
    /// What stands behind all of the rules.
    pub(super) behind: &'a [Cell],
}

#[derive(Default)]
pub(super) struct Done {
    pub(super) cells: Vec<Cell>,
    pub(super) https: Option<u16>,
    pub(super) differs: Vec<(String, String)>,
    pub(super) needless: Option<String>,
}

impl Step<'_> {
    pub(super) fn apply(&self, cells: &[Cell]) -> Result<Done, Unfit> {
        let mut done = Done::default();
        done.cells = match &self.rule.what {
            What::ToHttps(status) => return self.to_https(cells, *status),
            What::Track { .. } => cells.to_vec(),
            What::Refuse(status) => self.refuse(cells, *status, &mut done)?,
            What::Stop(action) => stop(cells, &self.cases()?, self.rule.line, action)?,
            What::GoOn => first(self.behind, &self.cases()?, cells)?,
            What::Request(edit) => self.change(cells, &|cell| match cell.action {
                Action::To(_) => cell.rules.request.before(edit),
                _ => Ok(()),
            })?,
            What::Response(edit) => {
                let strict = Self::only_tls(edit);
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
                let strict = Self::only_tls(edit);
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
                    Action::To(_) => {
                        let rewrite = Rewrite::Prefix {
                            from: from.clone(),
                            to: to.clone(),
                        };
                        if rewriting::said(&rewrite, &cell.when).is_none() {
                            return Err(Unfit::new(
                                "a prefix is replaced of routes with `path-prefix`",
                                "replace-path with what `path-regex` matched",
                            ));
                        }
                        rewritten(cell, rewrite)
                    }
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
    fn only_tls(edit: &Edit) -> Option<Security> {
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

    fn to_https(&self, cells: &[Cell], status: u16) -> Result<Done, Unfit> {
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
            done.https = Some(status);
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
