//! Pure: `set-path` and `replace-path` → what a route replaces.
//!
//! Source: HAProxy configuration manual, section 4.3, `set-path`, `replace-path`, and section 7.3.1,
//! `regsub`.

use super::cells::Rewrite;
use super::conditions::Conditions;
use super::fetch::usable;
use super::format::{self, Place};
use super::ledger::Unfit;
use super::path::Path;
use super::rules::What;

/// Also `%[path,regsub(^/api/,/)]`, the usual way to take a prefix away.
pub(super) fn set_path(format: &str) -> Result<What, Unfit> {
    let substituted = format
        .strip_prefix("%[path,regsub(")
        .and_then(|rest| rest.strip_suffix(")]"));
    if let Some((from, to)) = substituted.and_then(|inside| inside.split_once(',')) {
        let plain = |text: &str| text.trim_matches(['"', '\'']).to_owned();
        if let Some(prefix) = plain(from).strip_prefix('^').and_then(literal) {
            return prefixes(&prefix, &plain(to));
        }
        return Err(Unfit::new(
            "`regsub` takes away a prefix here, and nothing else",
            "path-regex and replace-path",
        ));
    }
    let path = format::text(format, Place::Path)?;
    is_path(&path)?;
    Ok(What::SetPath(path))
}

pub(super) fn replace_path(regex: &str, format: &str) -> Result<What, Unfit> {
    let inner = regex.strip_prefix('^').unwrap_or(regex);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    let prefix = inner
        .strip_suffix("(.*)")
        .or_else(|| inner.strip_suffix("(.+)"))
        .and_then(literal);
    if let (Some(prefix), Some(to)) = (prefix, format.strip_suffix("\\1"))
        && !to.contains(['\\', '%'])
    {
        return match prefix.as_str() {
            "" => {
                let path = format!("{}{{path}}", to.trim_end_matches('/'));
                is_path(&path)?;
                Ok(What::SetPath(path))
            }
            prefix => prefixes(prefix, to),
        };
    }
    usable(regex)?;
    let mut path = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(digit @ '1'..='9') => path.push_str(&format!("{{{digit}}}")),
                _ => {
                    return Err(Unfit::new(
                        "of a match, only \\1 to \\9 can be filled in",
                        "replace-path = \"/{1}\"",
                    ));
                }
            },
            '{' | '}' | '%' => {
                return Err(Unfit::new(
                    format!("`{c}` cannot stand in a path here"),
                    "replace-path = \"/{1}\"",
                ));
            }
            c => path.push(c),
        }
    }
    is_path(&path)?;
    Ok(What::Replace(regex.to_owned(), path))
}

fn prefixes(from: &str, to: &str) -> Result<What, Unfit> {
    let (from, to) = (from.trim_end_matches('/'), to.trim_end_matches('/'));
    let valid = |path: &str| {
        path.is_empty()
            || path.starts_with('/')
                && path
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"#{}%".contains(&b))
    };
    match !from.is_empty() && valid(from) && valid(to) {
        true => Ok(What::Prefix(from.to_owned(), to.to_owned())),
        false => Err(Unfit::new(
            "what is replaced is no beginning of a path",
            "path-prefix and replace-prefix",
        )),
    }
}

fn is_path(path: &str) -> Result<(), Unfit> {
    let fits = (path.starts_with('/') || path.starts_with('{'))
        && path.chars().all(|c| c.is_ascii_graphic());
    match fits {
        true => Ok(()),
        false => Err(Unfit::new(
            format!("`{path}` is no path"),
            "replace-path = \"/users/{1}\"",
        )),
    }
}

/// The text that a regular expression matches, when it matches one text only.
fn literal(regex: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = regex.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(char::is_ascii_punctuation)?),
            c if ".*+?()[]{}|^$".contains(c) => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

/// Key and value for a route; none: its path does not let it.
pub(super) fn said(rewrite: &Rewrite, when: &Conditions) -> Option<(&'static str, String)> {
    let (from, to) = match rewrite {
        Rewrite::Path(path) => return Some(("replace-path", path.clone())),
        Rewrite::Prefix { from, to } => (from.as_str(), to),
    };
    let with = |path: &str| {
        let whole = format!("{to}{}", path.strip_prefix(from).unwrap_or_default());
        if whole.is_empty() {
            "/".to_owned()
        } else {
            whole
        }
    };
    match &when.path {
        Path::Prefix(prefix) => Some(("replace-prefix", with(prefix))),
        Path::Exact(path) => Some(("replace-path", with(path))),
        // The first group is what comes behind the prefix.
        Path::Ends(ends) if !ends.below.is_empty() => {
            let rest = ends.below.strip_prefix(from).unwrap_or_default();
            Some(("replace-path", format!("{to}{rest}{{1}}")))
        }
        Path::Regex(_) | Path::Ends(_) | Path::Any => None,
    }
}
