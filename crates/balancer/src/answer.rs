//! Pure: the balancer's own responses.

use std::io::Write as _;

/// The reason phrase of the statuses we send.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

/// What a visitor reads. The cause stands in the access log, found by the request's id: a visitor
/// cannot use it, an attacker could.
fn sentence(status: u16) -> &'static str {
    match status {
        404 => "There is nothing at this address.",
        408 => "The request did not arrive in time.",
        413 => "The request is larger than this site accepts.",
        421 => "This server does not serve the site you asked for.",
        400 | 431 | 501 => "The request could not be understood.",
        504 => "The site took too long to answer. Please try again in a moment.",
        _ => "The site cannot answer right now. Please try again in a moment.",
    }
}

/// An error as a small page. `body`: false for HEAD.
pub(crate) fn error(status: u16, request_id: &str, body: bool, close: bool, out: &mut Vec<u8>) {
    let reason = reason(status);
    let page = format!(
        "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{reason}</title><style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;\
         margin:20vh auto;padding:0 1rem}}small{{opacity:.6}}</style>\
         <h1>{reason}</h1><p>{}</p><small>{status} · {request_id}</small>\n",
        sentence(status)
    );
    let connection = if close { "Connection: close\r\n" } else { "" };
    // A balancer that has nobody to ask will soon: RFC 9110 section 10.2.3.
    let retry = if status == 503 {
        "Retry-After: 5\r\n"
    } else {
        ""
    };
    // Writing to a Vec cannot fail.
    write!(
        out,
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\n{retry}{connection}\
         X-Request-Id: {request_id}\r\n\r\n",
        page.len()
    )
    .unwrap_or_default();
    if body {
        out.extend_from_slice(page.as_bytes());
    }
}
