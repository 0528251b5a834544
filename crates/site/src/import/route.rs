//! Pure: a cell → `[[routes]]`.

use std::collections::BTreeMap;

use super::cells::{Action, Cell, Edits, Limit};
use super::conditions::{Conditions, Networks, Value};
use super::document::{Section, inline, list, text};
use super::limits::shown;
use super::path::Path;
use super::rewriting;

/// `backend`: what a proxy is called here, if it has endpoints.
pub(super) fn section(cell: &Cell, backend: &dyn Fn(usize) -> Option<String>) -> Section {
    let lines: Vec<u32> = cell.lines.iter().copied().collect();
    let mut section = Section::new("[[routes]]", lines);
    conditions(&cell.when, &mut section);
    let mut forwards = false;
    match &cell.action {
        Action::To(at) => match backend(*at) {
            Some(name) => {
                forwards = true;
                section.vital("backend", text(&name), &[]);
            }
            // What HAProxy answers for a backend without servers.
            None => {
                section.vital("respond", text(""), &[]);
                section.vital("status", "503".to_owned(), &[]);
            }
        },
        Action::Redirect { to, status } => {
            section.vital("redirect", text(to), &[]);
            if *status != 302 {
                section.add("status", status.to_string(), &[]);
            }
        }
        Action::Respond { status, body } => {
            section.vital("respond", text(body), &[]);
            if *status != 200 {
                section.vital("status", status.to_string(), &[]);
            }
        }
    }
    let rules = &cell.rules;
    if forwards {
        let said = rules
            .rewrite
            .as_ref()
            .and_then(|rewrite| rewriting::said(rewrite, &cell.when));
        if let Some((key, value)) = said {
            section.add(key, text(&value), &[]);
        }
        if let Some(host) = &rules.host {
            section.add("host-header", text(host), &[]);
        }
        edits("request-headers", &rules.request, &mut section);
    }
    edits("response-headers", &rules.response, &mut section);
    if let Some(allow) = &rules.allow {
        section.vital("allow", networks(allow), &[]);
    }
    if !rules.deny.0.is_empty() {
        section.vital("deny", networks(&rules.deny), &[]);
    }
    if let Some(limit) = &rules.rate {
        let per = ("per".to_owned(), text(&shown(limit.per)));
        section.add(
            "rate-limit",
            inline(&limited(limit, Some(per))),
            &[limit.line],
        );
    }
    if let Some(limit) = &rules.concurrency {
        section.add("concurrency", inline(&limited(limit, None)), &[limit.line]);
    }
    if let (Some(time), true) = (rules.response_head, forwards) {
        section.add("response-head", text(&shown(time)), &[]);
    }
    section
}

fn limited(limit: &Limit, per: Option<(String, String)>) -> Vec<(String, String)> {
    let mut pairs = vec![("requests".to_owned(), limit.requests.to_string())];
    pairs.extend(per);
    if limit.key != "address" {
        pairs.push(("key".to_owned(), text(&limit.key)));
    }
    pairs
}

fn conditions(when: &Conditions, section: &mut Section) {
    let set = |set: &std::collections::BTreeSet<String>| list(set.iter().map(String::as_str));
    if let Some(hosts) = &when.hosts {
        section.vital("host", set(hosts), &[]);
    }
    match &when.path {
        Path::Any => {}
        Path::Exact(path) => section.vital("path", text(path), &[]),
        Path::Prefix(path) => section.vital("path-prefix", text(path), &[]),
        Path::Regex(regex) => section.vital("path-regex", text(regex), &[]),
        Path::Ends(ends) => section.vital("path-regex", text(&ends.regex()), &[]),
    }
    if let Some(methods) = &when.methods {
        section.vital("method", set(methods), &[]);
    }
    values("header", &when.headers, section);
    values("query", &when.query, section);
    if let Some(from) = &when.from {
        section.vital("from", networks(from), &[]);
    }
    if *when == Conditions::default() {
        section.vital("path-prefix", text("/"), &[]);
    }
}

fn values(key: &str, map: &BTreeMap<String, Value>, section: &mut Section) {
    if map.is_empty() {
        return;
    }
    let pairs: Vec<(String, String)> = map
        .iter()
        .map(|(name, value)| {
            let shown = |name: &str| {
                if key == "header" {
                    titled(name)
                } else {
                    name.to_owned()
                }
            };
            let value = match value {
                Value::Present => "true".to_owned(),
                Value::Exactly(value) => text(value),
                Value::Matching(regex) => text(&format!("~{regex}")),
            };
            (shown(name), value)
        })
        .collect();
    section.vital(key, inline(&pairs), &[]);
}

/// `x-beta` → `X-Beta`: as header fields are usually written.
fn titled(name: &str) -> String {
    let part = |part: &str| {
        let mut chars = part.chars();
        chars.next().map_or_else(String::new, |first| {
            format!("{}{}", first.to_ascii_uppercase(), chars.as_str())
        })
    };
    let parts: Vec<String> = name.split('-').map(part).collect();
    parts.join("-")
}

fn networks(networks: &Networks) -> String {
    let shown: Vec<String> = networks
        .0
        .iter()
        .map(|network| {
            let all = if network.address.is_ipv4() { 32 } else { 128 };
            match network.bits == all {
                true => network.address.to_string(),
                false => network.to_string(),
            }
        })
        .collect();
    list(shown.iter().map(String::as_str))
}

fn edits(key: &str, edits: &Edits, section: &mut Section) {
    if edits.is_empty() {
        return;
    }
    let mut pairs = Vec::new();
    if !edits.remove.is_empty() {
        pairs.push((
            "remove".to_owned(),
            list(edits.remove.values().map(String::as_str)),
        ));
    }
    for (name, map) in [("set", &edits.set), ("add", &edits.add)] {
        if !map.is_empty() {
            let fields: Vec<(String, String)> = map
                .values()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect();
            pairs.push((name.to_owned(), inline(&fields)));
        }
    }
    section.add(key, inline(&pairs), &[]);
}
