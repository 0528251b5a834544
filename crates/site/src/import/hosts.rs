//! Pure: what an ACL says of hosts → names, and `*.` with a name.
//!
//! Source: HAProxy configuration manual, sections 7.1.3 (string matching) and 7.3.6 (`hdr`).

use std::collections::BTreeSet;

use super::fetch::{Compare, Test};
use super::ledger::Unfit;

pub(super) fn hosts(
    test: &Test<'_>,
    differs: &mut Option<Unfit>,
) -> Result<BTreeSet<String>, Unfit> {
    let mut hosts = BTreeSet::new();
    for value in test.values {
        let plain = value.to_ascii_lowercase();
        // A route's host is without the port.
        let plain = match plain.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
            _ => plain,
        };
        match test.compare {
            Compare::Exactly => {
                hosts.insert(plain);
            }
            Compare::Ends if plain.starts_with('.') => {
                hosts.insert(format!("*{plain}"));
            }
            Compare::Ends | Compare::Labels => {
                let name = plain.trim_matches('.');
                hosts.extend([name.to_owned(), format!("*.{name}")]);
                if test.compare == Compare::Ends {
                    *differs = Some(Unfit::new(
                        format!("`{value}` is of whole labels: {name} and x.{name}, not x{name}"),
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
