//! Pure: the values of one cookie among those of a request (RFC 6265 section 5.4). The head's bound is
//! the bound of the work.

use super::Fields;

/// Every value with this name, in order, without the quotes some put around it.
pub fn values<'a>(fields: Fields<'_, 'a>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields.all("cookie").flat_map(move |line| {
        line.split(|b| *b == b';').filter_map(move |pair| {
            let pair = pair.trim_ascii();
            let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            let inner = value
                .strip_prefix(b"\"")
                .and_then(|v| v.strip_suffix(b"\""));
            Some(inner.unwrap_or(value))
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::head::{Storage, request};

    use super::*;

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text =
            "GET / HTTP/1.1\r\nHost: x\r\nCookie: a=1; ab=2;b=\"3\"\r\nCookie: a=4; a; =5\r\n\r\n";
        let mut storage = Storage::new();
        let fields = request(text.as_bytes(), &mut storage).unwrap().fields;
        let of = |name: &str| values(fields, name).collect::<Vec<_>>();
        assert_eq!(of("a"), [b"1", b"4"]);
        assert_eq!(of("ab"), [b"2"]);
        assert_eq!(of("b"), [b"3"]);
        assert!(of("c").is_empty());
    }
}
