//! Pure: `[backends.NAME]`, and the site's own web servers, which are the backend `web`.

use std::time::Duration;

use crate::at::At;
use crate::hint::{one_of, quoted};
use crate::problem::Code;
use crate::resolve::balancer::{HEALTH_PATH, file};
use crate::resolve::bind::{For, bind};
use crate::resolve::health;
use crate::resolve::setting::{duration, or, size};
use crate::source::Problems;
use crate::spelling::Endpoint;
use crate::suggest::{closest, did_you_mean};
use crate::target::balancer::{
    Algorithm, BackendTarget, Bind, CertificateFiles, Ejection, EndpointTarget, EndpointTls,
    HashKey, ListenerMode, ListenerTarget, Milliseconds, Protocol, Queue, Retries, WEB,
};
use crate::topology::Balancer;
use crate::written::Written;
use crate::written::backend::{
    BackendMode, BackendSection, EjectionSection, EndpointTlsSection, HttpVersion, RetriesSection,
};
use crate::written::balancer::{HealthKind, HealthSection};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// One for every section, and `web` when the site has web servers. Listeners of `listen` keys go to
/// the balancer's.
pub(super) fn resolve(
    written: &Written,
    has_web: bool,
    balancer: &mut Balancer,
    problems: &mut Problems<'_>,
) {
    let mut sections: Vec<_> = written.backends.iter().flatten().collect();
    sections.sort_by_key(|(name, _)| name.span.start);
    let mut backends = Vec::new();
    for (name, at) in sections {
        if !crate::domain::is_label(&name.value) {
            let what = format!(
                "the backend name `{}` may have only a-z, 0-9 and `-`",
                name.value
            );
            problems.add(Code::BadValue, &name.span, what, "[backends.shop]");
        }
        let own = has_web && name.value == WEB;
        let section = &at.value;
        if own && let Some(endpoints) = &section.endpoints {
            let what = "the endpoints of `web` are the servers with that role";
            let write = "settings only, or another name for this backend";
            problems.add(Code::Conflict, &endpoints.span, what, write);
        } else if !own && section.endpoints.is_none() {
            let what = format!("the backend `{}` has no endpoints", name.value);
            problems.add(
                Code::Missing,
                &name.span,
                what,
                "endpoints = [\"10.0.0.5:80\"]",
            );
        }
        balancer.listeners.extend(listen(name, section, problems));
        backends.push(backend(&name.value, Some(section), own, written, problems));
    }
    if has_web && !backends.iter().any(|backend| backend.own) {
        backends.push(backend(WEB, None, true, written, problems));
    }
    balancer.backends = backends;
}

/// What a backend that is named somewhere must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Http,
    Tcp,
}

/// Whether the name is one of a backend that fits.
pub(super) fn named(
    at: &At<String>,
    wanted: Wanted,
    written: &Written,
    problems: &mut Problems<'_>,
) {
    let sections = written.backends.iter().flatten();
    let known: Vec<(&str, bool)> = sections
        .map(|(name, at)| {
            let mode = or(at.value.mode.as_ref(), BackendMode::Http);
            (name.value.as_str(), mode == BackendMode::Tcp)
        })
        .chain(written.servers.is_some().then_some((WEB, false)))
        .collect();
    let name = at.value.as_str();
    let names = || known.iter().map(|(name, _)| *name);
    match known.iter().find(|(known, _)| *known == name) {
        // A section that could not be read may be the one that is missed.
        None if written.left_out.contains("backends") => {}
        None => {
            let what = format!("no backend `{name}`{}", did_you_mean(name, names()));
            let write = match closest(name, names()) {
                Some(meant) => quoted(meant),
                None if known.is_empty() => format!("[backends.{name}] with its endpoints"),
                None => one_of(names()),
            };
            problems.add(Code::UnknownValue, &at.span, what, write);
        }
        Some((_, tcp)) if *tcp != (wanted == Wanted::Tcp) => {
            let (what, write) = match tcp {
                true => (
                    "routes are of HTTP, this backend has `mode = \"tcp\"`",
                    "an HTTP backend",
                ),
                false => (
                    "a listener with `mode = \"tcp\"` needs a backend of the same mode",
                    "a backend with `mode = \"tcp\"`",
                ),
            };
            problems.add(Code::Conflict, &at.span, format!("`{name}`: {what}"), write);
        }
        Some(_) => {}
    }
}

fn listen(
    name: &At<String>,
    section: &BackendSection,
    problems: &mut Problems<'_>,
) -> Option<ListenerTarget> {
    let at = section.listen.as_ref()?;
    if or(section.mode.as_ref(), BackendMode::Http) != BackendMode::Tcp {
        let what = "`listen` is for `mode = \"tcp\"`: HTTP arrives at the ports of [balancer]";
        problems.add(
            Code::Conflict,
            &at.span,
            what,
            "mode = \"tcp\", or without `listen`",
        );
    }
    Some(ListenerTarget {
        name: name.value.clone(),
        bind: bind(at, For::Listening, problems)?,
        mode: ListenerMode::Tcp {
            by_name: std::collections::BTreeMap::new(),
            otherwise: Some(name.value.clone()),
        },
        proxy_protocol: false,
    })
}

fn backend(
    name: &str,
    section: Option<&BackendSection>,
    own: bool,
    written: &Written,
    problems: &mut Problems<'_>,
) -> BackendTarget {
    let balancer = written.balancer.as_ref().map(|at| &at.value);
    let of_site = balancer.filter(|_| own);
    let mode = or(section.and_then(|s| s.mode.as_ref()), BackendMode::Http);
    let version = or(
        section.and_then(|s| s.protocol.as_ref()),
        HttpVersion::Http1,
    );
    let tls = section.and_then(|s| s.tls.as_ref());
    let algorithm = section
        .and_then(|s| s.algorithm.as_ref())
        .or(of_site.and_then(|b| b.algorithm.as_ref()));
    let time =
        |key, pick: fn(&BackendSection) -> Option<&At<String>>, default, problems: &mut _| {
            let bounds = Duration::ZERO..=HOUR;
            duration(key, section.and_then(pick), default, bounds, problems)
        };
    let attempts = balancer
        .and_then(|b| b.limits.as_ref())
        .and_then(|at| at.value.attempts.as_ref());
    BackendTarget {
        name: name.to_owned(),
        protocol: match (mode, version) {
            (BackendMode::Tcp, _) => Protocol::Tcp,
            (BackendMode::Http, HttpVersion::Http1) => Protocol::Http1,
            (BackendMode::Http, HttpVersion::Http2) => Protocol::Http2,
        },
        endpoints: section
            .map(|s| endpoints(s, written.left_out.contains("backends"), problems))
            .unwrap_or_default(),
        algorithm: or(algorithm, Algorithm::RoundRobin),
        hash_by: section
            .map(|s| hash_key(s, algorithm, problems))
            .unwrap_or(HashKey::Source),
        // HAProxy's manual proposes 125 to 200 (`hash-balance-factor`).
        hash_balance: or(section.and_then(|s| s.hash_balance.as_ref()), 125),
        sticky: section.and_then(|s| sticky(s, mode, problems)),
        slow_start: time(
            "slow-start",
            |s| s.slow_start.as_ref(),
            Duration::ZERO,
            problems,
        ),
        health: health_check(
            section,
            of_site.and_then(|b| b.health.as_ref()),
            own,
            mode,
            problems,
        ),
        ejection: section
            .and_then(|s| s.ejection.as_ref())
            .map(|at| ejection(&at.value, problems)),
        // Of three, one: with a third gone the rest can carry it, with two gone a probe that fails is
        // more likely the load than the endpoint. (Envoy: 50.)
        panic_percent: or(section.and_then(|s| s.panic.as_ref()), 34),
        max_requests: or(section.and_then(|s| s.max_requests.as_ref()), 0),
        queue: Queue {
            // A thousand requests of a slow site are a few MB; more would wait longer than anybody.
            size: or(section.and_then(|s| s.queue.as_ref()), 1000),
            // HAProxy: `timeout queue`, by default as `timeout connect`, in its examples 5 s.
            timeout: time(
                "queue-timeout",
                |s| s.queue_timeout.as_ref(),
                SECOND * 5,
                problems,
            ),
        },
        retries: retries(
            section.and_then(|s| s.retries.as_ref()).map(|at| &at.value),
            attempts,
            problems,
        ),
        breaker: or(section.and_then(|s| s.breaker.as_ref()), 0),
        tls: tls.map(|at| endpoint_tls(&at.value, problems)),
        proxy_protocol: section
            .and_then(|s| s.proxy_protocol.as_ref())
            .map(|at| at.value),
        own,
    }
}

fn endpoints(
    section: &BackendSection,
    unread: bool,
    problems: &mut Problems<'_>,
) -> Vec<EndpointTarget> {
    /// A thousand are measured (`bench/balancer`); ten times that is a mistake.
    const MOST: usize = 10_000;
    let Some(list) = &section.endpoints else {
        return Vec::new();
    };
    // `[]` itself; an item that was taken out is a problem of its own already.
    if list.value.is_empty() && !unread || list.value.len() > MOST {
        let what = format!("a backend has 1 to {MOST} endpoints");
        problems.add(
            Code::OutOfRange,
            &list.span,
            what,
            "endpoints = [\"10.0.0.5:80\"]",
        );
    }
    let mut known = std::collections::BTreeSet::new();
    let mut endpoints: Vec<EndpointTarget> = Vec::new();
    for At {
        value: written,
        span,
    } in &list.value
    {
        let (address, section) = match written {
            Endpoint::Address(text) => (
                At {
                    value: text.clone(),
                    span: span.clone(),
                },
                None,
            ),
            Endpoint::Section(section) => match &section.address {
                Some(address) => (address.clone(), Some(section)),
                None => continue,
            },
        };
        let Some(bound) = bind(&address, For::Connecting, problems) else {
            continue;
        };
        let name = match section.and_then(|s| s.name.as_ref()) {
            Some(name) => {
                let visible = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\' && c != '/';
                if name.value.is_empty() || !name.value.chars().all(visible) {
                    let what = format!("`{}` is no name for an endpoint", name.value);
                    problems.add(Code::BadValue, &name.span, what, "name = \"shop-1\"");
                }
                name.value.clone()
            }
            None => bound.to_string(),
        };
        if !known.insert(name.clone()) {
            let what = format!("two endpoints are named `{name}`");
            let write = "another `name` for one of them, or a `weight`";
            problems.add(Code::Duplicate, span, what, write);
        }
        endpoints.push(EndpointTarget {
            name,
            address: bound,
            weight: or(section.and_then(|s| s.weight.as_ref()), 1),
            backup: or(section.and_then(|s| s.backup.as_ref()), false),
        });
    }
    if !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.weight == 0) {
        let what = "every endpoint has weight 0, so none would get a request";
        problems.add(Code::Conflict, &list.span, what, "weight = 1");
    }
    endpoints
}

/// `source`, `path`, `header:NAME`, `cookie:NAME`.
fn hash_key(
    section: &BackendSection,
    algorithm: Option<&At<Algorithm>>,
    problems: &mut Problems<'_>,
) -> HashKey {
    let Some(at) = &section.hash_by else {
        return HashKey::Source;
    };
    if algorithm.map(|at| at.value) != Some(Algorithm::Hash) {
        let what = "`hash-by` means something only with `algorithm = \"hash\"`";
        problems.add(Code::Conflict, &at.span, what, "algorithm = \"hash\"");
    }
    match at.value.split_once(':') {
        None if at.value == "source" => HashKey::Source,
        None if at.value == "path" => HashKey::Path,
        Some(("header", name)) if is_name(name) => HashKey::Header(name.to_owned()),
        Some(("cookie", name)) if is_name(name) => HashKey::Cookie(name.to_owned()),
        _ => {
            let what = format!("`{}` is nothing to hash by", at.value);
            let write = "\"source\", \"path\", \"header:X-User\" or \"cookie:session\"";
            problems.add(Code::UnknownValue, &at.span, what, write);
            HashKey::Source
        }
    }
}

/// A token (RFC 9110 section 5.6.2; RFC 6265 section 4.1.1 for cookies).
pub(super) fn is_name(text: &str) -> bool {
    let is = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(is)
}

fn sticky(
    section: &BackendSection,
    mode: BackendMode,
    problems: &mut Problems<'_>,
) -> Option<String> {
    let at = section.sticky.as_ref()?;
    if mode == BackendMode::Tcp {
        let what = "a cookie needs HTTP";
        let write = "algorithm = \"hash\", which keeps a client at one endpoint by its address";
        problems.add(Code::Conflict, &at.span, what, write);
    }
    if !is_name(&at.value) {
        let what = format!("`{}` is no name of a cookie", at.value);
        problems.add(Code::BadValue, &at.span, what, "sticky = \"foobar-server\"");
    }
    Some(at.value.clone())
}

fn health_check(
    section: Option<&BackendSection>,
    of_site: Option<&At<HealthSection>>,
    own: bool,
    mode: BackendMode,
    problems: &mut Problems<'_>,
) -> crate::target::balancer::HealthCheck {
    let written = section.and_then(|s| s.health.as_ref()).or(of_site);
    let (kind, path) = match (mode, own) {
        (BackendMode::Tcp, _) => (HealthKind::Tcp, "/"),
        (BackendMode::Http, true) => (HealthKind::Http, HEALTH_PATH),
        (BackendMode::Http, false) => (HealthKind::Http, "/"),
    };
    let default = health::Default {
        kind,
        path,
        tls: section.is_some_and(|s| s.tls.is_some()),
    };
    health::resolve(written.map(|at| &at.value), default, problems)
}

/// Envoy's values (outlier detection: `consecutive_5xx` 5, `interval` 10 s, `base_ejection_time` 30 s,
/// `max_ejection_percent` 10), but out for 10 s only and half of them: small backends have two or three.
fn ejection(section: &EjectionSection, problems: &mut Problems<'_>) -> Ejection {
    let bounds = SECOND..=HOUR;
    let mut time = |key, at| duration(key, at, SECOND * 10, bounds.clone(), problems);
    Ejection {
        consecutive: or(section.consecutive.as_ref(), 5),
        success_rate_deviations: or(section.success_rate.as_ref(), 0),
        success_rate_requests: or(section.success_rate_requests.as_ref(), 100),
        interval: time("interval", section.interval.as_ref()),
        time: time("time", section.time.as_ref()),
        max_percent: or(section.max_percent.as_ref(), 50),
    }
}

fn retries(
    section: Option<&RetriesSection>,
    attempts: Option<&At<u32>>,
    problems: &mut Problems<'_>,
) -> Retries {
    let own = section.and_then(|s| s.attempts.as_ref());
    let hedge = section.and_then(|s| s.hedge_after.as_ref());
    let body = section.and_then(|s| s.body.as_ref());
    Retries {
        // HAProxy: `retries 3`, the last one elsewhere. Here every further try is elsewhere.
        attempts: or(own.or(attempts), 3),
        // Envoy, `retry_budget`: 20 %; Finagle and Linkerd: 20 %.
        budget_percent: or(section.and_then(|s| s.budget.as_ref()), 20),
        // As much as is read at once anyway.
        body: size("body", body, 64 << 10, 0..=16 << 20, problems),
        hedge_after: hedge.map(|at| {
            let bounds = Duration::from_millis(1)..=HOUR;
            Milliseconds(duration("hedge-after", Some(at), SECOND, bounds, problems))
        }),
    }
}

fn endpoint_tls(section: &EndpointTlsSection, problems: &mut Problems<'_>) -> EndpointTls {
    let certificate = match (&section.certificate, &section.key) {
        (Some(chain), Some(key)) => Some(CertificateFiles {
            chain: file("certificate", chain, problems),
            key: file("key", key, problems),
        }),
        (Some(alone), None) => {
            problems.add(
                Code::Missing,
                &alone.span,
                "a certificate without its key",
                "key = \"…\"",
            );
            None
        }
        (None, Some(alone)) => {
            let what = "a key without its certificate";
            problems.add(Code::Missing, &alone.span, what, "certificate = \"…\"");
            None
        }
        (None, None) => None,
    };
    let name = section.server_name.as_ref();
    if let Some(at) = name
        && crate::domain::domain(&at.value).is_err()
    {
        let what = format!("`{}` is no name of a server", at.value);
        problems.add(
            Code::BadValue,
            &at.span,
            what,
            "server-name = \"shop.internal\"",
        );
    }
    EndpointTls {
        authority: section
            .authority
            .as_ref()
            .map(|at| file("authority", at, problems)),
        server_name: name.map(|at| at.value.clone()).unwrap_or_default(),
        certificate,
        verify: or(section.verify.as_ref(), true),
    }
}

/// The address as an endpoint's (for `derive`).
pub(crate) fn web_endpoint(name: &str, address: std::net::SocketAddr) -> EndpointTarget {
    EndpointTarget {
        name: name.to_owned(),
        address: Bind::Tcp(address),
        weight: 1,
        backup: false,
    }
}
