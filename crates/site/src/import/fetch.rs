//! Pure: what an ACL looks at and compares with, one test → the things a route can ask for.
//!
//! Source: HAProxy configuration manual, sections 7.1 ("ACL basics", flags and `-m`), 7.3 ("Fetching
//! samples") and 7.4 ("Pre-defined ACLs").

use std::collections::BTreeSet;

use super::acl::{Atom, Counted, Rate, from, header};
use super::conditions::{Conditions, Networks, Path, Value};
use super::ledger::Unfit;
use crate::address::network;
use crate::target::balancer::Network;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Exactly,
    Begins,
    Ends,
    Contains,
    Regex,
    /// Whole segments between slashes.
    Segments,
    /// Whole labels between dots.
    Labels,
    Found,
}

/// ACLs that HAProxy knows by itself.
pub(super) fn predefined(name: &str) -> Option<Vec<Atom>> {
    let method = |names: &[&str]| {
        Some(vec![Atom::Of(Conditions {
            methods: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..Conditions::default()
        })])
    };
    match name {
        "TRUE" | "HTTP" | "HTTP_1.0" | "HTTP_1.1" | "HTTP_2.0" | "REQ_CONTENT" | "WAIT_END" => {
            Some(vec![Atom::Always(true)])
        }
        "FALSE" => Some(vec![Atom::Always(false)]),
        "LOCALHOST" => Some(vec![from(Networks(
            ["127.0.0.0/8", "::1"]
                .iter()
                .filter_map(|text| network(text).ok())
                .collect(),
        ))]),
        "METH_GET" => method(&["GET", "HEAD"]),
        "METH_HEAD" => method(&["HEAD"]),
        "METH_POST" => method(&["POST"]),
        "METH_PUT" => method(&["PUT"]),
        "METH_DELETE" => method(&["DELETE"]),
        "METH_OPTIONS" => method(&["OPTIONS"]),
        "METH_CONNECT" => method(&["CONNECT"]),
        "METH_TRACE" => method(&["TRACE"]),
        _ => None,
    }
}

/// One test → alternatives. `differs`: what is not quite the same.
pub(super) fn atoms(words: &[String], differs: &mut Option<Unfit>) -> Result<Vec<Atom>, Unfit> {
    let [fetch, rest @ ..] = words else {
        return Err(Unfit::new("an acl without a test", "the test"));
    };
    let (name, argument) = name_and_argument(fetch);
    let (name, mut compare) = comparison(name);
    let mut ignore_case = false;
    let mut values: Vec<&str> = Vec::new();
    let mut rest = rest.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "-i" if values.is_empty() => ignore_case = true,
            "-n" | "-u" if values.is_empty() => {}
            "-m" if values.is_empty() => compare = method(rest.next().unwrap_or_default())?,
            "-f" | "-M" if values.is_empty() => {
                return Err(Unfit::new(
                    "its values stand in another file",
                    "the values themselves, in a route",
                ));
            }
            "--" => {
                values.extend(rest.by_ref());
            }
            word => values.push(word),
        }
    }
    let lower = fetch.contains(",lower");
    let test = Test {
        compare,
        ignore_case: ignore_case || lower,
        values: &values,
    };
    match name {
        "always_true" => Ok(vec![Atom::Always(true)]),
        "always_false" => Ok(vec![Atom::Always(false)]),
        "ssl_fc" => Ok(vec![Atom::Tls]),
        "req_proto_http" | "req.proto_http" => Ok(vec![Atom::Always(true)]),
        "path" | "url" | "req.url" | "capture.req.uri" => test.path(differs),
        "method" => test.methods(),
        "src" => test.networks(),
        "hdr" | "req.hdr" | "req.fhdr" | "shdr" if argument.eq_ignore_ascii_case("host") => {
            test.hosts(differs).map(of_hosts)
        }
        "ssl_fc_sni" => test.hosts(differs).map(of_hosts),
        "hdr" | "req.hdr" | "req.fhdr" if super::is_token(argument) => test.header(argument),
        "cook" | "req.cook" if super::is_token(argument) => test.cookie(argument),
        "url_param" | "urlp" if !argument.is_empty() && !argument.contains(',') => {
            test.query(argument)
        }
        "req_ssl_sni" | "req.ssl_sni" => test.hosts(differs).map(|names| vec![Atom::Sni(names)]),
        "req_ssl_hello_type" | "req.ssl_hello_type" => Ok(vec![Atom::Always(true)]),
        _ => match rate(name, argument, &values)? {
            Some(rate) => Ok(vec![Atom::Rate(rate)]),
            None => Err(Unfit::new(
                format!("a route cannot look at `{fetch}`"),
                "host, path, method, header, query or the client's address",
            )),
        },
    }
}

/// `hdr(host),lower` → `hdr`, `host`.
fn name_and_argument(fetch: &str) -> (&str, &str) {
    match fetch.split_once('(') {
        Some((name, rest)) => {
            let inside = rest.split(')').next().unwrap_or_default();
            (name, inside.split(',').next().unwrap_or_default())
        }
        None => (fetch.split(',').next().unwrap_or_default(), ""),
    }
}

/// `path_beg` is `path -m beg`.
fn comparison(name: &str) -> (&str, Compare) {
    const ENDINGS: [(&str, Compare); 7] = [
        ("_beg", Compare::Begins),
        ("_end", Compare::Ends),
        ("_sub", Compare::Contains),
        ("_reg", Compare::Regex),
        ("_dir", Compare::Segments),
        ("_dom", Compare::Labels),
        ("_str", Compare::Exactly),
    ];
    let found = ENDINGS
        .iter()
        .find_map(|(ending, compare)| Some((name.strip_suffix(ending)?, *compare)));
    found.unwrap_or((name, Compare::Exactly))
}

fn method(name: &str) -> Result<Compare, Unfit> {
    Ok(match name {
        "str" => Compare::Exactly,
        "beg" => Compare::Begins,
        "end" => Compare::Ends,
        "sub" => Compare::Contains,
        "reg" => Compare::Regex,
        "dir" => Compare::Segments,
        "dom" => Compare::Labels,
        "found" => Compare::Found,
        "ip" => Compare::Exactly,
        other => {
            return Err(Unfit::new(
                format!("a route does not compare by `-m {other}`"),
                "text or a regular expression",
            ));
        }
    })
}

fn of_hosts(hosts: BTreeSet<String>) -> Vec<Atom> {
    vec![Atom::Of(Conditions {
        hosts: Some(hosts),
        ..Conditions::default()
    })]
}

struct Test<'a> {
    compare: Compare,
    ignore_case: bool,
    values: &'a [&'a str],
}

impl Test<'_> {
    fn path(&self, differs: &mut Option<Unfit>) -> Result<Vec<Atom>, Unfit> {
        let of = |path| {
            Atom::Of(Conditions {
                path,
                ..Conditions::default()
            })
        };
        let valid = |path: &str| {
            path.starts_with('/')
                && path.len() <= 1024
                && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
        };
        if matches!(self.compare, Compare::Exactly | Compare::Begins) && !self.ignore_case {
            if let Some(bad) = self.values.iter().find(|value| !valid(value)) {
                return Err(Unfit::new(
                    format!("`{bad}` is no path of a URL"),
                    "a path that begins with `/`",
                ));
            }
            let mut atoms = Vec::new();
            for value in self.values {
                if self.compare == Compare::Exactly {
                    atoms.push(of(Path::Exact((*value).to_owned())));
                    continue;
                }
                if !value.ends_with('/') {
                    *differs = Some(Unfit::new(
                        format!(
                            "`{value}` is of whole segments: {value} and {value}/x, not {value}x"
                        ),
                        format!(
                            "path-regex = \"^{}\", if {value}x is meant too",
                            regex_syntax::escape(value)
                        ),
                    ));
                }
                atoms.push(of(Path::prefix(value)));
            }
            return Ok(atoms);
        }
        if self.compare == Compare::Found {
            return Ok(vec![Atom::Always(true)]);
        }
        Ok(vec![of(Path::Regex(self.pattern()?))])
    }

    /// All values as one regular expression.
    fn pattern(&self) -> Result<String, Unfit> {
        let one = |value: &&str| {
            let text = regex_syntax::escape(value);
            match self.compare {
                Compare::Exactly | Compare::Found => format!("^{text}$"),
                Compare::Begins => format!("^{text}"),
                Compare::Ends => format!("{text}$"),
                Compare::Contains => text,
                Compare::Segments => format!(
                    "(^|/){}(/|$)",
                    regex_syntax::escape(value.trim_matches('/'))
                ),
                Compare::Labels => format!("(^|[./]){text}([./:]|$)"),
                Compare::Regex => (*value).to_owned(),
            }
        };
        let mut pattern = match self.values {
            [] => return Err(Unfit::new("an acl without a value", "the value")),
            [value] => one(value),
            // `(a|b)$` says how a path ends, and can be put together with a prefix.
            values if self.compare == Compare::Ends => {
                let texts: Vec<String> = values
                    .iter()
                    .map(|value| regex_syntax::escape(value))
                    .collect();
                format!("({})$", texts.join("|"))
            }
            values => {
                let all: Vec<String> = values.iter().map(one).collect();
                format!("({})", all.join("|"))
            }
        };
        if self.ignore_case {
            pattern.insert_str(0, "(?i)");
        }
        usable(&pattern)?;
        Ok(pattern)
    }

    fn methods(&self) -> Result<Vec<Atom>, Unfit> {
        let methods: BTreeSet<String> = self
            .values
            .iter()
            .map(|value| value.to_ascii_uppercase())
            .collect();
        match methods.iter().find(|method| !super::is_token(method)) {
            Some(bad) => Err(Unfit::new(format!("`{bad}` is no method"), "methods")),
            None if methods.is_empty() => Err(Unfit::new("an acl without a value", "the value")),
            None => Ok(vec![Atom::Of(Conditions {
                methods: Some(methods),
                ..Conditions::default()
            })]),
        }
    }

    fn networks(&self) -> Result<Vec<Atom>, Unfit> {
        let mut list = Vec::new();
        for value in self.values {
            list.push(first_of(value).ok_or_else(|| {
                Unfit::new(
                    format!("`{value}` is no address and no network"),
                    "addresses and networks",
                )
            })?);
        }
        match list.is_empty() {
            true => Err(Unfit::new("an acl without a value", "the value")),
            false => Ok(vec![from(Networks(list))]),
        }
    }

    fn header(&self, name: &str) -> Result<Vec<Atom>, Unfit> {
        let value = match (self.compare, self.values) {
            (Compare::Found, _) => Value::Present,
            (Compare::Exactly, [value]) if !self.ignore_case && !value.starts_with('~') => {
                Value::Exactly((*value).to_owned())
            }
            _ => Value::Matching(self.pattern()?),
        };
        Ok(vec![header(name, value)])
    }

    fn cookie(&self, name: &str) -> Result<Vec<Atom>, Unfit> {
        let name = regex_syntax::escape(name);
        let value = match (self.compare, self.values) {
            (Compare::Found, _) => format!("(^|;\\s*){name}="),
            (Compare::Exactly, [value]) => {
                format!("(^|;\\s*){name}={}(;|$)", regex_syntax::escape(value))
            }
            (Compare::Begins, [value]) => {
                format!("(^|;\\s*){name}={}", regex_syntax::escape(value))
            }
            _ => {
                return Err(Unfit::new(
                    "a route compares a cookie with one text",
                    "one route for each value",
                ));
            }
        };
        usable(&value)?;
        Ok(vec![header("cookie", Value::Matching(value))])
    }

    fn query(&self, name: &str) -> Result<Vec<Atom>, Unfit> {
        let value = match (self.compare, self.values) {
            (Compare::Found, _) => Value::Present,
            (Compare::Exactly, [value]) if !self.ignore_case && !value.starts_with('~') => {
                Value::Exactly((*value).to_owned())
            }
            _ => Value::Matching(self.pattern()?),
        };
        Ok(vec![Atom::Of(Conditions {
            query: [(name.to_owned(), value)].into(),
            ..Conditions::default()
        })])
    }

    fn hosts(&self, differs: &mut Option<Unfit>) -> Result<BTreeSet<String>, Unfit> {
        let mut hosts = BTreeSet::new();
        for value in self.values {
            let plain = value.to_ascii_lowercase();
            // A route's host is without the port.
            let plain = match plain.rsplit_once(':') {
                Some((host, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
                _ => plain,
            };
            match self.compare {
                Compare::Exactly => {
                    hosts.insert(plain);
                }
                Compare::Ends if plain.starts_with('.') => {
                    hosts.insert(format!("*{plain}"));
                }
                Compare::Ends | Compare::Labels => {
                    let name = plain.trim_matches('.');
                    hosts.extend([name.to_owned(), format!("*.{name}")]);
                    if self.compare == Compare::Ends {
                        *differs = Some(Unfit::new(
                            format!(
                                "`{value}` is of whole labels: {name} and x.{name}, not x{name}"
                            ),
                            "",
                        ));
                    }
                }
                Compare::Regex => {
                    let host = host_of_regex(value).ok_or_else(|| {
                        Unfit::new(
                            format!("a host is no regular expression: `{value}`"),
                            "the hosts by name, or `*.foobar.com`",
                        )
                    })?;
                    hosts.insert(host);
                }
                Compare::Begins | Compare::Contains | Compare::Segments | Compare::Found => {
                    return Err(Unfit::new(
                        "a route's hosts are names, or `*.` and a name; not parts of names",
                        "the hosts by name",
                    ));
                }
            }
        }
        let valid = |host: &String| {
            let name = host.strip_prefix("*.").unwrap_or(host);
            crate::domain::domain(name).is_ok()
                || name == host && name.parse::<std::net::IpAddr>().is_ok()
        };
        match hosts.iter().find(|host| !valid(host)) {
            Some(bad) => Err(Unfit::new(
                format!("`{bad}` is no host"),
                "hosts by name, or `*.foobar.com`",
            )),
            None if hosts.is_empty() => Err(Unfit::new("an acl without a value", "the value")),
            None => Ok(hosts),
        }
    }
}

/// `^shop\.foobar\.com$` and `\.foobar\.com$` are hosts; most expressions are not.
fn host_of_regex(regex: &str) -> Option<String> {
    let (body, whole) = match regex.strip_prefix('^') {
        Some(body) => (body, true),
        None => (regex, false),
    };
    let body = body.strip_suffix('$')?;
    let body = body.strip_suffix("(:[0-9]+)?").unwrap_or(body);
    let (star, body) = match (whole, body) {
        (false, body) if body.starts_with("\\.") => ("*", body),
        (true, body) => [".*\\.", ".+\\.", "[^.]+\\."]
            .iter()
            .find_map(|any| Some(("*.", body.strip_prefix(any)?)))
            .unwrap_or(("", body)),
        (false, _) => return None,
    };
    let name = body.replace("\\.", "\u{0}").to_ascii_lowercase();
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '\u{0}');
    plain.then(|| format!("{star}{}", name.replace('\u{0}', ".")))
}

/// An address, or the network that an address with a mask stands in.
fn first_of(text: &str) -> Option<Network> {
    if let Ok(network) = network(text) {
        return Some(network);
    }
    let (address, bits) = text.split_once('/')?;
    let bits = bits.parse::<u8>().ok().or_else(|| {
        // `255.255.255.0`
        let mask = u32::from(bits.parse::<std::net::Ipv4Addr>().ok()?);
        let ones = mask.leading_ones();
        (mask.count_ones() == ones).then(|| u8::try_from(ones).unwrap_or(32))
    })?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let first = match address {
        std::net::IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32_u32.checked_sub(u32::from(bits))?)
                .unwrap_or(0);
            std::net::IpAddr::V4((u32::from(v4) & mask).into())
        }
        std::net::IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128_u32.checked_sub(u32::from(bits))?)
                .unwrap_or(0);
            std::net::IpAddr::V6((u128::from(v6) & mask).into())
        }
    };
    Some(Network {
        address: first,
        bits,
    })
}

/// HAProxy has PCRE or POSIX expressions; ours know no look-around and no back-references.
pub(super) fn usable(pattern: &str) -> Result<(), Unfit> {
    let known = regex_syntax::Parser::new().parse(pattern).is_ok();
    match known && (1..=1024).contains(&pattern.len()) {
        true => Ok(()),
        false => Err(Unfit::new(
            format!(
                "`{}` is no regular expression of Mainstay's kind",
                pattern.escape_debug()
            ),
            "one without look-around and back-references, of at most 1024 characters",
        )),
    }
}

/// `sc_http_req_rate(0) gt 100`
fn rate(name: &str, table: &str, values: &[&str]) -> Result<Option<Rate>, Unfit> {
    let (counter, kind) = match name.strip_prefix("src_") {
        Some(kind) => (None, kind),
        None => {
            let Some(rest) = name.strip_prefix("sc") else {
                return Ok(None);
            };
            match rest.strip_prefix('_') {
                Some(kind) => (table.parse().ok(), kind),
                None => match rest.split_once('_') {
                    Some((number, kind)) => (number.parse().ok(), kind),
                    None => return Ok(None),
                },
            }
        }
    };
    let what = match kind {
        "http_req_rate" => Counted::Requests,
        "conn_rate" | "sess_rate" => Counted::Connections,
        "conn_cur" => Counted::Open,
        other => {
            return Err(Unfit::new(
                format!("Mainstay counts requests of a client, not `{other}`"),
                "rate-limit or concurrency of a route",
            ));
        }
    };
    let number = |text: &&str| text.parse::<u32>().ok();
    let above = match values {
        ["gt", above] => number(above),
        ["ge", above] => number(above).and_then(|above| above.checked_sub(1)),
        _ => None,
    };
    let above = above
        .filter(|above| (1..=1_000_000).contains(above))
        .ok_or_else(|| {
            Unfit::new(
                "a limit is a number of 1 to 1000000 that must not be passed (`gt`)",
                "rate-limit = { requests = 100, per = \"10s\" }",
            )
        })?;
    Ok(Some(Rate {
        counter,
        table: if counter.is_none() {
            table.to_owned()
        } else {
            String::new()
        },
        what,
        above,
    }))
}
