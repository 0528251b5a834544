//! Pure: what a client without TLS speaks, told from its first bytes (RFC 9113 section 3.4). With TLS,
//! ALPN tells.

/// What a client of HTTP/2 sends first. No request of HTTP/1.1 begins so: `PRI` is reserved.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/2 with prior knowledge.
    Two,
    /// Anything else: HTTP/1 looks at it strictly.
    One,
    /// The bytes so far begin like the preface.
    Unclear,
}

/// Looks at the first bytes of a connection.
pub fn spoken(first: &[u8]) -> Spoken {
    match first.get(..PREFACE.len()) {
        Some(whole) if whole == PREFACE => Spoken::Two,
        None if PREFACE.starts_with(first) => Spoken::Unclear,
        _ => Spoken::One,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_is_unclear_and_every_difference_is_not() {
        for length in 0..PREFACE.len() {
            assert_eq!(spoken(&PREFACE[..length]), Spoken::Unclear, "{length}");
            let mut other = PREFACE[..=length].to_vec();
            other[length] ^= 1;
            assert_eq!(spoken(&other), Spoken::One, "{length}");
        }
        assert_eq!(spoken(PREFACE), Spoken::Two);
        assert_eq!(spoken(&[PREFACE.as_slice(), b"more"].concat()), Spoken::Two);
        assert_eq!(spoken(b"POST / HTTP/1.1\r\n"), Spoken::One);
    }
}
