//! Pure: `http-request`, `http-response`, `redirect`, `block`, `monitor-uri` → what each does, and when.
//!
//! Source: HAProxy configuration manual, sections 4.2 (`redirect`, `monitor-uri`) and 4.3 ("Actions
//! keywords matrix" and behind it).

use super::acl::{Acls, Case, Read};
use super::cells::{Action, Edit, Rewrite};
use super::conditions::{Conditions, Path};
use super::config::Proxy;
use super::fetch::usable;
use super::format::{self, Place};
use super::ledger::{Ledger, Unfit};
use super::limits;

/// One rule, in the order in which HAProxy goes through them.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) line: u32,
    pub(super) what: What,
    pub(super) read: Read,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Stop(Action),
    /// With this status.
    Refuse(u16),
    /// To the same URL over HTTPS.
    ToHttps,
    Request(Edit),
    Response(Edit),
    /// Also answers of HAProxy itself.
    AfterResponse(Edit),
    SetPath(String),
    /// What begins with the first begins with the second.
    Prefix(String, String),
    /// Paths that match the first become the second.
    Replace(String, String),
    Host(String),
    /// Milliseconds.
    ResponseHead(u64),
    /// No further rule of this kind.
    GoOn,
    Track {
        counter: u8,
        key: String,
        table: String,
    },
}

/// Why a rule needs no line.
enum Parsed {
    What(What),
    Needless(&'static str),
}

/// All that can be said in a site file; the rest is told.
pub(super) fn rules(proxy: &Proxy, acls: &Acls, ledger: &mut Ledger) -> Vec<Rule> {
    const GROUPS: [&[&str]; 7] = [
        &["monitor-uri"],
        &["tcp-request"],
        &["block"],
        &["http-request"],
        &["redirect"],
        &["http-response"],
        &["http-after-response"],
    ];
    let mut rules = Vec::new();
    for group in GROUPS {
        for line in proxy.all(group) {
            let at = line
                .words
                .iter()
                .position(|word| word == "if" || word == "unless");
            if line.variable {
                ledger.lost(
                    line.number,
                    "it takes a value from the environment",
                    "the value itself",
                );
                continue;
            }
            let end = at.unwrap_or(line.words.len());
            let words: Vec<&str> = line.words.iter().take(end).map(String::as_str).collect();
            match parse(&words) {
                Ok(Parsed::Needless(why)) => ledger.needless(line.number, why),
                Ok(Parsed::What(what)) => match acls.condition(line, at) {
                    Ok(mut read) => {
                        if let ["monitor-uri", path, ..] = words.as_slice() {
                            read.cases = vec![at_path(path)];
                        }
                        rules.push(Rule {
                            line: line.number,
                            what,
                            read,
                        });
                    }
                    Err(unfit) => ledger.unfit(line.number, unfit),
                },
                Err(unfit) => ledger.unfit(line.number, unfit),
            }
        }
    }
    rules
}

fn parse(words: &[&str]) -> Result<Parsed, Unfit> {
    let what = match words {
        ["monitor-uri", path, ..] => return monitor(path),
        ["tcp-request", "inspect-delay", ..] => {
            return Ok(Parsed::Needless(
                "how long a client may take to begin is bounded: 5s for a TLS greeting, `request-head` for HTTP",
            ));
        }
        [
            "tcp-request",
            "content" | "connection" | "session",
            "accept",
            ..,
        ] => {
            return Ok(Parsed::Needless(
                "a connection is taken as soon as it can be",
            ));
        }
        [
            "tcp-request",
            "content" | "connection" | "session",
            "reject" | "silent-drop",
            ..,
        ] => What::Refuse(403),
        ["tcp-request", _, action, rest @ ..] if action.starts_with("track-sc") => {
            track(action, rest)?
        }
        ["block", ..] => What::Refuse(403),
        ["redirect", rest @ ..] | ["http-request", "redirect", rest @ ..] => redirect(rest)?,
        [
            "http-request",
            "deny" | "reject" | "tarpit" | "silent-drop",
            rest @ ..,
        ] => refuse(rest)?,
        ["http-request", "allow", ..] => What::GoOn,
        ["http-request", "return", rest @ ..] => respond(rest)?,
        ["http-request", "set-path", format] => set_path(format)?,
        ["http-request", "replace-path", regex, format] => replace_path(regex, format)?,
        ["http-request", "set-timeout", "server", time] => {
            What::ResponseHead(limits::milliseconds(time)?)
        }
        ["http-request", action, rest @ ..] if action.starts_with("track-sc") => {
            track(action, rest)?
        }
        ["http-request", "set-header", name, value] if name.eq_ignore_ascii_case("host") => {
            host(value)?
        }
        [
            "http-request",
            "set-header" | "add-header" | "del-header",
            name,
            ..,
        ] if is_ours(name) => {
            return Ok(Parsed::Needless(
                "X-Forwarded-For, -Proto, -Host and X-Request-Id are always sent to endpoints, as they are",
            ));
        }
        ["http-request", rest @ ..] => What::Request(edit(rest)?),
        ["http-response", rest @ ..] => What::Response(edit(rest)?),
        ["http-after-response", rest @ ..] => What::AfterResponse(edit(rest)?),
        _ => return Err(unknown()),
    };
    Ok(Parsed::What(what))
}

fn unknown() -> Unfit {
    Unfit::new(
        "a route has no such rule",
        "what routes have: request-headers, response-headers, replace-path, redirect, respond, allow, deny, rate-limit",
    )
}

/// Fields that Mainstay writes itself.
fn is_ours(name: &str) -> bool {
    const OURS: [&str; 5] = [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-request-id",
        "connection",
    ];
    OURS.contains(&name.to_ascii_lowercase().as_str())
}

fn monitor(path: &str) -> Result<Parsed, Unfit> {
    if !path.starts_with('/') {
        return Err(Unfit::new(
            "the path is none",
            "a route with `path` and `respond`",
        ));
    }
    let body = "OK\n".to_owned();
    Ok(Parsed::What(What::Stop(Action::Respond {
        status: 200,
        body,
    })))
}

fn at_path(path: &str) -> Case {
    Case {
        is: Conditions {
            path: Path::Exact(path.to_owned()),
            ..Conditions::default()
        },
        ..Case::default()
    }
}

fn refuse(rest: &[&str]) -> Result<What, Unfit> {
    match rest {
        [] => Ok(What::Refuse(403)),
        ["deny_status" | "status", status, ..] => match status.parse() {
            Ok(status @ 200..=599) => Ok(What::Refuse(status)),
            _ => Err(Unfit::new(
                format!("`{status}` is no status"),
                "status = 403",
            )),
        },
        [other, ..] => Err(Unfit::new(
            format!("a refusal has no `{other}`"),
            "a route with `respond` and `status`",
        )),
    }
}

fn respond(rest: &[&str]) -> Result<What, Unfit> {
    let (mut status, mut body) = (200, String::new());
    let mut words = rest.iter().copied();
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match word {
            "status" => {
                status = value
                    .parse()
                    .ok()
                    .filter(|s| (200..=599).contains(s))
                    .ok_or_else(unknown)?
            }
            "content-type" => {}
            "string" => value.clone_into(&mut body),
            "lf-string" if !value.contains('%') => value.clone_into(&mut body),
            other => {
                return Err(Unfit::new(
                    format!("`respond` has no `{other}`"),
                    "respond = \"…\", or an endpoint that answers",
                ));
            }
        }
    }
    Ok(What::Stop(Action::Respond { status, body }))
}

fn redirect(rest: &[&str]) -> Result<What, Unfit> {
    let [kind, value, options @ ..] = rest else {
        return Err(unknown());
    };
    let (mut status, mut query) = (302, true);
    let mut options = options.iter().copied();
    while let Some(option) = options.next() {
        match option {
            "code" => {
                let code = options.next().unwrap_or_default();
                status = code
                    .parse()
                    .ok()
                    .filter(|code| [301, 302, 303, 307, 308].contains(code))
                    .ok_or_else(|| {
                        Unfit::new(
                            format!("`{code}` is no status of a redirect"),
                            "status = 308",
                        )
                    })?;
            }
            "drop-query" => query = false,
            "keep-query" => {}
            other => {
                return Err(Unfit::new(
                    format!("a redirect has no `{other}`"),
                    "redirect without it",
                ));
            }
        }
    }
    let rest = if query { "{path}{query}" } else { "{path}" };
    let to = match *kind {
        "scheme" if *value == "https" => return Ok(What::ToHttps),
        "scheme" if *value == "http" => "http://{host}{path}{query}".to_owned(),
        "prefix" => format!(
            "{}{rest}",
            format::text(value, Place::Redirect)?.trim_end_matches('/')
        ),
        "location" => format::text(value, Place::Redirect)?,
        _ => return Err(unknown()),
    };
    let absolute = ["http://", "https://"]
        .iter()
        .any(|start| to.starts_with(start));
    let local = to.starts_with('/') && !to.starts_with("//") || to.starts_with("{path}");
    if !(absolute || local) || to.chars().any(|c| c.is_control() || c == ' ') {
        return Err(Unfit::new(
            format!("`{to}` is no URL and no path"),
            "redirect = \"https://www.foobar.com{path}{query}\"",
        ));
    }
    Ok(What::Stop(Action::Redirect { to, status }))
}

fn edit(rest: &[&str]) -> Result<Edit, Unfit> {
    let name = |name: &str| -> Result<String, Unfit> {
        const FRAMES: [&str; 7] = [
            "connection",
            "content-length",
            "host",
            "keep-alive",
            "te",
            "transfer-encoding",
            "upgrade",
        ];
        if !super::is_token(name) {
            return Err(Unfit::new(
                format!("`{name}` is no name of a header field"),
                "its name",
            ));
        }
        if FRAMES.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Unfit::new(
                format!("`{name}` belongs to the connection, which Mainstay writes itself"),
                "",
            ));
        }
        Ok(name.to_owned())
    };
    match rest {
        ["set-header", field, value] => {
            Ok(Edit::Set(name(field)?, format::text(value, Place::Header)?))
        }
        ["add-header", field, value] => {
            Ok(Edit::Add(name(field)?, format::text(value, Place::Header)?))
        }
        ["del-header", field] | ["del-header", field, "-m", "str"] => {
            Ok(Edit::Remove(name(field)?))
        }
        _ => Err(unknown()),
    }
}

fn host(value: &str) -> Result<What, Unfit> {
    let fits = |c: char| c.is_ascii_graphic() && !"/@?#\"\\%{}".contains(c);
    match !value.is_empty() && value.chars().all(fits) {
        true => Ok(What::Host(value.to_owned())),
        false => Err(Unfit::new(
            "`host-header` is one host",
            "one route for each host",
        )),
    }
}

fn track(action: &str, rest: &[&str]) -> Result<What, Unfit> {
    let (counter, rest) = match (
        action.strip_prefix("track-sc").and_then(|n| n.parse().ok()),
        rest,
    ) {
        (Some(counter), rest) => (counter, rest),
        (None, _) => match action
            .strip_prefix("track-sc(")
            .and_then(|n| n.strip_suffix(')')?.parse().ok())
        {
            Some(counter) => (counter, rest),
            None => return Err(unknown()),
        },
    };
    let (key, table) = match rest {
        [key] => (*key, ""),
        [key, "table", table] => (*key, *table),
        _ => return Err(unknown()),
    };
    let inside = |names: &[&str]| {
        names.iter().find_map(|name| {
            key.strip_prefix(*name)?
                .strip_prefix('(')?
                .strip_suffix(')')
        })
    };
    let key = if key == "src" || key.starts_with("src,ipmask(") {
        "address".to_owned()
    } else if let Some(name) =
        inside(&["hdr", "req.hdr", "req.fhdr"]).filter(|name| super::is_token(name))
    {
        format!("header:{name}")
    } else if let Some(name) = inside(&["cook", "req.cook"]).filter(|name| super::is_token(name)) {
        format!("cookie:{name}")
    } else {
        return Err(Unfit::new(
            format!("`{key}` does not tell clients apart here"),
            "rate-limit with key = \"address\", \"header:NAME\" or \"cookie:NAME\"",
        ));
    };
    Ok(What::Track {
        counter,
        key,
        table: table.to_owned(),
    })
}

/// Also `%[path,regsub(^/api/,/)]`, the usual way to take a prefix away.
fn set_path(format: &str) -> Result<What, Unfit> {
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

fn replace_path(regex: &str, format: &str) -> Result<What, Unfit> {
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

/// The rewriting of a route whose paths begin with `prefix`.
pub(super) fn prefix_rewrite(path: &Path, from: &str, to: &str) -> Result<Rewrite, Unfit> {
    let with = |rest: &str| match format!("{to}{rest}") {
        path if path.is_empty() => "/".to_owned(),
        path => path,
    };
    match path {
        Path::Prefix(prefix) => Ok(Rewrite::Prefix(with(
            prefix.strip_prefix(from).unwrap_or_default(),
        ))),
        Path::Exact(path) => Ok(Rewrite::Path(with(
            path.strip_prefix(from).unwrap_or_default(),
        ))),
        Path::Regex(_) | Path::Any => Err(Unfit::new(
            "a prefix is replaced of routes with `path-prefix`",
            "replace-path with what `path-regex` matched",
        )),
    }
}
