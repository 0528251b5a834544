//! Pure: percent-encoding (RFC 3986 section 2) of what may not stand as it is. What comes out has
//! neither control characters nor spaces nor anything above ASCII, whatever goes in.

/// A path as it was sent: escapes stay.
pub(crate) fn sent_path(byte: u8) -> bool {
    is_unreserved(byte) || b"/%:@!$&'()*+,;=".contains(&byte)
}

/// A query as it was sent.
pub(crate) fn sent_query(byte: u8) -> bool {
    sent_path(byte) || byte == b'?'
}

/// A decoded path.
pub(crate) fn decoded_path(byte: u8) -> bool {
    byte != b'%' && sent_path(byte)
}

/// A decoded piece that may come to stand anywhere behind an authority: in a query, it is no separator.
pub(crate) fn decoded_piece(byte: u8) -> bool {
    is_unreserved(byte) || b"/:@!$'()*,;".contains(&byte)
}

/// What a person wrote as a URL or a part of one.
pub(crate) fn written(byte: u8) -> bool {
    sent_query(byte) || b"#[]".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Encodes what `keep` does not keep.
pub(crate) fn put(text: &[u8], keep: fn(u8) -> bool, out: &mut Vec<u8>) {
    let digit =
        |n: u8| char::from_digit(u32::from(n), 16).map_or(b'0', |c| c.to_ascii_uppercase() as u8);
    for byte in text {
        if keep(*byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_stand_is_encoded() {
        let of = |text: &str, keep| {
            let mut out = Vec::new();
            put(text.as_bytes(), keep, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            of("/a b%20\r\n\"é\\", sent_path),
            "/a%20b%20%0D%0A%22%C3%A9%5C"
        );
        assert_eq!(of("/a%?&=", decoded_path), "/a%25%3F&=");
        assert_eq!(of("a?b&c=d+e#", decoded_piece), "a%3Fb%26c%3Dd%2Be%23");
    }
}
