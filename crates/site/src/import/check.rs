//! Pure: `check`, `option httpchk`, `http-check …`, `option tcp-check` → `health` of a backend.
//!
//! Source: HAProxy configuration manual, sections 4.2 (`option httpchk`, `http-check send`,
//! `http-check expect`, `option tcp-check`) and 5.2 (`check`, `inter`, `rise`, `fall`).

use super::config::Proxy;
use super::document::{inline, list, text};
use super::fetch::usable;
use super::ledger::{Ledger, Unfit};
use super::limits::shown;
use super::server::Server;

/// What is asked over HTTP.
struct Question {
    method: String,
    path: String,
    host: Option<String>,
    headers: Vec<(String, String)>,
    status: Vec<String>,
    body: Option<String>,
}

/// The key's value, and the lines it comes from.
pub(super) fn health(
    proxy: &Proxy,
    servers: &[Server],
    http: bool,
    timeout: Option<(u64, u32)>,
    ledger: &mut Ledger,
) -> Option<(String, Vec<u32>)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut lines = Vec::new();
    let mut pair = |key: &str, value: String| pairs.push((key.to_owned(), value));
    if !servers.iter().any(|server| server.check) {
        pair("kind", text("none"));
        for line in proxy.all(&["http-check"]).chain(proxy.all(&["tcp-check"])) {
            ledger.needless(line.number, "no server of the backend has `check`");
        }
        return Some((inline(&pairs), lines));
    }
    if let Some(unchecked) = servers.iter().find(|server| !server.check) {
        ledger.differs(
            unchecked.line,
            "all endpoints of a backend are checked, or none",
            "",
        );
    }
    let asked = proxy.option("httpchk");
    match asked {
        Some(line) => {
            ledger.carried(line.number);
            lines.push(line.number);
            let question = question(proxy, line.from(2), &mut lines, ledger);
            if !http {
                pair("kind", text("http"));
            }
            if question.method != "GET" {
                pair("method", text(&question.method));
            }
            pair("path", text(&question.path));
            if let Some(host) = &question.host {
                pair("host", text(host));
            }
            if !question.headers.is_empty() {
                let headers: Vec<_> = question
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone(), text(value)))
                    .collect();
                pair("headers", inline(&headers));
            }
            pair("status", list(question.status.iter().map(String::as_str)));
            if let Some(body) = &question.body {
                pair("body", text(body));
            }
        }
        None => {
            if http {
                pair("kind", text("tcp"));
            }
            of_tcp(proxy, &mut lines, ledger);
        }
    }
    let checked: Vec<&Server> = servers.iter().filter(|server| server.check).collect();
    let tls = checked.iter().any(|server| server.check_ssl);
    if tls && !checked.iter().any(|server| server.tls.on) {
        pair("tls", "true".to_owned());
    }
    if let Some(port) = one(&checked, |server| server.port, "health.port", ledger) {
        pair("port", port.to_string());
    }
    // HAProxy: `inter 2s`; `timeout check` or the interval, whatever is shorter.
    let interval = one(&checked, |server| server.inter, "health.interval", ledger);
    let doubt = one(
        &checked,
        |server| server.fastinter,
        "health.interval-in-doubt",
        ledger,
    );
    let within = interval.unwrap_or(1000);
    if let Some(interval) = interval {
        pair("interval", text(&shown(interval)));
    }
    if let Some(doubt) = doubt {
        pair("interval-in-doubt", text(&shown(doubt)));
    }
    if let Some((time, line)) = timeout {
        if time > within {
            ledger.differs(
                line,
                format!(
                    "a check's timeout is not longer than its interval: {}",
                    shown(within)
                ),
                "a longer `interval`",
            );
        }
        lines.push(line);
        pair("timeout", text(&shown(time.clamp(10, within))));
    }
    if let Some(rise) = one(&checked, |server| server.rise, "health.rise", ledger) {
        pair("rise", rise.to_string());
    }
    if let Some(fall) = one(&checked, |server| server.fall, "health.fall", ledger) {
        pair("fall", fall.to_string());
    }
    (!pairs.is_empty()).then(|| (inline(&pairs), lines))
}

/// One value for all endpoints: the first one's.
pub(super) fn one<T: PartialEq + Copy + std::fmt::Display>(
    servers: &[&Server],
    pick: fn(&Server) -> Option<T>,
    key: &str,
    ledger: &mut Ledger,
) -> Option<T> {
    let value = servers.iter().find_map(|server| pick(server))?;
    for server in servers {
        if pick(server).is_some_and(|other| other != value) {
            ledger.differs(
                server.line,
                format!("`{key}` is one for all endpoints of the backend: {value}"),
                "two backends, if they must differ",
            );
        }
    }
    Some(value)
}

fn question(
    proxy: &Proxy,
    words: &[String],
    lines: &mut Vec<u32>,
    ledger: &mut Ledger,
) -> Question {
    let mut question = Question {
        // HAProxy asks with OPTIONS, and is content with 2xx and 3xx.
        method: "OPTIONS".to_owned(),
        path: "/".to_owned(),
        host: None,
        headers: Vec::new(),
        status: vec!["200-399".to_owned()],
        body: None,
    };
    let option = proxy.option("httpchk").map_or(0, |line| line.number);
    match words {
        [] => {}
        [path] => question.path.clone_from(path),
        [method, path, version @ ..] => {
            question.method.clone_from(method);
            question.path.clone_from(path);
            // Before HAProxy 2.2, fields were smuggled in behind the version.
            let version = version.join(" ");
            for field in version.split("\r\n").skip(1) {
                if let Some((name, value)) = field.split_once(':') {
                    question.field(name.trim(), value.trim());
                }
            }
        }
    }
    for line in proxy.all(&["http-check"]) {
        let done = match line.word(1) {
            "send" => question.send(line.from(2)),
            "expect" => question.expect(line.from(2)),
            "comment" => Ok(()),
            "send-state" => Err(Unfit::new("endpoints are not told their own state", "")),
            "disable-on-404" => Err(Unfit::new(
                "an endpoint is up or down",
                "weight = 0 at the endpoint, to let it run empty",
            )),
            "connect" if line.words.len() == 2 => Ok(()),
            _ => Err(Unfit::new(
                "a check asks one question, and looks at status and body",
                "a path of the application that does the rest",
            )),
        };
        match done {
            Ok(()) => {
                ledger.carried(line.number);
                lines.push(line.number);
            }
            Err(unfit) => ledger.unfit(line.number, unfit),
        }
    }
    if !matches!(question.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
        ledger.lost_part(
            option,
            &question.method,
            "a check changes nothing: it asks with GET, HEAD or OPTIONS",
            "method = \"GET\"",
        );
        "GET".clone_into(&mut question.method);
    }
    let valid = question.path.starts_with('/')
        && question.path.len() <= 1024
        && question
            .path
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'#');
    if !valid {
        ledger.lost_part(
            option,
            &question.path,
            "it is no path of a URL",
            "path = \"/healthz\"",
        );
        "/".clone_into(&mut question.path);
    }
    question
}

impl Question {
    fn field(&mut self, name: &str, value: &str) {
        let host = |c: char| c.is_ascii_graphic() && !"/@?#".contains(c);
        if name.eq_ignore_ascii_case("host") {
            if !value.is_empty() && value.chars().all(host) {
                self.host = Some(value.to_owned());
            }
        } else if !name.eq_ignore_ascii_case("connection")
            && super::is_token(name)
            && !value.chars().any(char::is_control)
        {
            self.headers
                .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }

    fn send(&mut self, words: &[String]) -> Result<(), Unfit> {
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default();
            match word {
                "meth" => value().clone_into(&mut self.method),
                "uri" => value().clone_into(&mut self.path),
                "ver" => {
                    value();
                }
                "hdr" => {
                    let (name, field) = (value(), words.next().unwrap_or_default());
                    self.field(name, field);
                }
                other => {
                    return Err(Unfit::new(
                        format!("a check sends no `{other}`"),
                        "method, path, host and headers",
                    ));
                }
            }
        }
        Ok(())
    }

    fn expect(&mut self, words: &[String]) -> Result<(), Unfit> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // Options before what is expected have two words each, and tell only of logs and timing.
        let known = ["status", "rstatus", "string", "rstring"];
        let at = words
            .iter()
            .position(|word| known.contains(word) || *word == "!");
        let told = at.and_then(|at| words.get(at..)).unwrap_or_default();
        let body = |pattern: String| usable(&pattern).map(|()| pattern);
        match told {
            ["status", list] => {
                let valid = |text: &&str| {
                    let status =
                        |text: &str| text.parse::<u16>().is_ok_and(|s| (200..=599).contains(&s));
                    match text.split_once('-') {
                        Some((from, to)) => status(from) && status(to) && from <= to,
                        None => status(text),
                    }
                };
                let all: Vec<&str> = list.split(',').collect();
                if !all.iter().all(valid) {
                    return Err(Unfit::new(
                        format!("`{list}` is no list of statuses of 200 to 599"),
                        "status = [\"200-399\"]",
                    ));
                }
                self.status = all.into_iter().map(str::to_owned).collect();
            }
            ["rstatus", regex] => {
                self.status = statuses(regex).ok_or_else(|| {
                    Unfit::new(
                        "statuses are numbers and ranges, not an expression",
                        "status = [\"200-399\"]",
                    )
                })?;
            }
            ["string", words] => {
                self.body = Some(body(regex_syntax::escape(words))?);
                self.status = vec!["200-599".to_owned()];
            }
            ["rstring", regex] => {
                self.body = Some(body((*regex).to_owned())?);
                self.status = vec!["200-599".to_owned()];
            }
            _ => {
                return Err(Unfit::new(
                    "a check says what must come, not what must not",
                    "status and body",
                ));
            }
        }
        Ok(())
    }
}

/// `^2..`, `(2|3)[0-9][0-9]`, `^(2|3)..$`
fn statuses(regex: &str) -> Option<Vec<String>> {
    let inner = regex.strip_prefix('^').unwrap_or(regex);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    let first = ["..", "[0-9][0-9]", "[0-9]{2}", "\\d\\d", "\\d{2}"]
        .iter()
        .find_map(|rest| inner.strip_suffix(rest))?;
    let digits: Vec<char> = first.chars().filter(|c| !"()[]|".contains(*c)).collect();
    let (least, most) = (digits.iter().min()?, digits.iter().max()?);
    let valid = digits.iter().all(|digit| matches!(digit, '2'..='5'));
    // In a row, they are one range.
    let whole = ('2'..='5')
        .filter(|c| (least..=most).contains(&c))
        .all(|c| digits.contains(&c));
    (valid && whole).then(|| vec![format!("{least}00-{most}99")])
}

/// A connection that opens is a success.
fn of_tcp(proxy: &Proxy, lines: &mut Vec<u32>, ledger: &mut Ledger) {
    if let Some(line) = proxy.option("tcp-check") {
        ledger.carried(line.number);
        lines.push(line.number);
    }
    for line in proxy.all(&["tcp-check"]) {
        match (line.word(1), line.words.len()) {
            ("connect", 2) | ("comment", _) => ledger.carried(line.number),
            _ => ledger.lost(
                line.number,
                "a check of bytes opens a connection, and says nothing",
                "kind = \"http\", if the service can answer that",
            ),
        }
    }
    for name in [
        "mysql-check",
        "pgsql-check",
        "redis-check",
        "smtpchk",
        "ldap-check",
        "ssl-hello-chk",
        "spop-check",
        "external-check",
    ] {
        if let Some(line) = proxy.option(name) {
            ledger.lost(
                line.number,
                "a check opens a connection; it does not speak the service's language",
                "kind = \"tcp\", which is written; or kind = \"http\" and a port that answers",
            );
        }
    }
    for line in proxy.all(&["http-check"]) {
        ledger.needless(line.number, "without `option httpchk` it has no effect");
    }
}
