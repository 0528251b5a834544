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
mod paths;
mod trie;

pub use conditions::Miss;
pub use explain::{Candidate, HostRank, PathRank, Rank};
pub use facts::{Facts, Scratch};

use conditions::Conditions;
use explain::Place;
use paths::Paths;
use trie::{Found, Trie};

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

    pub fn name(&self, matched: Matched) -> &str {
        self.routes
            .get(matched.route)
            .map_or("", |route| &route.name)
    }

    /// Whether there is any route for the request's host, whatever its path: if not, this site is not
    /// the one that was asked for.
    pub fn knows_host(&self, facts: &Facts<'_>) -> bool {
        self.any.is_some()
            || self.exact.contains_key(facts.host)
            || self.wildcard(facts.host).is_some()
    }

    /// Groups of the pattern of the route with this index: what `{1}` and so on may stand for.
    pub fn groups_of(&self, route: usize) -> usize {
        let pattern = self
            .routes
            .get(route)
            .and_then(|route| route.pattern.as_ref());
        pattern.map_or(0, Pattern::groups)
    }

    /// What the groups of the route's pattern matched. Asked for only when something is made of it.
    pub fn groups(&self, matched: Matched, facts: &Facts<'_>) -> Groups {
        self.routes
            .get(matched.route)
            .and_then(|route| route.pattern.as_ref()?.find(facts.path.bytes))
            .unwrap_or_default()
    }

    fn below_wildcards(&self, facts: &Facts<'_>) -> Option<usize> {
        let mut found = self.wildcard(facts.host);
        while let Some(host) = found {
            if let Some(route) = self.within(host.value, facts) {
                return Some(route);
            }
            found = self.wildcards.as_ref()?.shorter(host);
        }
        None
    }

    /// The longest that a host is below.
    fn wildcard(&self, host: &[u8]) -> Option<Found> {
        let trie = self.wildcards.as_ref()?;
        // `*` stands for one label at least.
        let dot = host.iter().position(|b| *b == b'.')?;
        trie.longest(host.get(dot + 1..)?.rsplit(|b| *b == b'.'))
    }

    fn within(&self, host: usize, facts: &Facts<'_>) -> Option<usize> {
        self.hosts.get(host)?.find(&self.routes, facts)
    }
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
