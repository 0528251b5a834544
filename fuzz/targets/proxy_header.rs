//! A PROXY header: what is accepted ends where it says, needs all of its bytes, and comes back the same
//! when it is written anew.
#![no_main]

use http::proxy_protocol::{Claim, Origin, parse, v1, v2};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(header)) = parse(bytes) else {
        return;
    };
    assert!(header.length <= bytes.len());
    for end in 0..header.length {
        assert_eq!(parse(&bytes[..end]), Ok(None));
    }
    let claim = header.claim;
    let mut one = Vec::new();
    v1::write(claim.origin, &mut one);
    let again = parse(&one).unwrap().unwrap().claim.origin;
    let expected = match claim.origin {
        Origin::Local => Origin::Unknown,
        origin => origin,
    };
    assert_eq!(again, expected);
    // Longer ones are not written.
    let short = |length: Option<usize>| length.is_none_or(|length| length <= 255);
    let authority = claim.authority.as_ref().map(String::len);
    if short(authority) && short(claim.alpn.as_ref().map(Vec::len)) {
        let mut two = Vec::new();
        v2::write(&claim, true, &mut two);
        let again: Claim = parse(&two).unwrap().unwrap().claim;
        assert_eq!(again, claim);
    }
});
