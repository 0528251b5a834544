//! Pure: which framing a message's body has (RFC 9112 section 6.3). Stricter than its source where
//! two parties could disagree: a request with both ways of framing, or with two lengths, is refused.

use crate::fault::Kind;
use crate::head::{Fields, RequestHead, ResponseHead};

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    /// Responses only: the end of the connection.
    UntilClose,
}

/// Of a request.
pub fn of_request(head: &RequestHead<'_, '_>) -> Result<Framing, Kind> {
    let coding = transfer_coding(head.fields)?;
    let length = content_length(head.fields)?;
    match (coding, length) {
        (true, Some(_)) => Err(Kind::Malformed(
            "Transfer-Encoding together with Content-Length",
        )),
        (true, None) if head.minor == 0 => Err(Kind::Malformed("Transfer-Encoding in HTTP/1.0")),
        (true, None) => Ok(Framing::Chunked),
        (false, None | Some(0)) => Ok(Framing::None),
        (false, Some(length)) => Ok(Framing::Length(length)),
    }
}

/// Of the response to a request with this method.
pub fn of_response(head: &ResponseHead<'_, '_>, method: &str) -> Result<Framing, Kind> {
    let coding = transfer_coding(head.fields)?;
    let length = content_length(head.fields)?;
    if method == "HEAD" || matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(Framing::None);
    }
    match (coding, length) {
        (true, Some(_)) => Err(Kind::Malformed(
            "Transfer-Encoding together with Content-Length",
        )),
        (true, None) if head.minor == 0 => Err(Kind::Malformed("Transfer-Encoding in HTTP/1.0")),
        (true, None) => Ok(Framing::Chunked),
        (false, Some(0)) => Ok(Framing::None),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::UntilClose),
    }
}

/// Whether the body is chunked. Any other coding is not ours to pass on; one that does not end in `chunked`,
/// or has it twice, has no end that everybody would see (RFC 9112 sections 6.1, 6.3).
fn transfer_coding(fields: Fields<'_, '_>) -> Result<bool, Kind> {
    let mut lines = fields.all("transfer-encoding");
    match (lines.next(), lines.next()) {
        (None, _) => return Ok(false),
        (Some(value), None) if value.eq_ignore_ascii_case(b"chunked") => return Ok(true),
        _ => {}
    }
    let members = fields
        .all("transfer-encoding")
        .flat_map(|line| line.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii);
    let is_chunked = |member: &[u8]| member.eq_ignore_ascii_case(b"chunked");
    let (mut chunks, mut last) = (0, false);
    for member in members {
        last = is_chunked(member);
        chunks += usize::from(last);
    }
    Err(match (last, chunks) {
        (true, 1) => Kind::Unsupported("a Transfer-Encoding besides chunked"),
        (true, _) => Kind::Malformed("chunked is said more than once"),
        (false, _) => Kind::Malformed("the last Transfer-Encoding is not chunked"),
    })
}

fn content_length(fields: Fields<'_, '_>) -> Result<Option<u64>, Kind> {
    let mut lines = fields.all("content-length");
    let value = match (lines.next(), lines.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(Kind::Malformed("more than one Content-Length")),
    };
    // 18 digits stay below 2^63; no body is longer.
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Kind::Malformed("the Content-Length"));
    }
    Ok(Some(value.iter().fold(0, |length, digit| {
        length * 10 + u64::from(digit - b'0')
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Storage, request, response};

    #[track_caller]
    fn check_request(fields: &str, expected: Result<Framing, ()>) {
        let text = format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let mut storage = Storage::new();
        let head = request(text.as_bytes(), &mut storage).unwrap();
        assert_eq!(of_request(&head).map_err(|_| ()), expected, "{fields:?}");
    }

    #[test]
    fn requests() {
        check_request("", Ok(Framing::None));
        check_request("Content-Length: 5\r\n", Ok(Framing::Length(5)));
        check_request("Content-Length: 0\r\n", Ok(Framing::None));
        check_request("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked));
        for bad in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
        ] {
            check_request(bad, Err(()));
        }
    }

    #[test]
    fn responses() {
        let check = |line: &str, fields: &str, method: &str, expected: Framing| {
            let text = format!("HTTP/1.1 {line}\r\n{fields}\r\n");
            let mut storage = Storage::new();
            let head = response(text.as_bytes(), &mut storage).unwrap();
            assert_eq!(of_response(&head, method).unwrap(), expected, "{text:?}");
        };
        check("200 OK", "Content-Length: 3\r\n", "GET", Framing::Length(3));
        check("200 OK", "Content-Length: 3\r\n", "HEAD", Framing::None);
        check(
            "304 Not Modified",
            "Content-Length: 3\r\n",
            "GET",
            Framing::None,
        );
        check("204 No Content", "", "GET", Framing::None);
        check("200 OK", "", "GET", Framing::UntilClose);
        check(
            "200",
            "Transfer-Encoding: chunked\r\n",
            "GET",
            Framing::Chunked,
        );
    }
}
