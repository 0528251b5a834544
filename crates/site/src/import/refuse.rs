//! Pure: `deny` and its relatives: lists of clients, limits, or an answer that says no.
//!
//! Source: HAProxy configuration manual, section 4.3, `deny`, `tarpit`, `track-sc0`.

use super::acl::{Case, Counted, Rate, Read};
use super::cells::{Action, Cell, Limit, split, stop};
use super::conditions::{Both, Conditions};
use super::ledger::Unfit;
use super::step::{Done, Step, plain};

impl Step<'_> {
    pub(super) fn refuse(
        &self,
        cells: &[Cell],
        status: u16,
        done: &mut Done,
    ) -> Result<Vec<Cell>, Unfit> {
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
                            _ if cell.is_refusal() => Ok(()),
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
                        if !cell.is_refusal() {
                            cell.rules.deny.add(&networks);
                        }
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
            false => stop(&next, &rest, self.rule.line, &action),
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
                    let refusal = cell.is_refusal();
                    let place = match open {
                        true => &mut cell.rules.concurrency,
                        false => &mut cell.rules.rate,
                    };
                    // What a later rule says is of less, and stays.
                    if place.is_none() && !refusal {
                        *place = Some(limit.clone());
                    }
                    Ok(())
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
        let other = next.iter().any(|cell| {
            let place = if open {
                &cell.rules.concurrency
            } else {
                &cell.rules.rate
            };
            place.as_ref().is_some_and(|known| *known != limit)
        });
        if other {
            done.differs.push((
                "a route has one limit: those that have one of their own have not this one too"
                    .to_owned(),
                String::new(),
            ));
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

/// The networks, when nothing else is asked for.
fn only_from(conditions: &Conditions) -> Option<super::conditions::Networks> {
    let networks = conditions.from.clone()?;
    let rest = Conditions {
        from: None,
        ..conditions.clone()
    };
    (rest == Conditions::default()).then_some(networks)
}
