//! Pure: `backend` and `listen` with their servers → `[backends.NAME]`.
//!
//! Source: HAProxy configuration manual, section 4.2 (`balance`, `hash-type`, `cookie`, `retries`,
//! `stick on`) and 5.2.

use super::check::{health, one};
use super::config::{Config, Proxy};
use super::document::{Row, Section, Value, inline, text};
use super::ledger::{Ledger, Unfit};
use super::limits::{self, shown};
use super::server::Server;

/// Servers that one `server-template` may stand for.
const TEMPLATE: u32 = 1000;
/// Endpoints of a backend at most.
const MOST: usize = 10_000;

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

fn servers(proxy: &Proxy, ledger: &mut Ledger) -> Vec<Server> {
    let mut defaults: Vec<String> = Vec::new();
    let mut servers = Vec::new();
    for line in proxy.inherited.iter().chain(&proxy.own) {
        match line.word(0) {
            "default-server" => {
                // Read once for itself, so that what is wrong is told here.
                Server::read(line, "", "127.0.0.1:1", line.from(1), &[], ledger);
                ledger.carried(line.number);
                defaults.extend(line.from(1).iter().cloned());
            }
            "server" => {
                ledger.carried(line.number);
                servers.push(Server::read(
                    line,
                    line.word(1),
                    line.word(2),
                    line.from(3),
                    &defaults,
                    ledger,
                ));
            }
            "server-template" => {
                ledger.carried(line.number);
                let range = line.word(2);
                let (from, to) = range.split_once('-').unwrap_or(("1", range));
                let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) else {
                    ledger.lost(
                        line.number,
                        format!("`{range}` is no number of servers"),
                        "endpoints, one by one",
                    );
                    continue;
                };
                if to.saturating_sub(from) >= TEMPLATE {
                    ledger.lost(
                        line.number,
                        format!("more than {TEMPLATE} servers"),
                        "endpoints, one by one",
                    );
                    continue;
                }
                let first = Server::read(line, "", line.word(3), line.from(4), &defaults, ledger);
                // A name is looked up by HAProxy, and would stand for all of them.
                let most = if first.address.is_none() { from } else { to };
                servers.extend((from..=most).map(|number| Server {
                    name: format!("{}{number}", line.word(1)),
                    ..first.clone()
                }));
            }
            _ => {}
        }
    }
    servers
}

/// Rows, and the servers that are among the endpoints.
fn endpoints(servers: &[Server], ledger: &mut Ledger) -> (Vec<Row>, Vec<Server>) {
    let mut rows = Vec::new();
    let mut used: Vec<Server> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for server in servers {
        let out = |why: &str| Row {
            text: server.name.clone(),
            line: server.line,
            out: Some(why.to_owned()),
        };
        let Some(address) = &server.address else {
            ledger.lost(
                server.line,
                server.why_not.clone(),
                "an address with its port, like \"10.0.0.5:80\", for each endpoint",
            );
            rows.push(out(&server.why_not));
            continue;
        };
        if server.disabled {
            ledger.differs(
                server.line,
                "a server that is disabled stands in a comment",
                "",
            );
            rows.push(out(&format!("{address} is disabled")));
            continue;
        }
        if let Some(first) = used.first()
            && !first.tls.agrees(&server.tls)
        {
            let why = "all endpoints of a backend are asked over the same TLS";
            ledger.lost(server.line, why, "a backend of its own");
            rows.push(out(why));
            continue;
        }
        if used.len() >= MOST {
            ledger.lost(
                server.line,
                format!("a backend has at most {MOST} endpoints"),
                "several backends",
            );
            continue;
        }
        let mut pairs = vec![("address".to_owned(), text(address))];
        let visible = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\' && c != '/';
        let named = !server.name.is_empty() && server.name.chars().all(visible);
        let name = if named {
            server.name.clone()
        } else {
            address.clone()
        };
        if !names.insert(name.clone()) {
            ledger.lost(
                server.line,
                format!("there is an endpoint `{name}` already"),
                "another name",
            );
            continue;
        }
        if named {
            pairs.push(("name".to_owned(), text(&name)));
        }
        if let Some(weight) = server.weight {
            pairs.push(("weight".to_owned(), weight.to_string()));
        }
        if server.backup {
            pairs.push(("backup".to_owned(), "true".to_owned()));
        }
        rows.push(Row {
            text: inline(&pairs),
            line: server.line,
            out: None,
        });
        used.push(server.clone());
    }
    if !used.is_empty() && used.iter().all(|server| server.weight == Some(0)) {
        for row in rows.iter_mut().filter(|row| row.out.is_none()) {
            row.out = Some("every server has weight 0".to_owned());
            ledger.lost(
                row.line,
                "every server of the backend has weight 0",
                "weight = 1",
            );
        }
        used.clear();
    }
    (rows, used)
}

fn balance(proxy: &Proxy, http: bool, section: &mut Section, ledger: &mut Ledger) {
    let consistent = proxy.last(&["hash-type"]);
    let factor = proxy.last(&["hash-balance-factor"]);
    let stick = proxy.all(&["stick", "on"]).last();
    let line = proxy.last(&["balance"]);
    let words: Vec<&str> = line
        .map(|line| line.from(1).iter().map(String::as_str).collect())
        .unwrap_or_default();
    let name = |word: &str, from: &str| -> Option<String> {
        let inner = word.strip_prefix(from)?.strip_suffix(')')?;
        super::is_token(inner)
            .then(|| inner.to_owned())
            .filter(|name| name.len() <= 64)
    };
    let header = |word: &str| {
        ["hdr(", "req.hdr(", "req.fhdr("]
            .iter()
            .find_map(|from| name(word, from))
    };
    let mut unfit = None;
    let mut differs = None;
    let (algorithm, hash) = match words.as_slice() {
        [] | ["roundrobin" | "static-rr", ..] => (None, None),
        ["leastconn", ..] => (Some("least-requests"), None),
        ["random", ..] => (Some("power-of-two"), None),
        ["first", ..] => (Some("first"), None),
        [word, ..] if word.starts_with("random(") => (Some("power-of-two"), None),
        ["source", ..] | ["hash", "src"] => (Some("hash"), Some("source".to_owned())),
        ["uri", options @ ..] if http => {
            if !options.is_empty() {
                differs = Some((
                    "the whole path is hashed",
                    "path-prefix routes, if parts must stay together",
                ));
            }
            (Some("hash"), Some("path".to_owned()))
        }
        ["hash", "path"] if http => (Some("hash"), Some("path".to_owned())),
        [word, ..] if http && word.starts_with("hdr(") && header(word).is_some() => (
            Some("hash"),
            header(word).map(|name| format!("header:{name}")),
        ),
        ["hash", word] if http && header(word).is_some() => (
            Some("hash"),
            header(word).map(|name| format!("header:{name}")),
        ),
        ["hash", word]
            if http && (name(word, "req.cook(").is_some() || name(word, "cook(").is_some()) =>
        {
            let cookie = name(word, "req.cook(").or_else(|| name(word, "cook("));
            (Some("hash"), cookie.map(|name| format!("cookie:{name}")))
        }
        _ => {
            unfit = Some(Unfit::new(
                "there is no such way to choose an endpoint; it is round robin now",
                "hash-by = \"source\", \"path\", \"header:NAME\" or \"cookie:NAME\"",
            ));
            (None, None)
        }
    };
    let lines: Vec<u32> = line.map(|line| line.number).into_iter().collect();
    if let Some(line) = line {
        match (unfit, differs) {
            (Some(unfit), _) => ledger.unfit(line.number, unfit),
            (None, Some((why, instead))) => ledger.differs(line.number, why, instead),
            (None, None) => ledger.carried(line.number),
        }
    }
    let (mut algorithm, mut hash, mut lines) = (algorithm, hash, lines);
    if let Some(stick) = stick {
        match (stick.word(2), algorithm) {
            ("src", None) => {
                ledger.differs(
                    stick.number,
                    "a client is kept at an endpoint by a hash of its address, not by a table",
                    "sticky = \"NAME\", which binds by a cookie",
                );
                (algorithm, hash) = (Some("hash"), Some("source".to_owned()));
                lines.push(stick.number);
            }
            ("src", Some("hash")) => ledger.needless(stick.number, "the hash does it"),
            _ => ledger.lost(
                stick.number,
                "an endpoint is chosen by a hash or a cookie, not by a table",
                "sticky = \"NAME\", or algorithm = \"hash\"",
            ),
        }
    }
    if let Some(algorithm) = algorithm {
        section.add("algorithm", text(algorithm), &lines);
    }
    if let Some(by) = hash {
        if by != "source" {
            section.vital("hash-by", text(&by), &[]);
        }
        // HAProxy has no bound unless it is told one.
        let (bound, lines) = match factor {
            Some(line) => {
                ledger.carried(line.number);
                (
                    line.word(1)
                        .parse::<u16>()
                        .ok()
                        .filter(|bound| *bound <= 10_000)
                        .unwrap_or(125),
                    vec![line.number],
                )
            }
            None => (0, Vec::new()),
        };
        section.add("hash-balance", bound.to_string(), &lines);
    }
    if let Some(line) = consistent {
        ledger.needless(
            line.number,
            "a hash is always consistent: one endpoint more or less moves only its own share",
        );
    }
    if let Some(line) = factor
        && !ledger.knows(line.number)
    {
        ledger.needless(line.number, "it has a meaning only with a hash");
    }
}

fn sticky(proxy: &Proxy, http: bool, section: &mut Section, ledger: &mut Ledger) {
    let Some(line) = proxy.last(&["cookie"]).filter(|_| http) else {
        return;
    };
    let name = line.word(1);
    if !super::is_token(name) || name.len() > 64 {
        ledger.lost(
            line.number,
            format!("`{name}` is no name of a cookie"),
            "sticky = \"NAME\"",
        );
        return;
    }
    let mut how = line.from(2).iter().map(String::as_str);
    let mut insert = false;
    while let Some(word) = how.next() {
        match word {
            "insert" => insert = true,
            "indirect" | "nocache" | "httponly" | "secure" | "preserve" | "dynamic" => {}
            "postonly" => {}
            "domain" | "maxidle" | "maxlife" | "attr" => {
                let value = how.next().unwrap_or_default();
                ledger.lost_part(
                    line.number,
                    &format!("{word} {value}"),
                    "the cookie is for this host and the browser's session",
                    "",
                );
            }
            "rewrite" | "prefix" => {
                ledger.lost(
                    line.number,
                    "a cookie of the application is not changed; Mainstay sets one of its own",
                    "sticky = \"NAME\", with a name that the application does not use",
                );
                return;
            }
            other => ledger.lost_part(line.number, other, "the cookie has no such option", ""),
        }
    }
    if !insert {
        ledger.lost(
            line.number,
            "only a cookie that the balancer sets binds a visitor",
            "sticky = \"NAME\"",
        );
        return;
    }
    section.add("sticky", text(name), &[line.number]);
    ledger.carried(line.number);
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
