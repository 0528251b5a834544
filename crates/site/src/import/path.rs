//! Pure: what a route says of the path, and what two of them have in common. Of regular expressions
//! nothing is known but how they begin; paths that end in something are common, so they are a kind of
//! their own.

use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Path {
    #[default]
    Any,
    Exact(String),
    /// Without a slash at its end, never empty.
    Prefix(String),
    Ends(Ends),
    Regex(String),
}

/// Paths below a prefix, or all, that end in one of some ways: an expression of which it is known what
/// it has in common with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends {
    /// Empty, or as `Path::Prefix`.
    pub(super) below: String,
    pub(super) endings: BTreeSet<String>,
}

/// What two have in common.
pub(super) enum PathBoth {
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

    pub(super) fn and(&self, other: &Self) -> PathBoth {
        match (self, other) {
            (a, b) if a.is_within(b) => PathBoth::Is(a.clone()),
            (a, b) if b.is_within(a) => PathBoth::Is(b.clone()),
            (Self::Ends(ends), Self::Prefix(prefix)) | (Self::Prefix(prefix), Self::Ends(ends)) => {
                ends.below(prefix)
            }
            (Self::Ends(a), Self::Ends(b)) => a.and(b),
            (Self::Regex(regex), Self::Prefix(text)) | (Self::Prefix(text), Self::Regex(regex)) => {
                match head(regex) {
                    Some(head) if !meet(&head, text) => PathBoth::Never,
                    _ => PathBoth::Unsayable,
                }
            }
            (Self::Regex(regex), Self::Exact(text)) | (Self::Exact(text), Self::Regex(regex)) => {
                match head(regex) {
                    Some(head) if !text.starts_with(&head) => PathBoth::Never,
                    _ => PathBoth::Unsayable,
                }
            }
            (Self::Regex(_), _) | (_, Self::Regex(_)) => PathBoth::Unsayable,
            _ => PathBoth::Never,
        }
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Any) => true,
            (Self::Exact(path) | Self::Prefix(path), Self::Prefix(prefix)) => below(path, prefix),
            (Self::Ends(ends), Self::Prefix(prefix)) => {
                !ends.below.is_empty() && below(&ends.below, prefix)
            }
            (Self::Exact(path), Self::Ends(ends)) => ends.has(path),
            (Self::Ends(a), Self::Ends(b)) => {
                below(&a.below, &b.below)
                    && a.endings
                        .iter()
                        .all(|long| b.endings.iter().any(|short| long.ends_with(short.as_str())))
            }
            (Self::Regex(regex), Self::Prefix(prefix)) => head(regex).is_some_and(|head| {
                let rest = head.strip_prefix(prefix.as_str());
                rest.is_some_and(|rest| rest.starts_with('/'))
            }),
            (a, b) => a == b,
        }
    }
}

impl Ends {
    fn has(&self, path: &str) -> bool {
        below(path, &self.below)
            && self
                .endings
                .iter()
                .any(|ending| path.ends_with(ending.as_str()))
    }

    fn below(&self, prefix: &str) -> PathBoth {
        let narrow = match (below(prefix, &self.below), below(&self.below, prefix)) {
            (true, _) => prefix,
            (_, true) => self.below.as_str(),
            _ => return PathBoth::Never,
        };
        // The prefix alone would be a path of both.
        if self
            .endings
            .iter()
            .any(|ending| narrow.ends_with(ending.as_str()))
        {
            return PathBoth::Unsayable;
        }
        PathBoth::Is(Path::Ends(Self {
            below: narrow.to_owned(),
            endings: self.endings.clone(),
        }))
    }

    fn and(&self, other: &Self) -> PathBoth {
        let of = |a: &Self, b: &Self| -> BTreeSet<String> {
            let long = a
                .endings
                .iter()
                .filter(|long| b.endings.iter().any(|short| long.ends_with(short.as_str())));
            long.cloned().collect()
        };
        let endings = &of(self, other) | &of(other, self);
        if endings.is_empty() {
            return PathBoth::Never;
        }
        let narrow = Self {
            below: self.below.clone(),
            endings,
        };
        match other.below.as_str() {
            "" => PathBoth::Is(Path::Ends(narrow)),
            prefix if self.below.is_empty() => Self {
                below: String::new(),
                ..narrow
            }
            .below(prefix),
            prefix => narrow.below(prefix),
        }
    }

    /// `{1}` is what comes behind the prefix.
    pub(super) fn regex(&self) -> String {
        let endings: Vec<String> = self
            .endings
            .iter()
            .map(|ending| regex_syntax::escape(ending))
            .collect();
        let endings = match endings.as_slice() {
            [one] => one.clone(),
            all => format!("(?:{})", all.join("|")),
        };
        match self.below.as_str() {
            "" => format!("{endings}$"),
            below => format!("^{}(/.*{endings})$", regex_syntax::escape(below)),
        }
    }
}

/// In whole segments.
fn below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || prefix.is_empty() || rest.starts_with('/'))
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
