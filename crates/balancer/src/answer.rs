//! Pure: the balancer's own responses.

use std::io::Write as _;
use std::time::Duration;

use http::Fault;

use crate::reason::Reason;

/// A response of our own.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: Reason,
    pub(crate) content: Content,
    pub(crate) retry_after: Option<Duration>,
    /// What went wrong, for the log.
    pub(crate) fault: Option<Fault>,
    /// The request was well-formed and has no body: the connection can go on.
    pub(crate) keep: bool,
    pub(crate) is_head: bool,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// Status and reason in words.
    Page,
    /// A redirect.
    Location(String),
    /// As it stands in the site file.
    Text(String),
}

impl Answer {
    /// To a request that cannot be understood, or was not answered.
    pub(crate) fn of_fault(fault: Fault) -> Self {
        let reason = Reason::of_fault(&fault);
        Self {
            status: fault.status(),
            reason,
            content: Content::Page,
            retry_after: None,
            fault: Some(fault),
            keep: false,
            is_head: false,
        }
    }
}

/// What stands in every answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner<'a> {
    pub(crate) request_id: &'a str,
    /// `Mainstay-Reason` is said.
    pub(crate) reason_header: bool,
    pub(crate) hsts: Option<&'a str>,
    /// A page of the site's own for this status.
    pub(crate) page: Option<&'a str>,
}

/// The reason phrase of a status (RFC 9110 section 15); clients do not read it.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        205 => "Reset Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        100..=399 => "OK",
        _ => "Error",
    }
}

/// What a visitor reads. The cause stands in the access log, found by the request's id: a visitor
/// cannot use it, an attacker could.
fn sentence(status: u16, reason: Reason) -> &'static str {
    match status {
        _ if reason == Reason::Maintenance => {
            "The site is being worked on. Please come back in a while."
        }
        403 => "You may not see this page.",
        404 => "There is nothing at this address.",
        408 => "The request did not arrive in time.",
        413 => "The request is larger than this site accepts.",
        421 => "This server does not serve the site you asked for.",
        429 => "Too many requests came from you. Please try again in a moment.",
        400 | 431 | 501 => "The request could not be understood.",
        504 => "The site took too long to answer. Please try again in a moment.",
        _ => "The site cannot answer right now. Please try again in a moment.",
    }
}

/// A balancer that has nobody to ask will soon: RFC 9110 section 10.2.3.
const SOON: Duration = Duration::from_secs(5);

/// Appends the whole response.
pub(crate) fn write(answer: &Answer, manner: &Manner<'_>, out: &mut Vec<u8>) {
    let status = answer.status;
    let phrase = phrase(status);
    let (kind, body) = match &answer.content {
        Content::Page => {
            let page = match manner.page {
                Some(page) => page
                    .replace("{status}", &status.to_string())
                    .replace("{request-id}", manner.request_id),
                None => page(status, phrase, answer.reason, manner.request_id),
            };
            ("text/html; charset=utf-8", page)
        }
        Content::Location(_) => ("text/plain; charset=utf-8", String::new()),
        Content::Text(text) => ("text/plain; charset=utf-8", text.clone()),
    };
    // RFC 9110 sections 6.4.1 and 15.3.6: a client would take what follows for its next answer.
    let body = if status == 205 { String::new() } else { body };
    let bodiless = matches!(status, 204 | 304);
    let retry = match (answer.retry_after, status) {
        (Some(retry), _) => Some(retry),
        (None, 503) => Some(SOON),
        (None, _) => None,
    };
    // Writing to a Vec cannot fail.
    write!(out, "HTTP/1.1 {status} {phrase}\r\n").unwrap_or_default();
    // RFC 9110 section 8.6: 204 has none.
    if !bodiless {
        write!(
            out,
            "Content-Type: {kind}\r\nContent-Length: {}\r\n",
            body.len()
        )
        .unwrap_or_default();
    }
    if let Content::Location(location) = &answer.content {
        write!(out, "Location: {location}\r\n").unwrap_or_default();
    } else if !matches!(answer.content, Content::Text(_)) {
        out.extend_from_slice(b"Cache-Control: no-store\r\n");
    }
    if let Some(retry) = retry {
        // Whole seconds, at least one: 0 would mean "at once".
        let seconds = retry.as_millis().div_ceil(1000).max(1);
        write!(out, "Retry-After: {seconds}\r\n").unwrap_or_default();
    }
    if manner.reason_header {
        write!(out, "Mainstay-Reason: {}\r\n", answer.reason).unwrap_or_default();
    }
    if let Some(hsts) = manner.hsts {
        write!(out, "Strict-Transport-Security: {hsts}\r\n").unwrap_or_default();
    }
    if !answer.keep {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    write!(out, "X-Request-Id: {}\r\n\r\n", manner.request_id).unwrap_or_default();
    if !answer.is_head && !bodiless {
        out.extend_from_slice(body.as_bytes());
    }
}

fn page(status: u16, phrase: &str, reason: Reason, request_id: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{phrase}</title><style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;\
         margin:20vh auto;padding:0 1rem}}small{{opacity:.6}}</style>\
         <h1>{phrase}</h1><p>{}</p><small>{status} · {request_id}</small>\n",
        sentence(status, reason)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stands_behind_a_head_that_has_no_body() {
        let written = |status: u16| {
            let answer = Answer {
                status,
                reason: Reason::Answered,
                content: Content::Text("hello".to_owned()),
                retry_after: None,
                fault: None,
                keep: true,
                is_head: false,
            };
            let manner = Manner {
                request_id: "abc",
                reason_header: false,
                hsts: None,
                page: None,
            };
            let mut out = Vec::new();
            write(&answer, &manner, &mut out);
            let text = String::from_utf8(out).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("Content-Length: "));
            (length.map(str::to_owned), body.to_owned())
        };
        let nothing = String::new;
        assert_eq!(written(200), (Some("5".to_owned()), "hello".to_owned()));
        assert_eq!(written(204), (None, nothing()));
        assert_eq!(written(205), (Some("0".to_owned()), nothing()));
        assert_eq!(written(304), (None, nothing()));
    }
}
