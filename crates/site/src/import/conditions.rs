//! Pure: what a route asks of a request, and what two routes have in common. HAProxy takes the first
//! rule that matches, Mainstay the most specific route (`balancer::route`), so an import has to know
//! of two rules whether one request can match both, and which one Mainstay would take.

use std::collections::{BTreeMap, BTreeSet};

use super::path::{Path, PathBoth};
use crate::target::balancer::Network;

/// All of it must be true; what is `None` or empty says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Conditions {
    /// Lower case: exact, or `*.foobar.com`.
    pub(super) hosts: Option<BTreeSet<String>>,
    pub(super) path: Path,
    pub(super) methods: Option<BTreeSet<String>>,
    pub(super) headers: BTreeMap<String, Value>,
    pub(super) query: BTreeMap<String, Value>,
    pub(super) from: Option<Networks>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Present,
    Exactly(String),
    Matching(String),
}

/// In the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Networks(pub(super) Vec<Network>);

/// What both ask for together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Both {
    Is(Conditions),
    /// No request can match both.
    Never,
    /// There is, or there may be, such a request, and a route cannot say which.
    Unsayable,
}

/// How specific a route is; the greatest is looked at first.
pub(super) type Rank = (usize, (u8, usize), usize);

impl Conditions {
    pub(super) fn and(&self, other: &Self) -> Both {
        let mut both = Self::default();
        let mut unsayable = false;
        both.hosts = match sets(self.hosts.as_ref(), other.hosts.as_ref(), hosts_in_common) {
            Some(hosts) => hosts,
            None => return Both::Never,
        };
        let methods = |a: &BTreeSet<String>, b: &BTreeSet<String>| a & b;
        both.methods = match sets(self.methods.as_ref(), other.methods.as_ref(), methods) {
            Some(methods) => methods,
            None => return Both::Never,
        };
        both.from = match (&self.from, &other.from) {
            (Some(a), Some(b)) => match a.in_common(b) {
                common if common.0.is_empty() => return Both::Never,
                common => Some(common),
            },
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        match self.path.and(&other.path) {
            PathBoth::Is(path) => both.path = path,
            PathBoth::Never => return Both::Never,
            PathBoth::Unsayable => unsayable = true,
        }
        let pairs = [
            (&self.headers, &other.headers, &mut both.headers),
            (&self.query, &other.query, &mut both.query),
        ];
        for (a, b, into) in pairs {
            into.extend(a.clone());
            for (name, value) in b {
                match into.get(name) {
                    None | Some(Value::Present) => {
                        into.insert(name.clone(), value.clone());
                    }
                    Some(known) => unsayable |= known != value && *value != Value::Present,
                }
            }
        }
        match unsayable {
            true => Both::Unsayable,
            false => Both::Is(both),
        }
    }

    /// Whether every request that matches this one matches the other.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let values = |ours: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>| {
            theirs.iter().all(|(name, value)| {
                let own = ours.get(name);
                own == Some(value) || own.is_some() && *value == Value::Present
            })
        };
        within(self.hosts.as_ref(), other.hosts.as_ref(), |a, b| {
            a.iter()
                .all(|host| b.iter().any(|wide| host_within(host, wide)))
        }) && within(
            self.methods.as_ref(),
            other.methods.as_ref(),
            BTreeSet::is_subset,
        ) && within(self.from.as_ref(), other.from.as_ref(), |a, b| {
            a.0.iter()
                .all(|small| b.0.iter().any(|wide| net_within(small, wide)))
        }) && self.path.is_within(&other.path)
            && values(&self.headers, &other.headers)
            && values(&self.query, &other.query)
    }

    /// Whether Mainstay may look at `self` before `other` for a request that both match.
    pub(super) fn may_outrank(&self, other: &Self) -> bool {
        let own = self.path_and_further();
        let others = other.path_and_further();
        let rank =
            |host: Option<&str>, (path, further)| -> Rank { (host_rank(host), path, further) };
        let above = |a: Option<&str>, b: Option<&str>| {
            let meet = match (a, b) {
                (Some(a), Some(b)) => host_within(a, b) || host_within(b, a),
                _ => true,
            };
            meet && rank(a, own) > rank(b, others)
        };
        match (&self.hosts, &other.hosts) {
            (None, None) => above(None, None),
            (Some(ours), None) => ours.iter().any(|a| above(Some(a), None)),
            (None, Some(theirs)) => theirs.iter().any(|b| above(None, Some(b))),
            (Some(ours), Some(theirs)) => ours
                .iter()
                .any(|a| theirs.iter().any(|b| above(Some(a), Some(b)))),
        }
    }

    fn path_and_further(&self) -> ((u8, usize), usize) {
        let further = usize::from(self.methods.is_some())
            + self.headers.len()
            + self.query.len()
            + usize::from(self.from.is_some());
        match &self.path {
            Path::Any => ((0, 0), further),
            Path::Prefix(prefix) => ((1, prefix.len()), further),
            // Their order is the file's.
            Path::Regex(_) | Path::Ends(_) => ((2, 0), 0),
            Path::Exact(_) => ((3, 0), further),
        }
    }
}

/// Any, then the longest `*.name`, then names.
fn host_rank(host: Option<&str>) -> usize {
    match host.map(|host| (host, host.strip_prefix("*."))) {
        None => 0,
        Some((_, Some(name))) => name.len(),
        Some((_, None)) => usize::MAX,
    }
}

type Set = BTreeSet<String>;

/// `None`: nothing in common.
#[expect(
    clippy::option_option,
    reason = "no set means any value, which is not the same as none"
)]
fn sets(a: Option<&Set>, b: Option<&Set>, common: fn(&Set, &Set) -> Set) -> Option<Option<Set>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(common(a, b)).filter(|set| !set.is_empty()).map(Some),
        (a, b) => Some(a.or(b).cloned()),
    }
}

fn within<T>(a: Option<&T>, b: Option<&T>, is: impl Fn(&T, &T) -> bool) -> bool {
    match (a, b) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(a), Some(b)) => is(a, b),
    }
}

fn host_within(host: &str, wide: &str) -> bool {
    host == wide
        || wide.strip_prefix('*').is_some_and(|end| {
            let name = host.strip_prefix('*').unwrap_or(host);
            name.len() > end.len() && name.ends_with(end) || host.starts_with("*.") && name == end
        })
}

fn hosts_in_common(a: &Set, b: &Set) -> Set {
    let of = |a: &Set, b: &Set| -> Set {
        let narrow = a
            .iter()
            .filter(|host| b.iter().any(|wide| host_within(host, wide)));
        narrow.cloned().collect()
    };
    &of(a, b) | &of(b, a)
}

fn net_within(small: &Network, wide: &Network) -> bool {
    small.address.is_ipv4() == wide.address.is_ipv4()
        && small.bits >= wide.bits
        && wide.contains(small.address)
}

impl Networks {
    fn in_common(&self, other: &Self) -> Self {
        let narrow = self
            .0
            .iter()
            .filter(|net| other.0.iter().any(|wide| net_within(net, wide)));
        let mut common: Vec<Network> = narrow.copied().collect();
        for net in &other.0 {
            if self.0.iter().any(|wide| net_within(net, wide)) && !common.contains(net) {
                common.push(*net);
            }
        }
        Self(common)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for net in &other.0 {
            if !self.0.contains(net) {
                self.0.push(*net);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::path::Ends;
    use super::*;

    fn host(host: &str) -> Conditions {
        Conditions {
            hosts: Some([host.to_owned()].into()),
            ..Conditions::default()
        }
    }

    fn path(path: Path) -> Conditions {
        Conditions {
            path,
            ..Conditions::default()
        }
    }

    #[test]
    fn what_two_have_in_common_is_the_narrower() {
        assert_eq!(
            host("a.foobar.com").and(&host("*.foobar.com")),
            Both::Is(host("a.foobar.com"))
        );
        assert_eq!(host("foobar.com").and(&host("*.foobar.com")), Both::Never);
        let (api, v1) = (path(Path::prefix("/api")), path(Path::prefix("/api/v1/")));
        assert_eq!(api.and(&v1), Both::Is(v1.clone()));
        assert_eq!(api.and(&path(Path::prefix("/apix"))), Both::Never);
        let regex = path(Path::Regex("^/api/[0-9]+$".to_owned()));
        assert_eq!(api.and(&regex), Both::Is(regex.clone()));
        assert_eq!(v1.and(&regex), Both::Unsayable);
        assert_eq!(path(Path::Exact("/x".to_owned())).and(&regex), Both::Never);
        let ends = |below: &str, endings: &[&str]| {
            path(Path::Ends(Ends {
                below: below.to_owned(),
                endings: endings.iter().map(|ending| (*ending).to_owned()).collect(),
            }))
        };
        let scripts = ends("", &[".js", ".php"]);
        assert_eq!(api.and(&scripts), Both::Is(ends("/api", &[".js", ".php"])));
        assert_eq!(
            scripts.and(&ends("/x", &[".php"])),
            Both::Is(ends("/x", &[".php"]))
        );
        assert_eq!(
            path(Path::Exact("/a.css".to_owned())).and(&scripts),
            Both::Never
        );
    }

    #[test]
    fn the_more_specific_outranks() {
        assert!(host("a.b").may_outrank(&path(Path::prefix("/api"))));
        assert!(!path(Path::prefix("/api")).may_outrank(&host("a.b")));
        assert!(!host("a.b").may_outrank(&host("c.d")));
        assert!(
            path(Path::Exact("/a".to_owned())).may_outrank(&path(Path::Regex("^/".to_owned())))
        );
    }
}
