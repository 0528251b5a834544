//! Pure: the heads of the web server's own responses.

use std::io::Write as _;
use std::time::Duration;

use crate::range::Selection;
use crate::site_files::SiteFile;

/// How long a client may keep what it got.
pub(crate) fn file_head(
    file: &SiteFile,
    status: u16,
    selection: Selection,
    max_age: Duration,
    close: bool,
    out: &mut Vec<u8>,
) {
    let reason = match status {
        206 => "Partial Content",
        304 => "Not Modified",
        412 => "Precondition Failed",
        416 => "Range Not Satisfiable",
        _ => "OK",
    };
    let mut head = format!(
        "HTTP/1.1 {status} {reason}\r\nETag: {}\r\nLast-Modified: {}\r\n\
         Cache-Control: public, max-age={}\r\nAccept-Ranges: bytes\r\n",
        file.etag,
        httpdate::fmt_http_date(file.modified),
        max_age.as_secs(),
    );
    let content = match (status, selection) {
        (200, _) => format!(
            "Content-Type: {}\r\nContent-Length: {}\r\n",
            file.mime, file.size
        ),
        (206, Selection::Part { start, length }) => format!(
            "Content-Type: {}\r\nContent-Length: {length}\r\nContent-Range: bytes {start}-{}/{}\r\n",
            file.mime,
            start + length - 1,
            file.size
        ),
        (416, _) => format!(
            "Content-Length: 0\r\nContent-Range: bytes */{}\r\n",
            file.size
        ),
        (304, _) => String::new(),
        _ => "Content-Length: 0\r\n".to_owned(),
    };
    head.push_str(&content);
    // A browser must not guess that an uploaded text is a script.
    head.push_str("X-Content-Type-Options: nosniff\r\n");
    head.push_str(connection(close));
    head.push_str("\r\n");
    out.extend_from_slice(head.as_bytes());
}

/// A short text: health answers and errors. `body`: false for HEAD.
pub(crate) fn text(
    status: u16,
    extra: &str,
    text: &str,
    body: bool,
    close: bool,
    out: &mut Vec<u8>,
) {
    let reason = match status {
        200 => "OK",
        301 => "Moved Permanently",
        400 => "Bad Request",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    };
    // Writing to a Vec cannot fail.
    write!(
        out,
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\n{extra}{}\r\n",
        text.len(),
        connection(close)
    )
    .unwrap_or_default();
    if body {
        out.extend_from_slice(text.as_bytes());
    }
}

fn connection(close: bool) -> &'static str {
    if close { "Connection: close\r\n" } else { "" }
}
