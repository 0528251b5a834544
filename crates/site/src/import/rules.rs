//! Pure: `http-request`, `http-response`, `redirect`, `block`, `monitor-uri` → what each does, and when.
//!
//! Source: HAProxy configuration manual, sections 4.2 (`redirect`, `monitor-uri`) and 4.3 ("Actions
//! keywords matrix" and behind it).

use super::acl::{Acls, Case, Read};
use super::cells::{Action, Edit};
use super::conditions::Conditions;
use super::config::Proxy;
use super::format::{self, Place};
use super::ledger::{Ledger, Unfit};
use super::limits;
use super::path::Path;
use super::redirect::redirect;
use super::rewriting::{replace_path, set_path};

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
    ToHttps(u16),
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
            rest @ ..,
        ] if is_ours(name) => return ours(name, rest.first().copied()),
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

fn ours(name: &str, value: Option<&str>) -> Result<Parsed, Unfit> {
    match value {
        Some(value) if !value.contains('%') && !["http", "https", "close"].contains(&value) => {
            let why = format!("`{name}` is written by Mainstay, and says what is the case");
            Err(Unfit::new(why, "another field, in request-headers"))
        }
        _ => Ok(Parsed::Needless(
            "X-Forwarded-For, -Proto, -Host and X-Request-Id are always sent to endpoints, as they are",
        )),
    }
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
