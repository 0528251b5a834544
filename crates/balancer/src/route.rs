//! Pure: which route takes a request.
//!
//! The most specific one whose conditions hold. Of hosts: an exact name, then the longest `*.name`,
//! then routes for any host. Within these, of paths: the exact path, then patterns in the order of the
//! file (as nginx does), then the longest prefix of whole segments, then any path. Within these: the one
//! with more further conditions, then the one that stands first. When further conditions do not hold,
//! the next is looked at; so a host of its own need not repeat what holds for all.
//!
//! The tables are made once per snapshot. A request costs one lookup for its host and one for each
//! segment of its path, however many routes there are; only patterns of one host, and routes with the
//! same host and path, are looked at one by one.

use std::collections::{BTreeMap, BTreeSet};

use site::target::balancer::{PathMatch, RouteTarget};

use crate::hash::Map;
use crate::pattern::{BadPattern, Groups, Pattern};

mod conditions;
mod explain;
pub mod facts;
pub mod path;
mod trie;

pub use conditions::Miss;
pub use explain::{Candidate, Rank};
pub use facts::{Facts, Scratch};

use conditions::Conditions;
use explain::Place;
use trie::Trie;

/// Patterns of all routes together: each is tried one by one (no source; nginx sites have dozens).
const PATTERNS: usize = 1000;

/// All routes, ready to be asked.
#[derive(Debug, Default)]
pub struct Table {
    routes: Vec<Route>,
    /// Values: index in `hosts`.
    exact: Map<Box<[u8]>, usize>,
    wildcards: Option<Trie>,
    any: Option<usize>,
    hosts: Vec<Paths>,
}

#[derive(Debug)]
struct Route {
    name: Box<str>,
    conditions: Conditions,
    pattern: Option<Pattern>,
    place: Place,
}

/// Routes of one host. Lists are in the order in which they are tried.
#[derive(Debug, Default)]
struct Paths {
    exact: Map<Box<[u8]>, Vec<usize>>,
    patterns: Vec<usize>,
    /// Values: index in `lists`.
    prefixes: Option<Trie>,
    lists: Vec<Vec<usize>>,
    any: Vec<usize>,
}

/// The route that takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// Index in the list the table was made from.
    pub route: usize,
}

/// Something wrong with one route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route {route}: {problem}")]
pub struct BadRoute {
    pub route: String,
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the host {0:?} is neither a name in lower case nor `*.` and a name")]
    Host(String),
    #[error("the path {path:?} cannot be matched: {why}")]
    Path { path: String, why: String },
    #[error("{0}")]
    Pattern(#[from] BadPattern),
    #[error("more than {PATTERNS} routes with patterns")]
    TooManyPatterns,
}

impl Table {
    /// Says everything that is wrong.
    pub fn new(targets: &[RouteTarget]) -> Result<Self, Vec<BadRoute>> {
        let (mut routes, mut wrong) = (Vec::new(), Vec::new());
        let mut patterns = 0;
        for target in targets {
            match Route::new(target) {
                Ok(route) => {
                    patterns += usize::from(route.pattern.is_some());
                    routes.push(route);
                }
                Err(problem) => wrong.push(BadRoute {
                    route: target.name.clone(),
                    problem,
                }),
            }
            if patterns == PATTERNS + 1 {
                patterns += 1;
                wrong.push(BadRoute {
                    route: target.name.clone(),
                    problem: Problem::TooManyPatterns,
                });
            }
        }
        if wrong.is_empty() {
            Ok(Self::of(routes))
        } else {
            Err(wrong)
        }
    }

    fn of(routes: Vec<Route>) -> Self {
        // Names without `*.`; whether they are wildcards.
        let mut by_host: BTreeMap<(&str, bool), Vec<usize>> = BTreeMap::new();
        let mut any = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let hosts: BTreeSet<&str> = route.place.hosts.iter().map(|host| &**host).collect();
            for host in &hosts {
                let key = match host.strip_prefix("*.") {
                    Some(name) => (name, true),
                    None => (*host, false),
                };
                by_host.entry(key).or_default().push(index);
            }
            if hosts.is_empty() {
                any.push(index);
            }
        }
        let mut hosts = Vec::new();
        let mut add = |list: &[usize]| {
            hosts.push(Paths::new(&routes, list));
            hosts.len() - 1
        };
        let mut exact = Map::default();
        let mut wildcards = Vec::new();
        for ((name, wildcard), list) in &by_host {
            let at = add(list);
            if *wildcard {
                wildcards.push((name.as_bytes().rsplit(|b| *b == b'.'), at));
            } else {
                exact.insert(name.as_bytes().into(), at);
            }
        }
        let any = (!any.is_empty()).then(|| add(&any));
        let wildcards = (!wildcards.is_empty()).then(|| Trie::new(wildcards));
        Self {
            exact,
            wildcards,
            any,
            hosts,
            routes,
        }
    }

    pub fn find(&self, facts: &Facts<'_>) -> Option<Matched> {
        self.exact
            .get(facts.host)
            .and_then(|at| self.within(*at, facts))
            .or_else(|| self.below_wildcards(facts))
            .or_else(|| self.within(self.any?, facts))
            .map(|route| Matched { route })
    }

    /// Whether any route is for this host, whatever else it asks for.
    pub fn knows_host(&self, host: &[u8]) -> bool {
        let below = || {
            let dot = host.iter().position(|b| *b == b'.')?;
            let below = host.get(dot + 1..)?.rsplit(|b| *b == b'.');
            self.wildcards.as_ref()?.longest(below)
        };
        self.any.is_some() || self.exact.contains_key(host) || below().is_some()
    }

    pub fn name(&self, matched: Matched) -> &str {
        self.routes
            .get(matched.route)
            .map_or("", |route| &route.name)
    }

    /// What the groups of the route's pattern matched. Asked for only when something is made of it.
    pub fn groups(&self, matched: Matched, facts: &Facts<'_>) -> Groups {
        self.routes
            .get(matched.route)
            .and_then(|route| route.pattern.as_ref()?.find(facts.path.bytes))
            .unwrap_or_default()
    }

    fn below_wildcards(&self, facts: &Facts<'_>) -> Option<usize> {
        let trie = self.wildcards.as_ref()?;
        // `*` stands for one label at least.
        let dot = facts.host.iter().position(|b| *b == b'.')?;
        let below = facts.host.get(dot + 1..)?.rsplit(|b| *b == b'.');
        let mut found = trie.longest(below);
        while let Some(host) = found {
            if let Some(route) = self.within(host.value, facts) {
                return Some(route);
            }
            found = trie.shorter(host);
        }
        None
    }

    fn within(&self, host: usize, facts: &Facts<'_>) -> Option<usize> {
        let paths = self.hosts.get(host)?;
        let holds = |index: &&usize| {
            self.routes
                .get(**index)
                .is_some_and(|route| route.conditions.hold(facts))
        };
        let exact = paths.exact.get(facts.path.bytes);
        if let Some(route) = exact.into_iter().flatten().find(holds) {
            return Some(*route);
        }
        let matches = |index: &&usize| {
            let route = self.routes.get(**index);
            let pattern = route.and_then(|route| route.pattern.as_ref());
            pattern.is_some_and(|pattern| pattern.matches(facts.path.bytes))
        };
        let mut patterns = paths.patterns.iter();
        if let Some(route) = patterns.find(|index| holds(index) && matches(index)) {
            return Some(*route);
        }
        if let Some(trie) = &paths.prefixes {
            let mut found = path_segments(facts.path.bytes).and_then(|parts| trie.longest(parts));
            while let Some(prefix) = found {
                let list = paths.lists.get(prefix.value);
                if let Some(route) = list.into_iter().flatten().find(holds) {
                    return Some(*route);
                }
                found = trie.shorter(prefix);
            }
        }
        paths.any.iter().find(holds).copied()
    }
}

/// Segments of a normal path; none of `*`.
fn path_segments(path: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    Some(path.strip_prefix(b"/")?.split(|b| *b == b'/'))
}

impl Paths {
    fn new(routes: &[Route], list: &[usize]) -> Self {
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
            list.sort_by_key(|index| std::cmp::Reverse(count(index)));
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
}

/// Of a prefix without the slash at its end: `/` has none.
fn segments_of_prefix(prefix: &[u8]) -> impl Iterator<Item = &[u8]> {
    prefix.split(|b| *b == b'/').skip(1)
}

/// What a route says of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PathIs {
    Exact(Box<[u8]>),
    Pattern,
    /// Without a slash at its end.
    Prefix(Box<[u8]>),
    Any,
}

impl Route {
    fn new(target: &RouteTarget) -> Result<Self, Problem> {
        let when = &target.when;
        for host in &when.hosts {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let plain = |b: u8| !b.is_ascii_uppercase() && b != b'*' && b > b' ';
            let valid = name.bytes().all(plain) && !name.is_empty();
            // What a request's host is compared to never ends in a dot.
            if !valid || name.starts_with('.') || name.ends_with('.') {
                return Err(Problem::Host(host.clone()));
            }
        }
        let mut pattern = None;
        let path = match &when.path {
            PathMatch::Any => PathIs::Any,
            PathMatch::Exact(path) => PathIs::Exact(written(path)?),
            PathMatch::Prefix(path) => {
                let path = written(path)?;
                PathIs::Prefix(path.strip_suffix(b"/").unwrap_or(&path).into())
            }
            PathMatch::Regex(text) => {
                pattern = Some(Pattern::new(text)?);
                PathIs::Pattern
            }
        };
        Ok(Self {
            name: target.name.as_str().into(),
            conditions: Conditions::new(when)?,
            pattern,
            place: Place {
                hosts: when.hosts.iter().map(|host| host.as_str().into()).collect(),
                path,
            },
        })
    }
}

/// A path of the site file, spelled as those of requests are.
fn written(path: &str) -> Result<Box<[u8]>, Problem> {
    let mut scratch = Vec::new();
    let bad = |why: &str| Problem::Path {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let normal = path::normal(path.as_bytes(), &mut scratch).map_err(|e| bad(&e.to_string()))?;
    if normal.bytes.first() == Some(&b'/') {
        Ok(normal.bytes.into())
    } else {
        Err(bad("it does not begin with a slash"))
    }
}

#[cfg(test)]
pub(crate) mod tests;
