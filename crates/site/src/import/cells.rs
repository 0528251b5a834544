//! Pure: rules, in HAProxy's order → routes, each of them complete.
//!
//! HAProxy goes through a list of rules: some change the request and go on, some end the search. A
//! route of Mainstay says all of it in one place. So the list is read from its end: behind the last
//! rule stands the default backend; a rule that ends the search comes before what is there; a rule
//! that changes something changes what is there, and splits it where it holds for a part only.
//!
//! Source: HAProxy configuration manual, section 4.2, `use_backend`, `http-request`, `redirect`: the
//! order in which they are evaluated.

use std::collections::{BTreeMap, BTreeSet};

use super::acl::Case;
use super::conditions::{Both, Conditions, Networks};
use super::ledger::Unfit;

/// Routes that one file may become: more are no longer what a person would have written.
pub(super) const MOST: usize = 2000;

/// One route to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) when: Conditions,
    pub(super) action: Action,
    pub(super) rules: Rules,
    /// The line that says where its requests go.
    pub(super) main: u32,
    /// All lines it comes from.
    pub(super) lines: BTreeSet<u32>,
}

impl Cell {
    /// What limits and lists of clients have no effect on.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.action, Action::Respond { status: 400.., .. })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Index among the proxies.
    To(usize),
    Redirect {
        to: String,
        status: u16,
    },
    Respond {
        status: u16,
        body: String,
    },
}

/// What is done on the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rules {
    pub(super) allow: Option<Networks>,
    pub(super) deny: Networks,
    pub(super) rate: Option<Limit>,
    pub(super) concurrency: Option<Limit>,
    pub(super) request: Edits,
    pub(super) response: Edits,
    pub(super) rewrite: Option<Rewrite>,
    pub(super) host: Option<String>,
    pub(super) response_head: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) requests: u32,
    /// Milliseconds.
    pub(super) per: u64,
    /// As `key` of a rate limit has it.
    pub(super) key: String,
    pub(super) line: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// What begins with the first begins with the second. How a route says so depends on its path.
    Prefix {
        from: String,
        to: String,
    },
    Path(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Edits {
    /// Lower case → as written.
    pub(super) remove: BTreeMap<String, String>,
    pub(super) set: BTreeMap<String, (String, String)>,
    pub(super) add: BTreeMap<String, (String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    Remove(String),
    Set(String, String),
    Add(String, String),
}

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// An edit that comes before those that are there already.
    pub(super) fn before(&mut self, edit: &Edit) -> Result<(), Unfit> {
        match edit {
            Edit::Remove(name) => {
                self.remove
                    .entry(name.to_ascii_lowercase())
                    .or_insert_with(|| name.clone());
            }
            Edit::Set(name, value) => {
                let key = name.to_ascii_lowercase();
                if !self.set.contains_key(&key) && !self.remove.contains_key(&key) {
                    self.set.insert(key, (name.clone(), value.clone()));
                }
            }
            Edit::Add(name, value) => {
                let key = name.to_ascii_lowercase();
                if self.set.contains_key(&key) || self.remove.contains_key(&key) {
                    return Ok(());
                }
                let new = (name.clone(), value.clone());
                if self.add.get(&key).is_some_and(|known| *known != new) {
                    return Err(Unfit::new(
                        "a route adds one field of a name",
                        "one field with both values",
                    ));
                }
                self.add.insert(key, new);
            }
        }
        Ok(())
    }
}

fn unsayable() -> Unfit {
    Unfit::new(
        "it holds for a part of what other rules take, and a route cannot say which part",
        "a route of its own with one `path-regex`",
    )
}

/// Changes what the case holds for, and leaves the rest as it is.
pub(super) fn split(
    cells: &[Cell],
    case: &Case,
    line: u32,
    change: &dyn Fn(&mut Cell) -> Result<(), Unfit>,
) -> Result<Vec<Cell>, Unfit> {
    let mut next = Vec::new();
    for cell in cells {
        let when = match cell.when.and(&case.is) {
            Both::Is(when) => when,
            Both::Never => {
                next.push(cell.clone());
                continue;
            }
            Both::Unsayable => return Err(unsayable()),
        };
        if case.not.iter().any(|not| when.is_within(not)) {
            next.push(cell.clone());
            continue;
        }
        let with = |when: &Conditions| Cell {
            when: when.clone(),
            ..cell.clone()
        };
        for not in &case.not {
            match when.and(not) {
                Both::Is(except) => next.push(with(&except)),
                Both::Never => {}
                Both::Unsayable => return Err(unsayable()),
            }
        }
        let whole = when == cell.when;
        let mut changed = with(&when);
        change(&mut changed)?;
        changed.lines.insert(line);
        next.push(changed);
        if !whole {
            next.push(cell.clone());
        }
    }
    bounded(next)
}

/// What the cases hold for ends here; what comes before stands behind. Alternatives are as good as rules
/// one after the other: what the first leaves, the second may take.
pub(super) fn stop(
    cells: &[Cell],
    cases: &[Case],
    line: u32,
    action: &Action,
) -> Result<Vec<Cell>, Unfit> {
    let mut cells = cells.to_vec();
    for case in cases.iter().rev() {
        let mut next = Vec::new();
        for not in &case.not {
            let part = match case.is.and(not) {
                Both::Is(part) => part,
                Both::Never => continue,
                Both::Unsayable => return Err(unsayable()),
            };
            for cell in &cells {
                match cell.when.and(&part) {
                    Both::Is(when) => next.push(Cell {
                        when,
                        ..cell.clone()
                    }),
                    Both::Never => {}
                    Both::Unsayable => return Err(unsayable()),
                }
            }
        }
        next.push(Cell {
            when: case.is.clone(),
            action: action.clone(),
            rules: Rules::default(),
            main: line,
            lines: [line].into(),
        });
        next.append(&mut cells);
        cells = bounded(next)?;
    }
    Ok(cells)
}

/// Parts of `cells` for which the cases hold, before `others`.
pub(super) fn first(cells: &[Cell], cases: &[Case], others: &[Cell]) -> Result<Vec<Cell>, Unfit> {
    let mut next = Vec::new();
    for case in cases {
        if !case.not.is_empty() {
            return Err(unsayable());
        }
        for cell in cells {
            match cell.when.and(&case.is) {
                Both::Is(when) => next.push(Cell {
                    when,
                    ..cell.clone()
                }),
                Both::Never => {}
                Both::Unsayable => return Err(unsayable()),
            }
        }
    }
    next.extend(others.iter().cloned());
    bounded(next)
}

fn bounded(cells: Vec<Cell>) -> Result<Vec<Cell>, Unfit> {
    let cells = match cells.len() {
        0..=MOST => cells,
        _ => without_shadowed(&cells),
    };
    match cells.len() {
        0..=MOST => Ok(cells),
        _ => Err(Unfit::new(
            format!("it would become more than {MOST} routes"),
            "routes written by hand",
        )),
    }
}

/// A cell that an earlier one takes everything of is never reached.
pub(super) fn without_shadowed(cells: &[Cell]) -> Vec<Cell> {
    let mut kept: Vec<Cell> = Vec::new();
    for cell in cells {
        if !kept
            .iter()
            .any(|earlier| cell.when.is_within(&earlier.when))
        {
            kept.push(cell.clone());
        }
    }
    kept
}
