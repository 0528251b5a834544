//! Pure: `balance`, `hash-type`, `stick on`, `cookie` → how an endpoint is chosen, and kept.
//!
//! Source: HAProxy configuration manual, section 4.2, `balance`, `hash-balance-factor`, `cookie`.

use super::config::Proxy;
use super::document::{Section, text};
use super::ledger::{Ledger, Unfit};

pub(super) fn balance(proxy: &Proxy, http: bool, section: &mut Section, ledger: &mut Ledger) {
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

pub(super) fn sticky(proxy: &Proxy, http: bool, section: &mut Section, ledger: &mut Ledger) {
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
