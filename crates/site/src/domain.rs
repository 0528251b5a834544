//! Pure: domain names (RFC 1123 section 2.1, RFC 1035 section 2.3.4 for the lengths).

use std::net::IpAddr;

use crate::hint::quoted;

/// Why a text is no domain, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoDomain {
    pub(crate) what: String,
    pub(crate) write: String,
}

/// The domain in lower case.
pub(crate) fn domain(text: &str) -> Result<String, NoDomain> {
    let lower = text.to_ascii_lowercase();
    if lower.parse::<IpAddr>().is_ok() {
        return refuse(
            text,
            "is an address, not a domain",
            "a domain like \"www.foobar.com\"",
        );
    }
    if lower.contains('*') {
        let write = "every domain by itself, like \"www.foobar.com\"";
        return refuse(
            text,
            "has a `*`, which is not available in this version",
            write,
        );
    }
    if !lower.is_ascii() {
        let write = "it in the form that starts with `xn--` (punycode)";
        return refuse(text, "has letters that DNS does not know", write);
    }
    if is_domain(&lower) {
        return Ok(lower);
    }
    match cleaned(&lower) {
        Some(clean) => refuse(text, "is more than a domain", &quoted(&clean)),
        None => refuse(text, "is no domain", "a domain like \"www.foobar.com\""),
    }
}

/// Names that no public authority certifies: reserved (RFC 2606, RFC 6762, ICANN's `internal`) or
/// without a dot.
pub(crate) fn is_private(domain: &str) -> bool {
    let last = domain.rsplit('.').next().unwrap_or(domain);
    const RESERVED: [&str; 6] = [
        "localhost",
        "test",
        "invalid",
        "example",
        "local",
        "internal",
    ];
    !domain.contains('.') || RESERVED.contains(&last)
}

/// One part between dots: also what a server's or a site's name must be.
pub(crate) fn is_label(text: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(known)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The nearest text that is a label, if there is one: what to write instead of `App_1`.
pub(crate) fn as_label(text: &str) -> Option<String> {
    let mut label: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    while label.contains("--") {
        label = label.replace("--", "-");
    }
    let label = label.trim_matches('-').to_owned();
    is_label(&label).then_some(label)
}

fn is_domain(text: &str) -> bool {
    // 253: the longest name that fits the 255 octets of RFC 1035 in text form.
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Without scheme, user, port, path and trailing dot, if that leaves a domain.
fn cleaned(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split(['/', '?', '#']).next()?;
    let text = text.rsplit('@').next()?;
    let text = text.split(':').next()?.trim_end_matches('.');
    is_domain(text).then(|| text.to_owned())
}

fn refuse(text: &str, why: &str, write: &str) -> Result<String, NoDomain> {
    Err(NoDomain {
        what: format!("`{text}` {why}"),
        write: write.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn domains_are_read_in_lower_case() {
        assert_eq!(domain("WWW.Foobar.com").unwrap(), "www.foobar.com");
        assert_eq!(domain("intranet").unwrap(), "intranet");
    }

    #[test]
    fn near_misses_are_cleaned() {
        for text in [
            "https://www.foobar.com/",
            "www.foobar.com:443",
            "www.foobar.com.",
            "http://user@www.foobar.com/path?x",
        ] {
            assert_eq!(
                domain(text).unwrap_err().write,
                "\"www.foobar.com\"",
                "{text}"
            );
        }
        for text in [
            "*.foobar.com",
            "10.0.0.1",
            "foo_bar.com",
            "bücher.de",
            "",
            "-a.com",
            "a..b",
        ] {
            assert!(domain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn private_names_are_known() {
        assert!(is_private("www.foobar.localhost"));
        assert!(is_private("intranet"));
        assert!(!is_private("www.foobar.com"));
    }

    #[test]
    fn names_become_labels() {
        assert_eq!(as_label("App_1").as_deref(), Some("app-1"));
        assert_eq!(as_label("db.1").as_deref(), Some("db-1"));
        assert_eq!(as_label("__"), None);
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_lower_case_and_has_no_surprise(text in ".*") {
            if let Ok(domain) = domain(&text) {
                prop_assert!(domain.chars().all(|c| c.is_ascii_lowercase()
                    || c.is_ascii_digit() || c == '-' || c == '.'));
            }
        }
    }
}
