//! Pure: HAProxy's log-format strings, as they stand in header values, redirects and paths → text with
//! Mainstay's `{names}`.
//!
//! Source: HAProxy configuration manual, section 8.2.6 "Custom log format".

use super::ledger::Unfit;

/// Where the text will stand, which decides what can be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Header,
    Redirect,
    Path,
}

pub(super) fn text(format: &str, place: Place) -> Result<String, Unfit> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '{' | '}' => {
                return Err(Unfit::new(
                    "a `{` in a text stands for something that is filled in",
                    "a text without braces",
                ));
            }
            '%' if after.starts_with('%') => {
                out.push('%');
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
            '%' if after.starts_with('[') => {
                let (expression, next) = expression(after)?;
                out.push_str(&filled(expression, place)?);
                rest = next;
                continue;
            }
            '%' => {
                let name: String = after
                    .chars()
                    .take_while(char::is_ascii_alphanumeric)
                    .collect();
                let known = match name.as_str() {
                    "ci" => filled("src", place)?,
                    "ID" => filled("unique-id", place)?,
                    "HM" | "HP" | "HU" | "HQ" | "hr" | "s" | "b" | "" => {
                        return Err(unknown(&format!("%{name}")));
                    }
                    _ => return Err(unknown(&format!("%{name}"))),
                };
                out.push_str(&known);
                rest = after.get(name.len()..).unwrap_or_default();
                continue;
            }
            c if c.is_control() => {
                return Err(Unfit::new(
                    "a value is one line",
                    "a value without a line end",
                ));
            }
            c => out.push(c),
        }
        rest = after;
    }
    // `{query}` has its question mark.
    let out = out.replace("?{query}", "{query}").trim().to_owned();
    match out.len() {
        0..=4096 => Ok(out),
        _ => Err(Unfit::new("a value has at most 4 KiB", "a shorter one")),
    }
}

/// `[…]` and what stands behind it.
fn expression(text: &str) -> Result<(&str, &str), Unfit> {
    let inner = text.strip_prefix('[').unwrap_or(text);
    inner
        .split_once(']')
        .ok_or_else(|| Unfit::new("a `%[` without its `]`", "the value itself"))
}

fn filled(expression: &str, place: Place) -> Result<String, Unfit> {
    let name = match (expression, place) {
        ("src", Place::Header) => "{client}",
        (
            "req.hdr(host)" | "hdr(host)" | "req.hdr(Host)" | "hdr(Host)" | "req.fhdr(host)",
            Place::Header | Place::Redirect,
        ) => "{host}",
        ("unique-id", Place::Header) => "{request-id}",
        ("path", Place::Redirect | Place::Path) => "{path}",
        ("query", Place::Redirect) => "{query}",
        ("url" | "capture.req.uri" | "pathq", Place::Redirect) => "{path}{query}",
        _ => match expression
            .strip_prefix("str(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            Some(text) if !text.contains(['(', ')', ',', '{', '}']) => return Ok(text.to_owned()),
            _ => return Err(unknown(&format!("%[{expression}]"))),
        },
    };
    Ok(name.to_owned())
}

fn unknown(what: &str) -> Unfit {
    Unfit::new(
        format!("`{what}` cannot be filled in"),
        "what can be: {client}, {host}, {scheme}, {request-id} and {route} in header fields; {scheme}, {host}, {path} and {query} in redirects",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_become_names() {
        let of = |text, place| super::text(text, place).ok();
        assert_eq!(of("%[src]", Place::Header).as_deref(), Some("{client}"));
        assert_eq!(
            of("%ci:100%%", Place::Header).as_deref(),
            Some("{client}:100%")
        );
        assert_eq!(
            of("https://www.%[hdr(host)]%[path]?%[query]", Place::Redirect).as_deref(),
            Some("https://www.{host}{path}{query}")
        );
        assert_eq!(of("%[ssl_fc]", Place::Header), None);
        assert_eq!(of("{x}", Place::Header), None);
    }
}
