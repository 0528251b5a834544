//! Pure: `backend` and `listen` with their servers → `[backends.NAME]`.
//!
//! Source: HAProxy configuration manual, section 4.2 (`balance`, `hash-type`, `cookie`, `retries`,
//! `stick on`) and 5.2.

use super::balance::{balance, sticky};
use super::check::{health, one};
use super::config::{Config, Proxy};
use super::document::{Section, Value, inline, text};
use super::endpoints::{endpoints, servers};
use super::ledger::Ledger;
use super::limits::{self, shown};
use super::server::Server;

/// None: it has no endpoint that can be written.
pub(super) fn section(
    config: &Config,
    at: usize,
    label: &str,
    http: bool,
    ledger: &mut Ledger,
) -> Option<Section> {
    let proxy = config.proxies.get(at)?;
    let none_verified = config
        .global
        .iter()
        .any(|line| line.begins(&["ssl-server-verify", "none"]));
    if let Some(line) = proxy.last(&["mode"]) {
        ledger.carried(line.number);
    }
    let base = base(config, "ca-base");
    let servers = servers(proxy, ledger);
    let (rows, used) = endpoints(&servers, ledger);
    if !rows.iter().any(|row| row.out.is_none()) {
        return None;
    }
    let all: Vec<&Server> = used.iter().collect();
    let mut section = Section::new(format!("[backends.{label}]"), vec![proxy.line]);
    if label != proxy.name {
        section.about = format!("`{}`", proxy.name);
    }
    if !http {
        section.vital("mode", text("tcp"), &[]);
    }
    section.push("endpoints", Value::Rows(rows), &[], true);
    if used.iter().any(|server| server.h2) && http {
        section.vital("protocol", text("h2"), &[]);
        if let Some(other) = used.iter().find(|server| !server.h2) {
            ledger.differs(
                other.line,
                "all endpoints of a backend speak the same HTTP: HTTP/2",
                "two backends",
            );
        }
    }
    balance(proxy, http, &mut section, ledger);
    sticky(proxy, http, &mut section, ledger);
    if let Some(time) = one(&all, |server| server.slowstart, "slow-start", ledger) {
        section.add("slow-start", text(&shown(time)), &[]);
    }
    let timeout = limits::timeout(config, at, "check", ledger);
    if let Some((health, lines)) = health(proxy, &used, http, timeout, ledger) {
        section.add("health", health, &lines);
    }
    if used.iter().any(|server| server.observe) {
        let consecutive = one(
            &all,
            |server| server.consecutive,
            "ejection.consecutive",
            ledger,
        );
        // HAProxy: `error-limit 10`.
        let consecutive = consecutive.unwrap_or(10).to_string();
        section.add(
            "ejection",
            inline(&[("consecutive".to_owned(), consecutive)]),
            &[],
        );
    }
    if let Some(number) = one(&all, |server| server.maxconn, "max-requests", ledger) {
        section.add("max-requests", number.to_string(), &[]);
    }
    if let Some((time, line)) = limits::timeout(config, at, "queue", ledger) {
        section.add("queue-timeout", text(&shown(time.min(3_600_000))), &[line]);
    }
    retries(proxy, &mut section, ledger);
    tls(&used, none_verified, base.as_deref(), &mut section, ledger);
    if let Some(version) = one(&all, |server| server.proxy, "proxy-protocol", ledger) {
        section.add("proxy-protocol", text(version), &[]);
    }
    Some(section)
}

/// `ca-base`, `crt-base`: what relative names of files are below of.
pub(super) fn base(config: &Config, name: &str) -> Option<String> {
    let line = config.global.iter().rfind(|line| line.begins(&[name]))?;
    Some(line.word(1).to_owned())
}

/// A file as the site file names it, or none when it cannot be one.
pub(super) fn file(path: &str, base: Option<&str>) -> Option<String> {
    let whole = match (path.starts_with('/'), base) {
        (false, Some(base)) => format!("{}/{path}", base.trim_end_matches('/')),
        _ => path.to_owned(),
    };
    let fits = !path.is_empty()
        && !whole.ends_with('/')
        && !whole.starts_with('@')
        && !whole.chars().any(char::is_control);
    fits.then_some(whole)
}

fn retries(proxy: &Proxy, section: &mut Section, ledger: &mut Ledger) {
    if let Some(line) = proxy.last(&["retries"]) {
        match line.word(1).parse::<u32>() {
            // HAProxy counts what comes after the first try.
            Ok(number) if number < 10 => {
                ledger.carried(line.number);
                let attempts = ("attempts".to_owned(), (number + 1).to_string());
                section.add("retries", inline(&[attempts]), &[line.number]);
            }
            _ => ledger.lost(
                line.number,
                "a request is tried 10 times at most",
                "retries = { attempts = 3 }",
            ),
        }
    }
    if let Some(line) = proxy.option("redispatch") {
        ledger.needless(line.number, "every further try is at another endpoint");
    }
    if let Some(line) = proxy.last(&["retry-on"]) {
        ledger.needless(line.number, "a request is sent again whenever that can do no harm, and never otherwise; `retries` has a budget");
    }
}

fn tls(
    servers: &[Server],
    none_verified: bool,
    base: Option<&str>,
    section: &mut Section,
    ledger: &mut Ledger,
) {
    let Some(first) = servers.first().filter(|server| server.tls.on) else {
        return;
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(authority) = &first.tls.authority {
        match file(authority, base) {
            Some(path) => pairs.push(("authority".to_owned(), text(&path))),
            None => ledger.lost_part(
                first.line,
                authority,
                "it names no file",
                "authority = \"tls/internal.pem\"",
            ),
        }
    }
    if let Some(name) = &first.tls.name {
        pairs.push(("server-name".to_owned(), text(name)));
    }
    if let Some(certificate) = &first.tls.certificate {
        match file(certificate, base) {
            Some(path) => pairs.extend([
                ("certificate".to_owned(), text(&path)),
                ("key".to_owned(), text(&path)),
            ]),
            None => ledger.lost_part(
                first.line,
                certificate,
                "it names no file",
                "certificate and key",
            ),
        }
    }
    if !first.tls.verify.unwrap_or(!none_verified) {
        pairs.push(("verify".to_owned(), "false".to_owned()));
    }
    let value = match pairs.is_empty() {
        true => "{}".to_owned(),
        false => inline(&pairs),
    };
    section.vital("tls", value, &[]);
}
