//! Pure: `[[routes]]`: what a request must be, and what it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::at::{At, Span};
use crate::hint::quoted;
use crate::problem::Code;
use crate::resolve::backends::{Wanted, is_name, named};
use crate::resolve::balancer::networks;
use crate::resolve::route_headers::{edits, unknown_names};
use crate::resolve::setting::{duration, or, pattern, size, url_path};
use crate::source::Problems;
use crate::spelling::Scalar;
use crate::target::balancer::{
    Action, ClientKey, Concurrency, Match, Milliseconds, Mirror, PathMatch, RateLimit, Rewrite,
    RouteTarget, ValueIs, ValueMatch,
};
use crate::written::Written;
use crate::written::route::RouteSection;

const HOUR: Duration = Duration::from_secs(3600);
/// Ten thousand are measured (`bench/balancer`).
const MOST: usize = 20_000;
/// Names that a redirect and a path may have in braces; of a regex also `{1}` ….
const NAMES: [&str; 5] = ["scheme", "host", "path", "query", "1"];

pub(super) fn resolve(
    written: &Written,
    domains: &[String],
    problems: &mut Problems<'_>,
) -> Vec<RouteTarget> {
    let Some(list) = &written.routes else {
        return Vec::new();
    };
    if list.value.len() > MOST {
        let what = format!("more than {MOST} routes");
        problems.add(
            Code::OutOfRange,
            &list.span,
            what,
            format!("at most {MOST}"),
        );
    }
    let mut known = BTreeSet::new();
    let mut routes = Vec::new();
    for (number, at) in (1..).zip(&list.value) {
        let section = &at.value;
        let name = match &section.name {
            Some(name) => {
                if !crate::domain::is_label(&name.value) || name.value == super::SITE_ROUTE {
                    let what = format!("a route cannot be named `{}`", name.value);
                    problems.add(Code::BadValue, &name.span, what, "a-z, 0-9 and `-`");
                }
                name.value.clone()
            }
            None => format!("route-{number}"),
        };
        if !known.insert(name.clone()) {
            let what = format!("two routes are named `{name}`");
            let span = section.name.as_ref().map_or(&at.span, |name| &name.span);
            problems.add(Code::Duplicate, span, what, "every name once");
        }
        routes.push(route(name, section, &at.span, written, domains, problems));
    }
    routes
}

fn route(
    name: String,
    section: &RouteSection,
    span: &Span,
    written: &Written,
    domains: &[String],
    problems: &mut Problems<'_>,
) -> RouteTarget {
    let when = matching(section, span, domains, problems);
    let response_head = section.response_head.as_ref().map(|at| {
        let bounds = Duration::from_millis(1)..=24 * HOUR;
        Milliseconds(duration("response-head", Some(at), HOUR, bounds, problems))
    });
    let request_body = section.request_body.as_ref();
    let request_body =
        request_body.map(|at| size("request-body", Some(at), 1, 1..=1 << 40, problems));
    let mirror = section.mirror.as_ref().map(|at| {
        named(at, Wanted::Http, written, problems);
        Mirror {
            backend: at.value.clone(),
            percent: or(section.mirror_percent.as_ref(), 100),
        }
    });
    RouteTarget {
        action: action(section, &when.path, span, written, problems),
        name,
        when,
        allow: networks(section.allow.as_ref(), problems),
        deny: networks(section.deny.as_ref(), problems),
        rate_limit: rate_limit(section, problems),
        concurrency: concurrency(section, problems),
        request_headers: edits(section.request_headers.as_ref(), problems),
        response_headers: edits(section.response_headers.as_ref(), problems),
        mirror,
        request_body,
        response_head,
    }
}

fn matching(
    section: &RouteSection,
    span: &Span,
    domains: &[String],
    problems: &mut Problems<'_>,
) -> Match {
    let hosts = match &section.host {
        Some(list) => list
            .value
            .iter()
            .filter_map(|at| host(at, problems))
            .collect(),
        None => domains.to_vec(),
    };
    let methods = section.method.iter().flat_map(|list| &list.value);
    let methods = methods
        .map(|at| {
            let upper = at.value.to_ascii_uppercase();
            if !is_name(&at.value) || upper != at.value {
                let what = format!("`{}` is no method", at.value);
                problems.add(Code::BadValue, &at.span, what, quoted(&upper));
            }
            at.value.clone()
        })
        .collect();
    Match {
        hosts,
        path: path(section, span, problems),
        methods,
        headers: values(section.header.as_ref(), problems),
        query: values(section.query.as_ref(), problems),
        from: networks(section.from.as_ref(), problems),
        percent: section.percent.as_ref().map(|at| at.value),
    }
}

/// A domain, or `*.` and a domain; lower case.
pub(super) fn host(at: &At<String>, problems: &mut Problems<'_>) -> Option<String> {
    let lower = at.value.to_ascii_lowercase();
    let (star, name) = match lower.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", lower.as_str()),
    };
    // Behind a balancer that stands alone, hosts are addresses too.
    if star.is_empty() && name.parse::<std::net::IpAddr>().is_ok() {
        return Some(lower);
    }
    match crate::domain::domain(name) {
        Ok(domain) => Some(format!("{star}{domain}")),
        Err(no) => {
            let what = format!("`{}` is no host", at.value);
            let write = match no.write.strip_prefix('"') {
                Some(rest) => format!("\"{star}{rest}"),
                None => "\"shop.foobar.com\" or \"*.foobar.com\"".to_owned(),
            };
            problems.add(Code::BadValue, &at.span, what, write);
            None
        }
    }
}

fn path(section: &RouteSection, span: &Span, problems: &mut Problems<'_>) -> PathMatch {
    let (exact, prefix, regex) = (&section.path, &section.path_prefix, &section.path_regex);
    if [exact, prefix, regex]
        .iter()
        .filter(|at| at.is_some())
        .count()
        > 1
    {
        let what = "a route has one of `path`, `path-prefix` and `path-regex`";
        problems.add(Code::Conflict, span, what, "only one of them");
    }
    if let Some(at) = exact {
        PathMatch::Exact(url_path("path", Some(at), "/", problems))
    } else if let Some(at) = prefix {
        let path = url_path("path-prefix", Some(at), "/", problems);
        let trimmed = path.trim_end_matches('/');
        match trimmed {
            "" => PathMatch::Any,
            trimmed => PathMatch::Prefix(trimmed.to_owned()),
        }
    } else if let Some(at) = regex {
        pattern(at, problems).map_or(PathMatch::Any, PathMatch::Regex)
    } else {
        PathMatch::Any
    }
}

fn values(
    map: Option<&BTreeMap<At<String>, At<Scalar>>>,
    problems: &mut Problems<'_>,
) -> Vec<ValueMatch> {
    let mut values = Vec::new();
    for (name, at) in map.into_iter().flatten() {
        let value = match &at.value {
            Scalar::Yes(true) => ValueIs::Present,
            Scalar::Yes(false) => {
                let what = format!("`{} = false`: a route says what must be there", name.value);
                problems.add(Code::BadValue, &at.span, what, "true, or text");
                continue;
            }
            Scalar::Text(text) => match text.strip_prefix('~') {
                Some(regex) => {
                    let at = At {
                        value: regex.to_owned(),
                        span: at.span.clone(),
                    };
                    match pattern(&at, problems) {
                        Some(regex) => ValueIs::Matching(regex),
                        None => continue,
                    }
                }
                None => ValueIs::Exactly(text.clone()),
            },
            other => ValueIs::Exactly(other.to_string()),
        };
        values.push(ValueMatch {
            name: name.value.clone(),
            value,
        });
    }
    values
}

fn action(
    section: &RouteSection,
    path: &PathMatch,
    span: &Span,
    written: &Written,
    problems: &mut Problems<'_>,
) -> Action {
    let wanted = [
        section.backend.is_some(),
        section.redirect.is_some(),
        section.respond.is_some(),
        section.maintenance.is_some(),
    ];
    match wanted.iter().filter(|is| **is).count() {
        1 => {}
        0 => {
            let what = "the route does not say what a request gets";
            let write = "backend = \"NAME\", redirect, respond or maintenance";
            problems.add(Code::Missing, span, what, write);
        }
        _ => {
            let what = "a route does one thing: `backend`, `redirect`, `respond` or `maintenance`";
            problems.add(Code::Conflict, span, what, "only one of them");
        }
    }
    misplaced(section, problems);
    if let Some(to) = &section.redirect {
        return redirect(to, section, problems);
    }
    if let Some(body) = &section.respond {
        return Action::Respond {
            status: or(section.status.as_ref(), 200),
            body: body.value.clone(),
        };
    }
    if let Some(at) = &section.maintenance {
        let bounds = Duration::from_secs(1)..=24 * HOUR;
        let retry_after = duration("maintenance", Some(at), HOUR, bounds, problems);
        return Action::Maintenance { retry_after };
    }
    let backend = section.backend.as_ref();
    if let Some(at) = backend {
        named(at, Wanted::Http, written, problems);
    }
    if let Some(at) = &section.host_header {
        let fits = |c: char| c.is_ascii_graphic() && !"/@?#\"\\".contains(c);
        if at.value.is_empty() || !at.value.chars().all(fits) {
            let what = format!("`{}` is no host", at.value);
            problems.add(
                Code::BadValue,
                &at.span,
                what,
                "host-header = \"shop.internal\"",
            );
        }
    }
    Action::Forward {
        backend: backend.map(|at| at.value.clone()).unwrap_or_default(),
        rewrite: rewrite(section, path, problems),
        host: section.host_header.as_ref().map(|at| at.value.clone()),
    }
}

/// Keys that would have no effect.
fn misplaced(section: &RouteSection, problems: &mut Problems<'_>) {
    let forwards = section.backend.is_some();
    let of_backend = [
        (
            "replace-prefix",
            section.replace_prefix.as_ref().map(|at| &at.span),
        ),
        (
            "replace-path",
            section.replace_path.as_ref().map(|at| &at.span),
        ),
        (
            "host-header",
            section.host_header.as_ref().map(|at| &at.span),
        ),
        ("mirror", section.mirror.as_ref().map(|at| &at.span)),
        (
            "request-headers",
            section.request_headers.as_ref().map(|at| &at.span),
        ),
        (
            "response-head",
            section.response_head.as_ref().map(|at| &at.span),
        ),
    ];
    for (key, at) in of_backend {
        if let Some(at) = at.filter(|_| !forwards) {
            let what = format!("`{key}` means something only with `backend`");
            problems.add(
                Code::Conflict,
                at,
                what,
                "backend = \"NAME\", or without it",
            );
        }
    }
    if let Some(at) = section
        .status
        .as_ref()
        .filter(|_| section.redirect.is_none() && section.respond.is_none())
    {
        let what = "`status` means something only with `redirect` or `respond`";
        problems.add(
            Code::Conflict,
            &at.span,
            what,
            "respond = \"…\", or without it",
        );
    }
    if let Some(at) = section
        .mirror_percent
        .as_ref()
        .filter(|_| section.mirror.is_none())
    {
        let what = "`mirror-percent` without `mirror`";
        problems.add(Code::Conflict, &at.span, what, "mirror = \"NAME\"");
    }
}

fn redirect(to: &At<String>, section: &RouteSection, problems: &mut Problems<'_>) -> Action {
    let status = or(section.status.as_ref(), 302);
    if let Some(at) = section
        .status
        .as_ref()
        .filter(|at| !matches!(at.value, 301 | 302 | 303 | 307 | 308))
    {
        let what = format!("{} is no status of a redirect", at.value);
        problems.add(Code::OutOfRange, &at.span, what, "status = 308");
    }
    let text = to.value.as_str();
    let absolute = text.starts_with("http://")
        || text.starts_with("https://")
        || text.starts_with("{scheme}://");
    let local = text.starts_with('/') && !text.starts_with("//") || text.starts_with("{path}");
    if !(absolute || local) || text.chars().any(|c| c.is_control() || c == ' ') {
        let what = format!("`{text}` is no URL and no path");
        let write = "\"https://www.foobar.com{path}{query}\" or \"/new\"";
        problems.add(Code::BadValue, &to.span, what, write);
    }
    unknown_names(to, &NAMES, problems);
    Action::Redirect {
        status,
        to: text.to_owned(),
    }
}

fn rewrite(
    section: &RouteSection,
    path: &PathMatch,
    problems: &mut Problems<'_>,
) -> Option<Rewrite> {
    let (prefix, whole) = (
        section.replace_prefix.as_ref(),
        section.replace_path.as_ref(),
    );
    if let (Some(_), Some(at)) = (prefix, whole) {
        let what = "a route has one of `replace-prefix` and `replace-path`";
        problems.add(Code::Conflict, &at.span, what, "only one of them");
    }
    if let Some(at) = prefix {
        if !matches!(path, PathMatch::Prefix(_)) {
            let what = "`replace-prefix` needs a `path-prefix` to replace";
            problems.add(Code::Conflict, &at.span, what, "path-prefix = \"/api\"");
        }
        let with = url_path("replace-prefix", Some(at), "/", problems);
        return Some(Rewrite::Prefix(with.trim_end_matches('/').to_owned()));
    }
    let at = whole?;
    unknown_names(at, &["path", "1"], problems);
    if !at.value.starts_with('/') && !at.value.starts_with('{')
        || !at.value.chars().all(|c| c.is_ascii_graphic())
    {
        let what = format!("`{}` is no path", at.value);
        problems.add(
            Code::BadValue,
            &at.span,
            what,
            "replace-path = \"/users/{1}\"",
        );
    }
    Some(Rewrite::Path(at.value.clone()))
}

fn rate_limit(section: &RouteSection, problems: &mut Problems<'_>) -> Option<RateLimit> {
    let section = &section.rate_limit.as_ref()?.value;
    let requests = section.requests.as_ref()?.value;
    let bounds = Duration::from_millis(1)..=24 * HOUR;
    Some(RateLimit {
        requests,
        per: duration(
            "per",
            section.per.as_ref(),
            Duration::from_secs(1),
            bounds,
            problems,
        ),
        burst: or(section.burst.as_ref(), requests),
        key: client_key(
            section.key.as_ref(),
            or(section.v4_bits.as_ref(), 32),
            or(section.v6_bits.as_ref(), 64),
            problems,
        ),
    })
}

fn concurrency(section: &RouteSection, problems: &mut Problems<'_>) -> Option<Concurrency> {
    let section = &section.concurrency.as_ref()?.value;
    Some(Concurrency {
        requests: section.requests.as_ref()?.value,
        key: client_key(
            section.key.as_ref(),
            or(section.v4_bits.as_ref(), 32),
            or(section.v6_bits.as_ref(), 64),
            problems,
        ),
    })
}

/// One IPv6 customer has a network of 64 bits at least (RFC 6177), so single addresses say nothing.
fn client_key(
    written: Option<&At<String>>,
    v4_bits: u8,
    v6_bits: u8,
    problems: &mut Problems<'_>,
) -> ClientKey {
    let address = ClientKey::Address { v4_bits, v6_bits };
    let Some(at) = written else { return address };
    match at.value.split_once(':') {
        None if at.value == "address" => address,
        None if at.value == "everybody" => ClientKey::Everybody,
        Some(("header", name)) if is_name(name) => ClientKey::Header(name.to_owned()),
        Some(("cookie", name)) if is_name(name) => ClientKey::Cookie(name.to_owned()),
        _ => {
            let what = format!("`{}` does not tell clients apart", at.value);
            let write = "\"address\", \"header:X-Api-Key\", \"cookie:session\" or \"everybody\"";
            problems.add(Code::UnknownValue, &at.span, what, write);
            address
        }
    }
}
