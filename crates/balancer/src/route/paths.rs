//! Pure: the routes of one host, by path.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::facts::Facts;
use super::trie::Trie;
use super::{PathIs, Route};
use crate::hash::Map;

/// Lists are in the order in which they are tried.
#[derive(Debug, Default)]
pub(super) struct Paths {
    exact: Map<Box<[u8]>, Vec<usize>>,
    patterns: Vec<usize>,
    /// Values: index in `lists`.
    prefixes: Option<Trie>,
    lists: Vec<Vec<usize>>,
    any: Vec<usize>,
}

impl Paths {
    /// `list`: indexes of the host's routes, in the order of the file.
    pub(super) fn new(routes: &[Route], list: &[usize]) -> Self {
        let mut paths = Self::default();
        let mut by_prefix: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
        for index in list {
            match routes.get(*index).map(|route| &route.place.path) {
                Some(PathIs::Exact(path)) => {
                    paths.exact.entry(path.clone()).or_default().push(*index);
                }
                Some(PathIs::Pattern) => paths.patterns.push(*index),
                Some(PathIs::Prefix(prefix)) => by_prefix.entry(prefix).or_default().push(*index),
                Some(PathIs::Any) => paths.any.push(*index),
                None => {}
            }
        }
        let order = |list: &mut Vec<usize>| {
            let count = |index: &usize| routes.get(*index).map_or(0, |r| r.conditions.count());
            // Stable: ties stay in the order of the file.
            list.sort_by_key(|index| Reverse(count(index)));
        };
        paths.exact.values_mut().for_each(order);
        order(&mut paths.any);
        let mut prefixes = Vec::new();
        for (prefix, mut list) in by_prefix {
            order(&mut list);
            prefixes.push((segments_of_prefix(prefix), paths.lists.len()));
            paths.lists.push(list);
        }
        paths.prefixes = (!prefixes.is_empty()).then(|| Trie::new(prefixes));
        paths
    }

    pub(super) fn find(&self, routes: &[Route], facts: &Facts<'_>) -> Option<usize> {
        let holds = |index: &&usize| {
            let route = routes.get(**index);
            route.is_some_and(|route| route.conditions.hold(facts))
        };
        let exact = self.exact.get(facts.path.bytes);
        if let Some(route) = exact.into_iter().flatten().find(holds) {
            return Some(*route);
        }
        let matches = |index: &&usize| {
            let route = routes.get(**index);
            let pattern = route.and_then(|route| route.pattern.as_ref());
            pattern.is_some_and(|pattern| pattern.matches(facts.path.bytes))
        };
        let mut patterns = self.patterns.iter();
        if let Some(route) = patterns.find(|index| holds(index) && matches(index)) {
            return Some(*route);
        }
        if let Some(trie) = &self.prefixes {
            let mut found = segments(facts.path.bytes).and_then(|parts| trie.longest(parts));
            while let Some(prefix) = found {
                let list = self.lists.get(prefix.value);
                if let Some(route) = list.into_iter().flatten().find(holds) {
                    return Some(*route);
                }
                found = trie.shorter(prefix);
            }
        }
        self.any.iter().find(holds).copied()
    }
}

/// Of a normal path; none of `*`.
fn segments(path: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    Some(path.strip_prefix(b"/")?.split(|b| *b == b'/'))
}

/// Of a prefix without the slash at its end: `/` has none.
fn segments_of_prefix(prefix: &[u8]) -> impl Iterator<Item = &[u8]> {
    prefix.split(|b| *b == b'/').skip(1)
}
