//! Pure: `[balancer]`: ports, algorithm, health checks, limits.

use std::time::Duration;

use crate::problem::Code;
use crate::resolve::setting::{duration, or, size, span, url_path};
use crate::source::Problems;
use crate::target::{Algorithm, BalancerLimits, HealthCheck};
use crate::topology::Balancer;
use crate::written::{HealthSection, LimitsSection, Written};

/// The web server's own health answer: it includes the application's. Below `/.mainstay/` so that no
/// page of an application can be meant by it.
pub(crate) const HEALTH_PATH: &str = "/.mainstay/health";

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn resolve(written: &Written, problems: &mut Problems<'_>) -> Balancer {
    let section = written.balancer.as_ref().map(|at| &at.value);
    let health = section.and_then(|s| s.health.as_ref()).map(|at| &at.value);
    let limits = section.and_then(|s| s.limits.as_ref()).map(|at| &at.value);
    Balancer {
        // The ports that browsers use (RFC 9110 section 4.2).
        http: or(section.and_then(|s| s.http.as_ref()), 80),
        https: or(section.and_then(|s| s.https.as_ref()), 443),
        algorithm: or(
            section.and_then(|s| s.algorithm.as_ref()),
            Algorithm::RoundRobin,
        ),
        health: health_check(health, problems),
        limits: limits_of(limits, problems),
    }
}

/// Every second, and twice in a row before anything is believed: a silent web server is out after at
/// most 3 seconds (HAProxy: `inter 2s fall 3`, 6 to 8 seconds), while one lost packet takes nothing
/// out. A refused connection needs no check: the request is retried elsewhere at once.
fn health_check(section: Option<&HealthSection>, problems: &mut Problems<'_>) -> HealthCheck {
    let path = section.and_then(|s| s.path.as_ref());
    let interval = section.and_then(|s| s.interval.as_ref());
    let timeout = section.and_then(|s| s.timeout.as_ref());
    // 100 ms: more than 10 checks a second cost the application more than they tell.
    let bounds = Duration::from_millis(100)..=HOUR;
    let every = duration("interval", interval, SECOND, bounds, problems);
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
        path: url_path("path", path, HEALTH_PATH, problems),
        interval: every,
        timeout: within,
        rise: or(section.and_then(|s| s.rise.as_ref()), 2),
        fall: or(section.and_then(|s| s.fall.as_ref()), 2),
    }
}

fn limits_of(section: Option<&LimitsSection>, problems: &mut Problems<'_>) -> BalancerLimits {
    let mut time =
        |key: &str, pick: fn(&LimitsSection) -> Option<&crate::at::At<String>>, default| {
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
        attempts: or(section.and_then(|s| s.attempts.as_ref()), default::ATTEMPTS),
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
    /// HAProxy: `retries 3`, the last one elsewhere. Here every further try is elsewhere.
    pub(super) const ATTEMPTS: u32 = 3;
    /// What Kubernetes gives (`terminationGracePeriodSeconds`); longer downloads are cut.
    pub(super) const DRAIN: Duration = SECOND.saturating_mul(30);
}
