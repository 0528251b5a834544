//! A response's head that is accepted means the same to the client that is sent what we make of it.
#![no_main]

use http::body::{Framing, framing};
use http::head::write::{After, Edit, incoming};
use http::head::{self, Storage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = head::find_end(bytes, 0) else {
        return;
    };
    let mut storage = Storage::new();
    let Ok(read) = head::response(&bytes[..end], &mut storage) else {
        return;
    };
    let Ok(framing) = framing::of_response(&read, "GET") else {
        return;
    };
    let mut out = Vec::new();
    let chunked = framing == Framing::Chunked;
    let edit = Edit {
        keeps: &|name| !name.eq_ignore_ascii_case("x-request-id"),
        added: b"X-Request-Id: abc\r\n",
    };
    incoming(&read, chunked, After::Close, Some(&edit), &mut out);
    let mut storage = Storage::new();
    let again = match head::response(&out, &mut storage) {
        Ok(again) => again,
        Err(http::Kind::TooLarge(_)) => return,
        Err(kind) => panic!("{kind}: {}", out.escape_ascii()),
    };
    assert_eq!(again.status, read.status);
    let same = framing::of_response(&again, "GET").unwrap();
    assert_eq!(same, framing, "{}", out.escape_ascii());
});
