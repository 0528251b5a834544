//! Pure: If-* fields against a file's validators, in the order of RFC 9110 section 13.2.2.

use std::time::SystemTime;

use http::head::Fields;

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 200, or 206 when a range is asked for.
    Send,
    NotModified,
    PreconditionFailed,
}

/// For GET and HEAD. `modified` has whole seconds.
pub fn evaluate(fields: Fields<'_, '_>, etag: &str, modified: SystemTime) -> Verdict {
    if fields.get("if-match").is_some() {
        if !fields.all("if-match").any(|list| lists(list, etag, false)) {
            return Verdict::PreconditionFailed;
        }
    } else if date(fields, "if-unmodified-since").is_some_and(|date| modified > date) {
        return Verdict::PreconditionFailed;
    }
    if fields.get("if-none-match").is_some() {
        if fields
            .all("if-none-match")
            .any(|list| lists(list, etag, true))
        {
            return Verdict::NotModified;
        }
    } else if date(fields, "if-modified-since").is_some_and(|date| modified <= date) {
        return Verdict::NotModified;
    }
    Verdict::Send
}

/// Whether a Range still applies (RFC 9110 section 13.1.5): strong comparison, exact date.
pub fn range_applies(fields: Fields<'_, '_>, etag: &str, modified: SystemTime) -> bool {
    match fields.text("if-range") {
        None => true,
        Some(value) if value.starts_with('"') => value == etag,
        Some(value) => httpdate::parse_http_date(value).is_ok_and(|date| date == modified),
    }
}

fn date(fields: Fields<'_, '_>, name: &str) -> Option<SystemTime> {
    // A date that cannot be read is ignored (RFC 9110 section 13.1.3).
    fields
        .text(name)
        .and_then(|value| httpdate::parse_http_date(value).ok())
}

/// Whether a list of entity tags has `etag`, or is `*`. Our tags have no comma.
fn lists(list: &[u8], etag: &str, weak: bool) -> bool {
    list.split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .any(|tag| {
            tag == b"*"
                || tag == etag.as_bytes()
                || weak && tag.strip_prefix(b"W/") == Some(etag.as_bytes())
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::head::{Storage, request};

    use super::*;

    /// 784111777 is 06 Nov 1994 08:49:37, RFC 9110's example date.
    #[track_caller]
    fn check(lines: &str, expected: Verdict) {
        let text = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n");
        let mut storage = Storage::new();
        let fields = request(text.as_bytes(), &mut storage).unwrap().fields;
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(evaluate(fields, "\"a\"", modified), expected, "{lines}");
    }

    #[test]
    fn each_field() {
        check("If-None-Match: \"a\"", Verdict::NotModified);
        check("If-None-Match: \"b\", W/\"a\"", Verdict::NotModified);
        check("If-None-Match: *", Verdict::NotModified);
        check("If-None-Match: \"b\"", Verdict::Send);
        check("If-Match: \"a\"", Verdict::Send);
        check("If-Match: W/\"a\"", Verdict::PreconditionFailed);
        check("If-Match: \"b\"", Verdict::PreconditionFailed);
        check(
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
            Verdict::NotModified,
        );
        check(
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT",
            Verdict::Send,
        );
        check("If-Modified-Since: yesterday", Verdict::Send);
        check(
            "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT",
            Verdict::PreconditionFailed,
        );
    }

    #[test]
    fn a_tag_outweighs_a_date() {
        let date = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT";
        check(&format!("If-None-Match: \"b\"\r\n{date}"), Verdict::Send);
    }
}
