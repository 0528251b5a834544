//! A request's head that is accepted means the same to whoever is sent what we make of it: one Host,
//! and the framing that we saw.
#![no_main]

use http::body::{Framing, framing};
use http::head::traits::{Traits, target, upgrade};
use http::head::write::outgoing;
use http::head::{self, Storage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = head::find_end(bytes, 0) else {
        return;
    };
    for from in [1, end / 2, end.saturating_sub(1)] {
        assert_eq!(head::find_end(bytes, from), Some(end));
    }
    let mut storage = Storage::new();
    let Ok(read) = head::request(&bytes[..end], &mut storage) else {
        return;
    };
    let Ok(framing) = framing::of_request(&read) else {
        return;
    };
    let _traits = Traits::of(&read);
    let (host, path) = target(&read);
    let mut out = Vec::new();
    outgoing(&read, path, framing, upgrade(&read), host, None, &mut out);
    assert_eq!(head::find_end(&out, 0), Some(out.len()));
    let mut storage = Storage::new();
    let again = match head::request(&out, &mut storage) {
        Ok(again) => again,
        // A head of an HTTP/1.0 client without a Host gets an empty one; fields may be one more.
        Err(http::Kind::TooLarge(_)) => return,
        Err(kind) => panic!("{kind}: {}", out.escape_ascii()),
    };
    assert_eq!((again.method, again.minor), (read.method, 1));
    let same = framing::of_request(&again).unwrap();
    assert_eq!(same, framing, "{}", out.escape_ascii());
    assert_ne!(same, Framing::UntilClose);
});
