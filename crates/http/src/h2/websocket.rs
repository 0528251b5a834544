//! Pure: the two values of WebSocket's opening handshake that HTTP/2 leaves out (RFC 8441 section 5): a
//! key, which we make for an upstream that speaks HTTP/1.1, and its answer (RFC 6455 section 4.2.2),
//! which we give to a client that speaks it.

use sha1::{Digest, Sha1};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `Sec-WebSocket-Key` from 16 bytes that should differ.
pub fn key(nonce: u128) -> String {
    base64(&nonce.to_be_bytes())
}

/// `Sec-WebSocket-Accept` for a key.
pub fn accept(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    base64(&digest)
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for at in 0..4 {
            let digit = ALPHABET.get(bits >> (18 - 6 * at) & 63);
            let shown = at <= group.len();
            text.push(char::from(*digit.filter(|_| shown).unwrap_or(&b'=')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        // RFC 6455 section 1.3.
        let key = b"dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(accept(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let nonce = u128::from_be_bytes(*b"the sample nonce");
        assert_eq!(super::key(nonce).as_bytes(), key);
    }
}
