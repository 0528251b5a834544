//! Pure: `[balancer]`: its own listeners, limits, logs, certificates.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::network;
use crate::at::At;
use crate::problem::Code;
use crate::resolve::bind::{For, bind};
use crate::resolve::route_headers::unknown_names;
use crate::resolve::setting::{Within, directory, duration, or, size};
use crate::source::Problems;
use crate::target::balancer::{
    AccessLogFormat, BalancerLimits, CertificateFiles, ClientCertificates, HTTP, HTTPS,
    ListenerMode, ListenerTarget, Network, TlsTarget,
};
use crate::topology::Balancer;
use crate::written::Written;
use crate::written::balancer::{
    BalancerSection, LimitsSection, ListenerKind, ListenerSection, TlsVersion,
};

/// The web server's own health answer: it includes the application's. Below `/.mainstay/` so that no
/// page of an application can be meant by it.
pub(crate) const HEALTH_PATH: &str = "/.mainstay/health";

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Without backends and routes, which have files of their own.
pub(super) fn resolve(written: &Written, problems: &mut Problems<'_>) -> Balancer {
    let section = written.balancer.as_ref().map(|at| &at.value);
    let limits = section.and_then(|s| s.limits.as_ref()).map(|at| &at.value);
    let tls_from = section.and_then(|s| s.tls_from.as_ref());
    let error_pages = section.and_then(|s| s.error_pages.as_ref());
    let mut balancer = Balancer {
        // The ports that browsers use (RFC 9110 section 4.2).
        http: or(section.and_then(|s| s.http.as_ref()), 80),
        https: or(section.and_then(|s| s.https.as_ref()), 443),
        proxy_protocol: or(section.and_then(|s| s.proxy_protocol.as_ref()), false),
        http2: or(section.and_then(|s| s.http2.as_ref()), true),
        tls12: or(tls_from, TlsVersion::V12) == TlsVersion::V12,
        certificates: section
            .map(|s| certificates(s, problems))
            .unwrap_or_default(),
        client_certificates: section.and_then(|s| client_certificates(s, problems)),
        listeners: Vec::new(),
        trusted_proxies: networks(section.and_then(|s| s.trusted_proxies.as_ref()), problems),
        limits: limits_of(limits, problems),
        access_log: access_log(section.and_then(|s| s.access_log.as_ref()), problems),
        reason_header: or(section.and_then(|s| s.reason_header.as_ref()), false),
        error_pages: error_pages.map(|_| {
            let place = Within::Anywhere;
            PathBuf::from(directory(
                "error-pages",
                error_pages,
                "errors",
                place,
                problems,
            ))
        }),
        backends: Vec::new(),
        routes: Vec::new(),
    };
    let listeners = section.and_then(|s| s.listeners.as_ref());
    balancer.listeners = listeners
        .into_iter()
        .flatten()
        .filter_map(|(name, at)| listener(name, at, written, &balancer, problems))
        .collect();
    balancer
}

/// Addresses and networks, as many as can be read.
pub(super) fn networks(
    list: Option<&At<Vec<At<String>>>>,
    problems: &mut Problems<'_>,
) -> Vec<Network> {
    let mut networks = Vec::new();
    for At { value: text, span } in list.into_iter().flat_map(|list| &list.value) {
        match network(text) {
            Ok(network) => networks.push(network),
            Err(no) => problems.add(Code::BadValue, span, no.what, no.write),
        }
    }
    networks
}

/// A file named in the site file, relative to it.
pub(super) fn file(key: &str, at: &At<String>, problems: &mut Problems<'_>) -> PathBuf {
    let text = at.value.as_str();
    // An absolute path is the operator's own: certificates stand where other tools put them.
    if text.is_empty() || text.ends_with('/') || text.chars().any(char::is_control) {
        let what = format!("`{key}` names no file");
        problems.add(Code::BadValue, &at.span, what, "\"tls/shop.pem\"");
    }
    PathBuf::from(text)
}

fn certificates(section: &BalancerSection, problems: &mut Problems<'_>) -> Vec<CertificateFiles> {
    let list = section.certificates.iter().flat_map(|at| &at.value);
    list.filter_map(|at| {
        let (chain, key) = (at.value.chain.as_ref()?, at.value.key.as_ref()?);
        Some(CertificateFiles {
            chain: file("chain", chain, problems),
            key: file("key", key, problems),
        })
    })
    .collect()
}

fn client_certificates(
    section: &BalancerSection,
    problems: &mut Problems<'_>,
) -> Option<ClientCertificates> {
    let section = &section.client_certificates.as_ref()?.value;
    Some(ClientCertificates {
        authority: file("authority", section.authority.as_ref()?, problems),
        required: or(section.required.as_ref(), true),
    })
}

fn access_log(written: Option<&At<String>>, problems: &mut Problems<'_>) -> AccessLogFormat {
    const NAMES: [&str; 19] = [
        "time",
        "request-id",
        "client",
        "scheme",
        "host",
        "method",
        "target",
        "protocol",
        "referer",
        "user-agent",
        "status",
        "reason",
        "bytes",
        "duration-us",
        "route",
        "backend",
        "endpoint",
        "attempts",
        "fault",
    ];
    let Some(at) = written else {
        return AccessLogFormat::Json;
    };
    match at.value.as_str() {
        "json" => AccessLogFormat::Json,
        "combined" => AccessLogFormat::Combined,
        "off" => AccessLogFormat::Off,
        text if text.contains('{') && !text.chars().any(char::is_control) => {
            unknown_names(at, &NAMES, problems);
            AccessLogFormat::Template(text.to_owned())
        }
        text => {
            let what = format!("`{text}` is no format of the access log");
            let write =
                "\"json\", \"combined\", \"off\" or text like \"{client} {target} {status}\"";
            problems.add(Code::UnknownValue, &at.span, what, write);
            AccessLogFormat::Json
        }
    }
}

fn listener(
    name: &At<String>,
    at: &At<ListenerSection>,
    written: &Written,
    balancer: &Balancer,
    problems: &mut Problems<'_>,
) -> Option<ListenerTarget> {
    let section = &at.value;
    if name.value == HTTP || name.value == HTTPS || !crate::domain::is_label(&name.value) {
        let what = format!("a listener cannot be named `{}`", name.value);
        let write = "another name of a-z, 0-9 and `-`; ports of HTTP and HTTPS stand in [balancer]";
        problems.add(Code::BadValue, &name.span, what, write);
    }
    let kind = or(section.mode.as_ref(), ListenerKind::Http);
    let of_tcp = [
        section.backend.as_ref().map(|at| at.span.clone()),
        section
            .by_name
            .as_ref()
            .and_then(|map| map.keys().next())
            .map(|at| at.span.clone()),
    ];
    if kind != ListenerKind::Tcp
        && let Some(at) = of_tcp.iter().flatten().next()
    {
        let what = "only a listener with `mode = \"tcp\"` names its backend; others have routes";
        problems.add(Code::Conflict, at, what, "mode = \"tcp\", or a [[routes]]");
    }
    let mode = match kind {
        ListenerKind::Http => ListenerMode::Http {
            redirect_to: None,
            http2: balancer.http2,
        },
        ListenerKind::Https => ListenerMode::Https(tls(balancer, None)),
        ListenerKind::Tcp => {
            if of_tcp.iter().all(Option::is_none) {
                let what = format!(
                    "the listener `{}` has nowhere to send connections",
                    name.value
                );
                problems.add(Code::Missing, &at.span, what, "backend = \"NAME\"");
            }
            tcp(section, written, problems)
        }
    };
    Some(ListenerTarget {
        name: name.value.clone(),
        bind: bind(section.bind.as_ref()?, For::Listening, problems)?,
        mode,
        proxy_protocol: or(section.proxy_protocol.as_ref(), false),
    })
}

/// What a listener with TLS offers.
pub(crate) fn tls(balancer: &Balancer, hsts: Option<Duration>) -> TlsTarget {
    TlsTarget {
        certificates: balancer.certificates.clone(),
        tls12: balancer.tls12,
        http2: balancer.http2,
        client_certificates: balancer.client_certificates.clone(),
        hsts: hsts.map(crate::target::balancer::Milliseconds),
    }
}

fn tcp(section: &ListenerSection, written: &Written, problems: &mut Problems<'_>) -> ListenerMode {
    let mut known = |at: &At<String>| {
        super::backends::named(at, super::backends::Wanted::Tcp, written, problems);
        at.value.clone()
    };
    let otherwise = section.backend.as_ref().map(&mut known);
    let mut by_name = std::collections::BTreeMap::new();
    for (host, backend) in section.by_name.iter().flatten() {
        by_name.insert(host.value.to_ascii_lowercase(), known(backend));
    }
    for host in section.by_name.iter().flatten().map(|(host, _)| host) {
        super::routes::host(host, problems);
    }
    ListenerMode::Tcp { by_name, otherwise }
}

fn limits_of(section: Option<&LimitsSection>, problems: &mut Problems<'_>) -> BalancerLimits {
    let mut time = |key: &str, pick: fn(&LimitsSection) -> Option<&At<String>>, default| {
        let bounds = Duration::from_millis(1)..=24 * HOUR;
        duration(key, section.and_then(pick), default, bounds, problems)
    };
    let connect = time("connect", |s| s.connect.as_ref(), default::CONNECT);
    let request_head = time(
        "request-head",
        |s| s.request_head.as_ref(),
        default::REQUEST_HEAD,
    );
    let response_head = time(
        "response-head",
        |s| s.response_head.as_ref(),
        default::RESPONSE_HEAD,
    );
    let idle_body = time("idle-body", |s| s.idle_body.as_ref(), default::IDLE_BODY);
    let keep_alive = time("keep-alive", |s| s.keep_alive.as_ref(), default::KEEP_ALIVE);
    let drain = time("drain", |s| s.drain.as_ref(), default::DRAIN);
    let body = section.and_then(|s| s.request_body.as_ref());
    BalancerLimits {
        connections: or(
            section.and_then(|s| s.connections.as_ref()),
            default::CONNECTIONS,
        ),
        connect,
        request_head,
        response_head,
        idle_body,
        keep_alive,
        // 1 TiB: no upload is larger; what is meant as "no limit" is written as this.
        request_body: size(
            "request-body",
            body,
            default::REQUEST_BODY,
            1..=1 << 40,
            problems,
        ),
        drain,
    }
}

/// What HAProxy 2.6 and nginx 1.22 do was looked at for each.
mod default {
    use super::{Duration, MINUTE, SECOND};

    /// Two file descriptors each; ten thousand is what one process of either handles with a few
    /// hundred MB. (nginx: 512 per worker; HAProxy: from `ulimit -n`.)
    pub(super) const CONNECTIONS: u32 = 10_000;
    /// One lost SYN is sent again after 1 s (RFC 6298 section 2.1), so 2 s forgive one. HAProxy's
    /// examples have 5 s, nginx 60 s: too long when another web server could answer.
    pub(super) const CONNECT: Duration = SECOND.saturating_mul(2);
    /// HAProxy's manual proposes `timeout http-request 10s` against slow-loris; nginx has 60 s.
    pub(super) const REQUEST_HEAD: Duration = SECOND.saturating_mul(10);
    /// nginx `proxy_read_timeout`; HAProxy's examples have 50 s.
    pub(super) const RESPONSE_HEAD: Duration = MINUTE;
    /// nginx `client_body_timeout` and `proxy_read_timeout`.
    pub(super) const IDLE_BODY: Duration = MINUTE;
    /// nginx `keepalive_timeout`.
    pub(super) const KEEP_ALIVE: Duration = SECOND.saturating_mul(75);
    /// nginx has 1 MiB, which every site has to raise; bodies are streamed, so it costs no memory.
    pub(super) const REQUEST_BODY: u64 = 64 << 20;
    /// What Kubernetes gives (`terminationGracePeriodSeconds`); longer downloads are cut.
    pub(super) const DRAIN: Duration = SECOND.saturating_mul(30);
}
