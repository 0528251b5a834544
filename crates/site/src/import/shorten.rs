//! Pure: fewer routes that do the same. Folding rules into routes says some things twice; a person who
//! reads the site file should not have to.

use super::cells::Cell;
use super::conditions::Both;

/// Above so many, comparing all with all takes too long to be worth it.
const MOST: usize = 400;

pub(super) fn shorten(mut cells: Vec<Cell>) -> Vec<Cell> {
    if cells.len() > MOST {
        return cells;
    }
    let mut at = 0;
    while at < cells.len() {
        if is_said_elsewhere(&cells, at) {
            cells.remove(at);
        } else {
            at += 1;
        }
    }
    let mut at = 0;
    while at < cells.len() {
        while let Some((other, hosts)) = same_for_other_hosts(&cells, at) {
            let gone = cells.remove(other);
            if let Some(cell) = cells.get_mut(at) {
                cell.when.hosts = Some(hosts);
                cell.lines.extend(gone.lines);
            }
        }
        at += 1;
    }
    cells
}

/// Whether another cell takes the same requests, to the same effect, and nothing comes between.
fn is_said_elsewhere(cells: &[Cell], at: usize) -> bool {
    let Some(cell) = cells.get(at) else {
        return false;
    };
    cells.iter().enumerate().any(|(wide_at, wide)| {
        let covers = wide_at != at && same_effect(cell, wide) && cell.when.is_within(&wide.when);
        // Of two that are equal, the first stays.
        let twin = wide_at > at && wide.when.is_within(&cell.when);
        covers
            && !twin
            && cells.iter().enumerate().all(|(other_at, other)| {
                other_at == at
                    || same_effect(cell, other)
                    || cell.when.and(&other.when) == Both::Never
                    || wide_at < other_at && !other.when.may_outrank(&wide.when)
            })
    })
}

/// A later cell that differs in its hosts only, and may as well stand here.
fn same_for_other_hosts(
    cells: &[Cell],
    at: usize,
) -> Option<(usize, std::collections::BTreeSet<String>)> {
    let cell = cells.get(at)?;
    let hosts = cell.when.hosts.as_ref()?;
    let later = cells.iter().enumerate().skip(at + 1);
    later
        .filter(|(_, other)| same_effect(cell, other))
        .find_map(|(other_at, other)| {
            let others = other.when.hosts.as_ref()?;
            let mut when = other.when.clone();
            when.hosts = Some(hosts.clone());
            let between = || cells.get(at + 1..other_at).unwrap_or_default();
            let free = || {
                between().iter().all(|between| {
                    same_effect(between, other) || between.when.and(&other.when) == Both::Never
                })
            };
            (when == cell.when && free()).then(|| (other_at, hosts | others))
        })
}

fn same_effect(a: &Cell, b: &Cell) -> bool {
    a.action == b.action && a.rules == b.rules
}
