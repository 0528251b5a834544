//! Pure: the first rule counts with HAProxy, the most specific route with Mainstay. Where that is not
//! the same, a route is added for what both take: it is more specific than either, and does what the
//! first one does. Where there is no such route, it is told.

use super::cells::{Cell, without_shadowed};
use super::conditions::{Both, Conditions};

/// Routes that are added at most: who needs more writes them himself.
const ROUNDS: usize = 200;

/// Two cells of which Mainstay takes the second first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Swapped {
    pub(super) first: u32,
    pub(super) second: u32,
}

pub(super) fn keep(mut cells: Vec<Cell>) -> (Vec<Cell>, Vec<Swapped>) {
    for _ in 0..ROUNDS {
        let Some((at, cell)) = missing(&cells) else {
            break;
        };
        cells.insert(at, cell);
    }
    let cells = without_shadowed(&cells);
    let swapped = swapped(&cells);
    (cells, swapped)
}

/// The first cell that has to be added, and where.
fn missing(cells: &[Cell]) -> Option<(usize, Cell)> {
    pairs(cells).find_map(
        |(at, first, later, second)| match conflict(first, second)? {
            Both::Is(both) if both != first.when && !is_solved(cells, at, later, &both) => {
                let mut cell = first.clone();
                cell.when = both;
                Some((at, cell))
            }
            _ => None,
        },
    )
}

fn swapped(cells: &[Cell]) -> Vec<Swapped> {
    let mut found: Vec<Swapped> = Vec::new();
    for (at, first, later, second) in pairs(cells) {
        let solved = match conflict(first, second) {
            None => true,
            Some(Both::Is(both)) => is_solved(cells, at, later, &both),
            Some(_) => false,
        };
        let pair = Swapped {
            first: first.main,
            second: second.main,
        };
        if !solved && !found.contains(&pair) {
            found.push(pair);
        }
    }
    found
}

fn pairs(cells: &[Cell]) -> impl Iterator<Item = (usize, &Cell, usize, &Cell)> {
    cells.iter().enumerate().flat_map(move |(at, first)| {
        let later = cells.iter().enumerate().skip(at + 1);
        later.map(move |(later, second)| (at, first, later, second))
    })
}

/// What both take is somebody else's before, or has a cell already.
fn is_solved(cells: &[Cell], at: usize, later: usize, both: &Conditions) -> bool {
    let mut before = cells.iter().take(at);
    before.any(|cell| both.is_within(&cell.when))
        || cells
            .iter()
            .take(later)
            .skip(at + 1)
            .any(|cell| cell.when == *both)
}

/// What both take, when Mainstay would give it to the second.
fn conflict(first: &Cell, second: &Cell) -> Option<Both> {
    let same = first.action == second.action && first.rules == second.rules;
    if same || !second.when.may_outrank(&first.when) {
        return None;
    }
    match first.when.and(&second.when) {
        Both::Never => None,
        both => Some(both),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::{Action, Rules};
    use super::super::path::Path;
    use super::*;

    fn cell(host: Option<&str>, path: Path, to: usize) -> Cell {
        Cell {
            when: Conditions {
                hosts: host.map(|host| [host.to_owned()].into()),
                path,
                ..Conditions::default()
            },
            action: Action::To(to),
            rules: Rules::default(),
            main: u32::try_from(to).unwrap(),
            lines: [u32::try_from(to).unwrap()].into(),
        }
    }

    #[test]
    fn a_path_before_a_host_gets_a_route_for_both() {
        let path = || Path::Prefix("/api".to_owned());
        let list = vec![cell(None, path(), 1), cell(Some("a.b"), Path::Any, 2)];
        let (cells, swapped) = keep(list);
        let kept: Vec<_> = cells
            .iter()
            .map(|cell| (&cell.when.path, &cell.action))
            .collect();
        let (api, any) = (path(), Path::Any);
        assert_eq!(
            kept,
            [
                (&api, &Action::To(1)),
                (&api, &Action::To(1)),
                (&any, &Action::To(2))
            ]
        );
        assert_eq!(swapped, []);
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        let list = vec![
            cell(None, Path::Prefix("/api".to_owned()), 1),
            cell(None, Path::Regex("[0-9]".to_owned()), 2),
        ];
        assert_eq!(
            keep(list).1,
            [Swapped {
                first: 1,
                second: 2
            }]
        );
    }
}
