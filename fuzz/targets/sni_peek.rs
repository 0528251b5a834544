//! A ClientHello: what is read of it is in order, and does not change with what follows.
#![no_main]

use http::tls::peek::{Seen, client_hello};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let seen = client_hello(bytes);
    if let Ok(Seen::Hello(hello)) = &seen {
        if let Some(name) = &hello.server_name {
            let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
            assert!(!name.is_empty() && name.len() <= 253 && name.bytes().all(valid));
        }
        let longer = [bytes, b"\x17\x03\x03\x00\x01x"].concat();
        assert_eq!(client_hello(&longer), seen);
    }
    // What has begun as something keeps being that, or is refused.
    if let Some(half) = bytes.get(..bytes.len() / 2)
        && let Ok(Seen::NotTls) = client_hello(half)
    {
        assert!(matches!(seen, Ok(Seen::NotTls) | Err(_)) || half.is_empty());
    }
});
