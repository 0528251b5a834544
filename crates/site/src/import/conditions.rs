//! Pure: what a route asks of a request, and what two routes have in common. HAProxy takes the first
//! rule that matches, Mainstay the most specific route (`balancer::route`), so an import has to know
//! of two rules whether one request can match both, and which one Mainstay would take.

use std::collections::{BTreeMap, BTreeSet};

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

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Path {
    #[default]
    Any,
    Exact(String),
    /// Without a slash at its end, never empty.
    Prefix(String),
    Regex(String),
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
            Path::Regex(_) => ((2, 0), 0),
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

enum PathBoth {
    Is(Path),
    Never,
    Unsayable,
}

impl Path {
    /// What is meant by a beginning of whole segments.
    pub(super) fn prefix(text: &str) -> Self {
        match text.trim_end_matches('/') {
            "" => Self::Any,
            text => Self::Prefix(text.to_owned()),
        }
    }

    fn and(&self, other: &Self) -> PathBoth {
        match (self, other) {
            (a, b) if a == b => PathBoth::Is(a.clone()),
            (a, b) if a.is_within(b) => PathBoth::Is(a.clone()),
            (a, b) if b.is_within(a) => PathBoth::Is(b.clone()),
            (Self::Exact(_) | Self::Prefix(_), Self::Exact(_) | Self::Prefix(_)) => PathBoth::Never,
            (Self::Regex(regex), Self::Prefix(text)) | (Self::Prefix(text), Self::Regex(regex)) => {
                match head(regex) {
                    Some(head) if !meet(&head, text) => PathBoth::Never,
                    Some(_) => PathBoth::Unsayable,
                    None if is_ending(regex) => PathBoth::Is(Self::Regex(format!(
                        "^{}/.*{regex}",
                        regex_syntax::escape(text)
                    ))),
                    None => PathBoth::Unsayable,
                }
            }
            (Self::Regex(regex), Self::Exact(text)) | (Self::Exact(text), Self::Regex(regex)) => {
                match head(regex) {
                    Some(head) if !text.starts_with(&head) => PathBoth::Never,
                    _ => PathBoth::Unsayable,
                }
            }
            _ => PathBoth::Unsayable,
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Any) => true,
            (Self::Exact(path) | Self::Prefix(path), Self::Prefix(prefix)) => {
                let rest = path.strip_prefix(prefix.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            (Self::Regex(regex), Self::Prefix(prefix)) => head(regex).is_some_and(|head| {
                let rest = head.strip_prefix(prefix.as_str());
                rest.is_some_and(|rest| rest.starts_with('/'))
            }),
            (a, b) => a == b,
        }
    }
}

/// Whether a path that begins with the head can be one of the prefix.
fn meet(head: &str, prefix: &str) -> bool {
    head.starts_with(prefix) || prefix.starts_with(head)
}

/// The letters a regular expression wants at the beginning.
fn head(regex: &str) -> Option<String> {
    let rest = regex.strip_prefix('^')?;
    // Alternatives have no beginning in common that is worth looking for.
    if rest.contains('|') {
        return None;
    }
    let mut head = String::new();
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        let literal = match c {
            '\\' => match chars.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => escaped,
                _ => break,
            },
            c if ".*+?()[]{}^$".contains(c) => break,
            c => c,
        };
        if matches!(chars.peek(), Some('*' | '?' | '{')) {
            break;
        }
        head.push(literal);
    }
    Some(head)
}

/// Only says how a path ends.
fn is_ending(regex: &str) -> bool {
    let whole = !regex.contains('|') || regex.starts_with('(') && regex.ends_with(")$");
    regex.ends_with('$') && !regex.starts_with('^') && !regex.starts_with("(?") && whole
}

#[cfg(test)]
mod tests {
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
        let ending = path(Path::Regex(r"\.php$".to_owned()));
        assert_eq!(
            api.and(&ending),
            Both::Is(path(Path::Regex(r"^/api/.*\.php$".to_owned())))
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
