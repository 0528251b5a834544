//! A statement's text: its class, digest and KILL. No value stays in a digest, and no text that ends in
//! FOR UPDATE is taken for a plain read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sql_router::statement::class::Kind;
use sql_router::statement::{classify::classify, digest::digest, kill};

const SECRET: &[u8] = b"Xq7ZsecretZq7X";

fuzz_target!(|text: &[u8]| {
    let class = classify(text);
    assert_eq!(class, classify(text));
    let short = digest(text);
    assert!(short.len() <= 2_048, "{}", short.len());
    let _ = kill::parse(text);
    // Without quotes, comments and names in quotes it is known where a text is code.
    if text.iter().any(|byte| b"'\"`\\/*-#\0".contains(byte)) {
        return;
    }
    let locking = [text, b" FOR UPDATE"].concat();
    assert_ne!(
        classify(&locking).kind,
        Kind::Read,
        "{}",
        locking.escape_ascii()
    );
    for quote in [b"'", b"\""] {
        let with = [text, b" ", quote, SECRET, quote, b" ", text].concat();
        let told = digest(&with);
        assert!(
            !told
                .as_bytes()
                .windows(SECRET.len())
                .any(|part| part == SECRET),
            "{told}"
        );
    }
});
