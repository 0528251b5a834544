//! Pure: what an ACL looks at and compares with, one test → the things a route can ask for.
//!
//! Source: HAProxy configuration manual, sections 7.1 ("ACL basics", flags and `-m`), 7.3 ("Fetching
//! samples") and 7.4 ("Pre-defined ACLs").

use std::collections::BTreeSet;

use super::acl::{Atom, from, header};
use super::conditions::{Conditions, Networks, Value};
use super::ledger::Unfit;
use super::path::{Ends, Path};
use super::{hosts, networks, rate};
use crate::address::network;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
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
            hosts::hosts(&test, differs).map(of_hosts)
        }
        "ssl_fc_sni" => hosts::hosts(&test, differs).map(of_hosts),
        "hdr" | "req.hdr" | "req.fhdr" if super::is_token(argument) => test.header(argument),
        "cook" | "req.cook" if super::is_token(argument) => test.cookie(argument),
        "url_param" | "urlp" if !argument.is_empty() && !argument.contains(',') => {
            test.query(argument)
        }
        "req_ssl_sni" | "req.ssl_sni" => {
            hosts::hosts(&test, differs).map(|names| vec![Atom::Sni(names)])
        }
        "req_ssl_hello_type" | "req.ssl_hello_type" => Ok(vec![Atom::Always(true)]),
        _ => match rate::rate(name, argument, &values)? {
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

/// One comparison.
pub(super) struct Test<'a> {
    pub(super) compare: Compare,
    pub(super) ignore_case: bool,
    pub(super) values: &'a [&'a str],
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
        if self.compare == Compare::Ends && !self.ignore_case {
            // Only what can stand in a path, so that the expression stays within its bounds.
            let fits = |value: &&&str| value.bytes().all(|b| b.is_ascii_graphic());
            let endings: BTreeSet<String> = self
                .values
                .iter()
                .filter(fits)
                .map(|value| (*value).to_owned())
                .collect();
            let ends = Ends {
                below: String::new(),
                endings,
            };
            return match ends.endings.is_empty() {
                true => Err(Unfit::new("an acl without a value", "the value")),
                false => usable(&ends.regex()).map(|()| vec![of(Path::Ends(ends))]),
            };
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
            list.push(networks::first_of(value).ok_or_else(|| {
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
