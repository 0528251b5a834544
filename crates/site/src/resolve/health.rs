//! Pure: a health check, of the site's web servers and of any backend.

use std::time::Duration;

use crate::at::At;
use crate::hint::quoted;
use crate::problem::Code;
use crate::resolve::setting::{duration, or, pattern, span, url_path};
use crate::source::Problems;
use crate::target::balancer::{Ask, HealthCheck};
use crate::written::balancer::{HealthKind, HealthSection};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What a check is when nothing is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Default<'a> {
    pub(super) kind: HealthKind,
    pub(super) path: &'a str,
    pub(super) tls: bool,
}

/// Every second, and twice in a row before anything is believed: a silent endpoint is out after at
/// most 3 seconds (HAProxy: `inter 2s fall 3`, 6 to 8 seconds), while one lost packet takes nothing
/// out. A refused connection needs no check: the request is retried elsewhere at once.
pub(super) fn resolve(
    section: Option<&HealthSection>,
    default: Default<'_>,
    problems: &mut Problems<'_>,
) -> HealthCheck {
    let interval = section.and_then(|s| s.interval.as_ref());
    let timeout = section.and_then(|s| s.timeout.as_ref());
    let in_doubt = section.and_then(|s| s.interval_in_doubt.as_ref());
    // 100 ms: more than 10 checks a second cost the endpoint more than they tell.
    let bounds = Duration::from_millis(100)..=HOUR;
    let every = duration("interval", interval, SECOND, bounds.clone(), problems);
    let quarter = (every / 4).max(*bounds.start());
    let in_doubt = duration("interval-in-doubt", in_doubt, quarter, bounds, problems);
    let bounds = Duration::from_millis(10)..=HOUR;
    let within = duration("timeout", timeout, SECOND.min(every), bounds, problems);
    if within > every {
        let what = "`timeout` is longer than `interval`: the checks would pile up";
        let at = span(timeout.or(interval), &(0..0));
        let every = crate::quantity::show_duration(every);
        problems.add(
            Code::Conflict,
            &at,
            what,
            format!("timeout = \"{every}\" or less"),
        );
    }
    HealthCheck {
        ask: ask(section, default, problems),
        tls: or(section.and_then(|s| s.tls.as_ref()), default.tls),
        port: section.and_then(|s| s.port.as_ref()).map(|at| at.value),
        interval: every,
        interval_in_doubt: in_doubt.min(every),
        timeout: within,
        rise: or(section.and_then(|s| s.rise.as_ref()), 2),
        fall: or(section.and_then(|s| s.fall.as_ref()), 2),
    }
}

fn ask(section: Option<&HealthSection>, default: Default<'_>, problems: &mut Problems<'_>) -> Ask {
    let kind = or(section.and_then(|s| s.kind.as_ref()), default.kind);
    let of_http = section.map(|s| {
        [
            ("path", s.path.as_ref().map(|at| &at.span)),
            ("method", s.method.as_ref().map(|at| &at.span)),
            ("host", s.host.as_ref().map(|at| &at.span)),
            ("status", s.status.as_ref().map(|at| &at.span)),
            ("body", s.body.as_ref().map(|at| &at.span)),
        ]
    });
    for (key, at) in of_http.into_iter().flatten() {
        if let Some(at) = at.filter(|_| kind != HealthKind::Http) {
            let what = format!("`{key}` means something only for a check over HTTP");
            problems.add(Code::Conflict, at, what, "kind = \"http\", or without it");
        }
    }
    match kind {
        HealthKind::None => Ask::Nothing,
        HealthKind::Tcp => Ask::Tcp,
        HealthKind::Grpc => Ask::Grpc {
            service: section
                .and_then(|s| s.service.as_ref())
                .map(|at| at.value.clone())
                .unwrap_or_default(),
        },
        HealthKind::Http => http(section, default.path, problems),
    }
}

fn http(section: Option<&HealthSection>, path: &str, problems: &mut Problems<'_>) -> Ask {
    let method = section.and_then(|s| s.method.as_ref());
    if let Some(At { value, span }) = method
        && !matches!(value.as_str(), "GET" | "HEAD" | "OPTIONS")
    {
        let what = format!("`{value}` is no method for a question that changes nothing");
        problems.add(
            Code::BadValue,
            span,
            what,
            "\"GET\", \"HEAD\" or \"OPTIONS\"",
        );
    }
    let host = section.and_then(|s| s.host.as_ref());
    if let Some(At { value, span }) = host
        && (value.is_empty()
            || !value
                .chars()
                .all(|c| c.is_ascii_graphic() && !"/@?#".contains(c)))
    {
        let what = format!("`{value}` is no host");
        problems.add(Code::BadValue, span, what, "host = \"www.foobar.com\"");
    }
    let headers = section.and_then(|s| s.headers.as_ref());
    let status = section.and_then(|s| s.status.as_ref());
    Ask::Http {
        method: method.map_or_else(|| "GET".to_owned(), |at| at.value.clone()),
        path: url_path(
            "path",
            section.and_then(|s| s.path.as_ref()),
            path,
            problems,
        ),
        host: host.map(|at| at.value.clone()).unwrap_or_default(),
        headers: headers
            .into_iter()
            .flatten()
            .filter(|(name, value)| super::route_headers::field(name, value, problems))
            .map(|(name, value)| (name.value.clone(), value.value.clone()))
            .collect(),
        status: match status {
            None => vec![(200, 299)],
            Some(list) => list
                .value
                .iter()
                .filter_map(|at| statuses(at, problems))
                .collect(),
        },
        body: section
            .and_then(|s| s.body.as_ref())
            .and_then(|at| pattern(at, problems)),
    }
}

/// `200` or `200-399`.
fn statuses(at: &At<String>, problems: &mut Problems<'_>) -> Option<(u16, u16)> {
    let text = at.value.as_str();
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| {
        text.trim()
            .parse::<u16>()
            .ok()
            .filter(|status| (200..=599).contains(status))
    };
    match (status(from), status(to)) {
        (Some(from), Some(to)) if from <= to => Some((from, to)),
        _ => {
            let what = format!("{} is no status and no range of statuses", quoted(text));
            problems.add(Code::BadValue, &at.span, what, "\"200\" or \"200-399\"");
            None
        }
    }
}
