//! Pure: why a request goes where it goes: every route, in the order in which they are looked at, with
//! the reason why it does not take the request. Written without the tables of `find`, one route after
//! the other: slow, and a check on them.

use super::conditions::Miss;
use super::facts::Facts;
use super::{PathIs, Route, Table};

/// Where a route stands.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) hosts: Box<[Box<str>]>,
    pub(super) path: PathIs,
}

/// How specific the match of a route is; the greatest is looked at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    pub host: HostRank,
    pub path: PathRank,
    /// Further conditions; 0 for patterns, whose order is the file's.
    pub conditions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostRank {
    Any,
    /// Length of the name behind `*.`.
    Below(usize),
    Exact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathRank {
    Any,
    /// Its length.
    Prefix(usize),
    Pattern,
    Exact,
}

/// One route, with what it makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Index in the list the table was made from.
    pub route: usize,
    pub name: String,
    /// None: host or path are not its own.
    pub rank: Option<Rank>,
    /// None: it takes the request.
    pub miss: Option<Miss>,
}

impl Table {
    /// All routes: those whose host and path match first, the most specific first of all.
    pub fn explain(&self, facts: &Facts<'_>) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for (index, route) in self.routes.iter().enumerate() {
            let (rank, miss) = match (route.host_rank(facts.host), route.path_rank(facts)) {
                (None, _) => (None, Some(Miss::Host)),
                (_, None) => (None, Some(Miss::Path)),
                (Some(host), Some(path)) => {
                    let conditions = match path {
                        PathRank::Pattern => 0,
                        _ => route.conditions.count(),
                    };
                    let rank = Rank {
                        host,
                        path,
                        conditions,
                    };
                    (Some(rank), route.conditions.miss(facts))
                }
            };
            candidates.push(Candidate {
                route: index,
                name: route.name.to_string(),
                rank,
                miss,
            });
        }
        // Stable: ties stay in the order of the file.
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.rank));
        let mut first: Option<String> = None;
        for candidate in candidates
            .iter_mut()
            .filter(|candidate| candidate.miss.is_none())
        {
            match &first {
                None => first = Some(candidate.name.clone()),
                Some(route) => {
                    candidate.miss = Some(Miss::After {
                        route: route.clone(),
                    });
                }
            }
        }
        candidates
    }
}

impl Route {
    fn host_rank(&self, host: &[u8]) -> Option<HostRank> {
        if self.place.hosts.is_empty() {
            return Some(HostRank::Any);
        }
        let rank = |wanted: &str| match wanted.strip_prefix("*.") {
            Some(name) => {
                let above = host.strip_suffix(name.as_bytes())?.strip_suffix(b".");
                above.map(|_| HostRank::Below(name.len()))
            }
            None => (wanted.as_bytes() == host).then_some(HostRank::Exact),
        };
        self.place
            .hosts
            .iter()
            .filter_map(|wanted| rank(wanted))
            .max()
    }

    fn path_rank(&self, facts: &Facts<'_>) -> Option<PathRank> {
        let path = facts.path.bytes;
        match &self.place.path {
            PathIs::Any => Some(PathRank::Any),
            PathIs::Exact(exact) => (**exact == *path).then_some(PathRank::Exact),
            PathIs::Pattern => {
                let pattern = self.pattern.as_ref()?;
                pattern.matches(path).then_some(PathRank::Pattern)
            }
            PathIs::Prefix(prefix) => {
                let rest = path.strip_prefix(&**prefix)?;
                let whole = rest.is_empty() && !prefix.is_empty() || rest.starts_with(b"/");
                whole.then_some(PathRank::Prefix(prefix.len()))
            }
        }
    }
}
