//! Pure: an haproxy.cfg → a site file of a balancer alone, and what could not be carried over.
//!
//! lexer → config → (frontend, backend, listeners, limits) → assemble → document → load
//!
//! What comes out has been loaded: should a value slip through that `load` refuses, its line is taken
//! out and told. Every line of the input is accounted for in the ledger. Source: HAProxy's
//! configuration manual; each file names its sections.

mod acl;
mod advice;
mod assemble;
mod backend;
mod balance;
mod bind;
mod cells;
mod check;
mod choose;
mod conditions;
mod config;
mod document;
mod endpoints;
mod fetch;
mod format;
mod frontend;
mod hosts;
mod ledger;
mod lexer;
mod limits;
mod listeners;
mod names;
mod networks;
mod order;
mod path;
mod rate;
mod read;
mod redirect;
mod refuse;
mod rewriting;
mod route;
mod rules;
mod server;
mod server_options;
mod shorten;
mod step;
mod stick_table;
mod tcp;

use config::Config;
use document::{Section, Spot, Value, render};
use ledger::Ledger;
pub use ledger::{Note, NoteKind};

/// What an import made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The site file; `load` takes it.
    pub text: String,
    /// In the order of the imported file.
    pub notes: Vec<Note>,
    /// Directives of the file, and how many of them are not, or not wholly, in the site file.
    pub lines: usize,
    pub lines_lost: usize,
    /// Where HAProxy listens, for `mainstay up --http` and `--https`.
    pub http: Option<String>,
    pub https: Option<String>,
}

/// Nothing was made of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// From 1.
    pub line: u32,
    pub what: String,
    /// What to do.
    pub next: String,
}

/// `name`: of the file, for the comments. `only`: frontends that are wanted; all, if none is named.
pub fn haproxy(text: &str, name: &str, only: &[String]) -> Result<Imported, Refusal> {
    let lines = lexer::lines(text)?;
    let mut ledger = Ledger::new(&lines);
    let config = Config::read(&lines, &mut ledger)?;
    if let Some(unknown) = only.iter().find(|name| {
        !config
            .proxies
            .iter()
            .any(|proxy| proxy.listens() && proxy.name == **name)
    }) {
        let known: Vec<&str> = config
            .proxies
            .iter()
            .filter(|proxy| proxy.listens())
            .map(|proxy| proxy.name.as_str())
            .collect();
        return Err(Refusal {
            line: 1,
            what: format!("there is no frontend `{unknown}`"),
            next: format!("one of: {}", known.join(", ")),
        });
    }
    let made = assemble::assemble(&config, only, &mut ledger);
    for line in &lines {
        if !ledger.knows(line.number) {
            let (kind, why, instead) = advice::on(&line.words);
            match kind {
                NoteKind::Needless => ledger.needless(line.number, why),
                _ => ledger.lost(line.number, why, instead),
            }
        }
    }
    let top = [format!(
        "A balancer alone, imported from {name}; numbers are lines of that file."
    )];
    let last = config.proxies.last().map_or(1, |proxy| proxy.line);
    let text = loadable(&top, made.sections, &mut ledger, last)?;
    Ok(Imported {
        text,
        notes: ledger.notes(),
        lines: ledger.lines(),
        lines_lost: ledger.lines_lost(),
        http: made.http,
        https: made.https,
    })
}

/// The text, without what `load` refuses.
fn loadable(
    top: &[String],
    mut sections: Vec<Section>,
    ledger: &mut Ledger,
    last: u32,
) -> Result<String, Refusal> {
    // Each round takes something out; a file that needs more is none.
    const ROUNDS: usize = 100;
    let nothing = |what: &str| Refusal {
        line: last,
        what: what.to_owned(),
        next:
            "a frontend with `bind`, and a backend with a server that has an IP address and a port"
                .to_owned(),
    };
    for _ in 0..ROUNDS {
        if !sections
            .iter()
            .any(|section| section.header.starts_with("[backends."))
        {
            return Err(nothing(
                "nothing in the file can be carried over: there is no backend with an endpoint that a listener leads to",
            ));
        }
        let (text, spots) = render(top, &sections);
        let Err(problems) = crate::load(&text, "site.toml") else {
            return Ok(text);
        };
        let mut places = problems.iter().filter_map(|problem| {
            let line = usize::try_from(problem.line).ok()?.checked_sub(1)?;
            Some((spots.get(line).copied().flatten()?, problem))
        });
        // From the end, so that the places before stay what they are.
        let Some((spot, problem)) = places.next_back() else {
            let what = problems
                .first()
                .map(|problem| problem.what.as_str())
                .unwrap_or_default();
            return Err(nothing(&format!("the file cannot be carried over: {what}")));
        };
        let lines = take_out(&mut sections, spot);
        let why = format!("a site file refuses what it would become: {}", problem.what);
        for line in lines {
            ledger.lost(line, why.clone(), problem.write_instead.clone());
        }
    }
    Err(nothing(
        "the file cannot be carried over: too much of it has no place in a site file",
    ))
}

/// Lines that are no longer in it.
fn take_out(sections: &mut Vec<Section>, spot: Spot) -> Vec<u32> {
    let Some(section) = sections.get_mut(spot.section) else {
        return Vec::new();
    };
    let whole = section.lines.clone();
    let Some(entry) = spot.entry.and_then(|at| section.entries.get_mut(at)) else {
        sections.remove(spot.section);
        return whole;
    };
    if let (Value::Rows(rows), Some(at)) = (&mut entry.value, spot.row)
        && rows.len() > 1
        && at < rows.len()
    {
        return vec![rows.remove(at).line];
    }
    let (vital, own) = (entry.vital, entry.lines.clone());
    let lines = if own.is_empty() { whole } else { own };
    match spot.entry {
        Some(at) if !vital && section.entries.len() > 1 => {
            section.entries.remove(at);
        }
        _ => {
            sections.remove(spot.section);
        }
    }
    lines
}

/// A name of a header field or a cookie (RFC 9110 section 5.6.2), as long as a site file takes them.
fn is_token(text: &str) -> bool {
    let is = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(is)
}

#[cfg(test)]
mod first_rule;
#[cfg(test)]
mod tests;
