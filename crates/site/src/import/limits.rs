//! Pure: `timeout …` and `maxconn` → `[balancer.limits]`, which holds for all listeners and backends.
//!
//! Source: HAProxy configuration manual, sections 2.5 "Time format" (milliseconds without a unit), 3.2
//! (`maxconn`) and 4.2 (`timeout …`).

use super::config::Config;
use super::document::{Section, text};
use super::ledger::{Ledger, Unfit};
use crate::quantity::show_duration;

/// Limits are from 1 ms to a day.
const DAY: u64 = 86_400_000;

/// HAProxy's spelling of a time, in milliseconds.
pub(super) fn milliseconds(time: &str) -> Result<u64, Unfit> {
    const UNITS: [(&str, u64, u64); 7] = [
        ("", 1, 1),
        ("us", 1, 1000),
        ("ms", 1, 1),
        ("s", 1000, 1),
        ("m", 60_000, 1),
        ("h", 3_600_000, 1),
        ("d", DAY, 1),
    ];
    let end = time
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(time.len());
    let (digits, unit) = time.split_at(end);
    let unit = UNITS.iter().find(|(name, _, _)| *name == unit);
    let number: Option<u64> = digits.parse().ok();
    number
        .zip(unit)
        .and_then(|(number, (_, factor, by))| {
            number.checked_mul(*factor).map(|all| all.div_ceil(*by))
        })
        .ok_or_else(|| Unfit::new(format!("`{time}` is no time"), "a time like \"10s\""))
}

pub(super) fn shown(milliseconds: u64) -> String {
    show_duration(std::time::Duration::from_millis(milliseconds))
}

/// A time of a proxy, for one of the limits.
struct Found {
    time: u64,
    line: u32,
}

/// `timeout NAME` of a proxy, when it is one that a limit can have.
pub(super) fn timeout(
    config: &Config,
    proxy: usize,
    name: &str,
    ledger: &mut Ledger,
) -> Option<(u64, u32)> {
    let line = config.proxies.get(proxy)?.last(&["timeout", name])?;
    if line.variable {
        ledger.lost(
            line.number,
            "it takes a value from the environment",
            "the value itself",
        );
        return None;
    }
    match milliseconds(line.word(2)) {
        Ok(time @ 1..=DAY) => {
            ledger.carried(line.number);
            Some((time, line.number))
        }
        Ok(_) => {
            ledger.lost(
                line.number,
                "a limit is from 1ms to 24h; none at all is not offered",
                "a long time, like \"24h\"",
            );
            None
        }
        Err(unfit) => {
            ledger.unfit(line.number, unfit);
            None
        }
    }
}

/// Which proxies are carried over.
pub(super) struct Carried<'a> {
    pub(super) http_frontends: &'a [usize],
    pub(super) tcp_frontends: &'a [usize],
    pub(super) http_backends: &'a [usize],
    pub(super) tcp_backends: &'a [usize],
}

/// The section, and the time for answers that routes need not repeat.
pub(super) fn section(
    config: &Config,
    carried: &Carried<'_>,
    ledger: &mut Ledger,
) -> (Section, Option<u64>) {
    let mut section = Section::new("[balancer.limits]", Vec::new());
    connections(config, carried, &mut section, ledger);
    let mut longest = |names: &[(&str, &[usize])], key: &str, differs: bool| {
        let mut found: Vec<Found> = Vec::new();
        for (name, proxies) in names {
            for proxy in *proxies {
                if let Some((time, line)) = timeout(config, *proxy, name, ledger) {
                    found.push(Found { time, line });
                }
            }
        }
        // A route can have its own: then what most have is best.
        let common = |time: u64| found.iter().filter(|found| found.time == time).count();
        let most = found.iter().map(|found| found.time).max_by_key(|time| {
            if differs {
                (0, *time)
            } else {
                (common(*time), *time)
            }
        })?;
        let mut lines = Vec::new();
        for Found { time, line } in &found {
            if *time == most {
                if !lines.contains(line) {
                    lines.push(*line);
                }
            } else if differs {
                let why = format!(
                    "`{key}` is one for the whole balancer; the longest, {}, is taken",
                    shown(most)
                );
                ledger.differs(*line, why, String::new());
            }
        }
        section.add(key, text(&shown(most)), &lines);
        Some(most)
    };
    let (http, tcp) = (carried.http_frontends, carried.tcp_frontends);
    let (backends, tcp_backends) = (carried.http_backends, carried.tcp_backends);
    longest(
        &[("connect", backends), ("connect", tcp_backends)],
        "connect",
        true,
    );
    longest(&[("http-request", http)], "request-head", true);
    // A route has its own for a backend that differs.
    let response_head = longest(&[("server", backends)], "response-head", false);
    longest(
        &[("client", http), ("client", tcp), ("server", tcp_backends)],
        "idle-body",
        true,
    );
    longest(&[("http-keep-alive", http)], "keep-alive", true);
    for proxy in http.iter().chain(tcp).chain(backends).chain(tcp_backends) {
        for name in ["client-fin", "server-fin", "tarpit"] {
            if let Some((_, line)) = timeout(config, *proxy, name, ledger) {
                ledger.needless(
                    line,
                    "a connection that nothing moves on ends after `idle-body`",
                );
            }
        }
        if let Some((time, line)) = timeout(config, *proxy, "tunnel", ledger) {
            ledger.lost(
                line,
                "a WebSocket ends after `idle-body` without a byte, as a body does",
                format!(
                    "idle-body = \"{}\", or pings from the application",
                    shown(time)
                ),
            );
        }
    }
    (section, response_head)
}

fn connections(config: &Config, carried: &Carried<'_>, section: &mut Section, ledger: &mut Ledger) {
    let global = config.global.iter().rfind(|line| line.begins(&["maxconn"]));
    let frontends = carried.http_frontends.iter().chain(carried.tcp_frontends);
    let of_frontends: Vec<_> = frontends
        .filter_map(|at| config.proxies.get(*at)?.last(&["maxconn"]))
        .collect();
    let all = global.into_iter().chain(of_frontends.iter().copied());
    let mut taken: Option<(u32, u32)> = None;
    for line in all {
        let Ok(number @ 1..=1_000_000) = line.word(1).parse::<u32>() else {
            ledger.lost(
                line.number,
                "`connections` is a number of 1 to 1000000",
                "connections = 10000",
            );
            continue;
        };
        match taken {
            None => {
                ledger.carried(line.number);
                taken = Some((number, line.number));
            }
            Some((_, known)) if known == line.number => {}
            Some((most, _)) if number >= most => {
                ledger.needless(
                    line.number,
                    format!("all listeners together have `connections = {most}`"),
                );
            }
            Some((most, _)) => {
                ledger.differs(
                    line.number,
                    format!("`connections` is one for all listeners together: {most}"),
                    "a lower number",
                );
            }
        }
    }
    if let Some((number, line)) = taken {
        section.add("connections", number.to_string(), &[line]);
    }
}
