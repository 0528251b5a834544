//! Pure: `if` and `unless` with everything behind them → alternatives, each a list of things that must
//! and must not be.
//!
//! Source: HAProxy configuration manual, section 7.2 "Using ACLs to form conditions" and 7.4
//! "Pre-defined ACLs". Several `acl` lines of one name are alternatives.

use std::collections::{BTreeMap, BTreeSet};

use super::conditions::{Both, Conditions, Networks, Value};
use super::fetch;
use super::ledger::Unfit;
use super::lexer::Line;

/// More alternatives than these no person wrote.
const MOST: usize = 64;

/// One thing that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Atom {
    Of(Conditions),
    /// The client's connection is TLS.
    Tls,
    /// Names in the TLS greeting, of a connection that is not ended here.
    Sni(BTreeSet<String>),
    /// Requests, or connections, of one client.
    Rate(Rate),
    Always(bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rate {
    /// Of the counter that `track-sc` fills, or none for `src_…`.
    pub(super) counter: Option<u8>,
    /// The table, when it is named.
    pub(super) table: String,
    pub(super) what: Counted,
    /// More than so many.
    pub(super) above: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// In the time that the table says.
    Requests,
    Connections,
    /// At once.
    Open,
}

/// All of it together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Case {
    pub(super) is: Conditions,
    pub(super) not: Vec<Conditions>,
    pub(super) tls: Option<bool>,
    pub(super) sni: Option<BTreeSet<String>>,
    pub(super) rate: Option<Rate>,
}

/// The `acl` lines of a proxy.
#[derive(Debug, Default)]
pub(super) struct Acls {
    known: BTreeMap<String, Vec<Line>>,
}

/// What a condition is, and the lines it was read from.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Alternatives; none: never.
    pub(super) cases: Vec<Case>,
    pub(super) lines: BTreeSet<u32>,
    /// What differs from what HAProxy does: line and words.
    pub(super) differs: Vec<(u32, Unfit)>,
}

#[derive(Debug, Clone)]
struct Literal {
    negated: bool,
    alternatives: Vec<Atom>,
}

impl Acls {
    pub(super) fn new<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut known: BTreeMap<String, Vec<Line>> = BTreeMap::new();
        for line in lines {
            known
                .entry(line.word(1).to_owned())
                .or_default()
                .push(line.clone());
        }
        Self { known }
    }

    /// The condition at the end of a line: the words from its `if` or `unless`.
    pub(super) fn condition(&self, line: &Line, at: Option<usize>) -> Result<Read, Unfit> {
        let mut read = Read::default();
        let Some(at) = at else {
            read.cases.push(Case::default());
            return Ok(read);
        };
        let mut ors: Vec<Vec<Literal>> = vec![Vec::new()];
        let mut words = line.from(at + 1).iter().map(String::as_str);
        let mut negated = false;
        while let Some(word) = words.next() {
            if matches!(word, "or" | "||") {
                ors.push(Vec::new());
                continue;
            }
            let name = word.trim_start_matches('!');
            negated ^= (word.len() - name.len()) % 2 == 1;
            let alternatives = match name {
                "" => continue,
                "{" => {
                    let inside: Vec<String> = words
                        .by_ref()
                        .take_while(|word| *word != "}")
                        .map(str::to_owned)
                        .collect();
                    Self::atoms(line.number, &inside, &mut read)?
                }
                name => self.named(name, &mut read)?,
            };
            if let Some(last) = ors.last_mut() {
                last.push(Literal {
                    negated,
                    alternatives,
                });
            }
            negated = false;
        }
        if ors.iter().any(Vec::is_empty) {
            return Err(Unfit::new(
                "its condition is not complete",
                "the condition, put right",
            ));
        }
        if line.word(at) == "unless" {
            ors = opposite(&ors)?;
        }
        for literals in &ors {
            read.cases.extend(cases(literals)?);
        }
        match read.cases.len() {
            0..=MOST => Ok(read),
            _ => Err(Unfit::new(
                "its condition has too many alternatives",
                "several routes",
            )),
        }
    }

    fn named(&self, name: &str, read: &mut Read) -> Result<Vec<Atom>, Unfit> {
        let Some(lines) = self.known.get(name) else {
            return fetch::predefined(name).ok_or_else(|| {
                Unfit::new(
                    format!("there is no acl `{name}`"),
                    "the acl, or a route without it",
                )
            });
        };
        let mut all = Vec::new();
        for line in lines {
            read.lines.insert(line.number);
            if line.variable {
                return Err(Unfit::new(
                    format!("the acl `{name}` takes a value from the environment"),
                    "the value itself",
                ));
            }
            all.extend(Self::atoms(line.number, line.from(2), read)?);
        }
        Ok(all)
    }

    fn atoms(line: u32, words: &[String], read: &mut Read) -> Result<Vec<Atom>, Unfit> {
        let mut differs = None;
        let atoms = fetch::atoms(words, &mut differs)?;
        read.differs.extend(differs.map(|unfit| (line, unfit)));
        Ok(atoms)
    }
}

/// `not (a b or c)` is `(not a or not b) and not c`.
fn opposite(ors: &[Vec<Literal>]) -> Result<Vec<Vec<Literal>>, Unfit> {
    let mut all: Vec<Vec<Literal>> = vec![Vec::new()];
    for literals in ors {
        let mut next = Vec::new();
        for before in &all {
            for literal in literals {
                let mut now = before.clone();
                now.push(Literal {
                    negated: !literal.negated,
                    ..literal.clone()
                });
                next.push(now);
            }
        }
        if next.len() > MOST {
            return Err(Unfit::new(
                "its condition has too many alternatives",
                "several routes",
            ));
        }
        all = next;
    }
    Ok(all)
}

/// What all must hold together → alternatives.
fn cases(literals: &[Literal]) -> Result<Vec<Case>, Unfit> {
    let mut all = vec![Case::default()];
    for literal in literals {
        let mut next = Vec::new();
        for case in &all {
            if literal.negated {
                let mut case = Some(case.clone());
                for atom in &literal.alternatives {
                    case = match case {
                        Some(case) => without(case, atom)?,
                        None => None,
                    };
                }
                next.extend(case);
                continue;
            }
            for atom in &literal.alternatives {
                next.extend(with(case.clone(), atom)?);
            }
        }
        if next.len() > MOST {
            return Err(Unfit::new(
                "its condition has too many alternatives",
                "several routes",
            ));
        }
        all = next;
    }
    Ok(all)
}

fn with(mut case: Case, atom: &Atom) -> Result<Option<Case>, Unfit> {
    match atom {
        Atom::Always(yes) => return Ok(yes.then_some(case)),
        Atom::Of(conditions) => match case.is.and(conditions) {
            Both::Is(both) => case.is = both,
            Both::Never => return Ok(None),
            Both::Unsayable => {
                return Err(Unfit::new(
                    "a route asks for one path, and one value of a header",
                    "one `path-regex` for both",
                ));
            }
        },
        Atom::Tls if case.tls == Some(false) => return Ok(None),
        Atom::Tls => case.tls = Some(true),
        Atom::Sni(names) => {
            let both: BTreeSet<String> = match &case.sni {
                Some(known) => known & names,
                None => names.clone(),
            };
            case.sni = Some(both);
        }
        Atom::Rate(rate) => case.rate = Some(rate.clone()),
    }
    Ok(Some(case))
}

fn without(mut case: Case, atom: &Atom) -> Result<Option<Case>, Unfit> {
    match atom {
        Atom::Always(yes) => return Ok((!yes).then_some(case)),
        Atom::Tls if case.tls == Some(true) => return Ok(None),
        Atom::Tls => case.tls = Some(false),
        Atom::Sni(_) | Atom::Rate(_) => {
            return Err(Unfit::new(
                "a route cannot ask for what must not be here",
                "the same with what must be",
            ));
        }
        Atom::Of(conditions) => case.not.push(conditions.clone()),
    }
    Ok(Some(case))
}

/// Clients in these networks.
pub(super) fn from(networks: Networks) -> Atom {
    Atom::Of(Conditions {
        from: Some(networks),
        ..Conditions::default()
    })
}

/// A header field with this value.
pub(super) fn header(name: &str, value: Value) -> Atom {
    Atom::Of(Conditions {
        headers: [(name.to_ascii_lowercase(), value)].into(),
        ..Conditions::default()
    })
}
