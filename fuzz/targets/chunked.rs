//! The chunked coding: however the bytes are cut, the same data comes out, and it ends at the same byte.
#![no_main]

use http::body::Chunked;
use libfuzzer_sys::fuzz_target;

/// Data, and bytes taken to the end of the body; `None`: it does not end.
fn decode(bytes: &[u8], step: usize) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let (mut chunked, mut data, mut at) = (Chunked::new(), Vec::new(), 0);
    for mut piece in bytes.chunks(step) {
        while !piece.is_empty() && !chunked.is_done() {
            let taken = chunked.take(piece).map_err(|_| ())?;
            assert!(taken.data <= taken.bytes && taken.bytes <= piece.len());
            assert!(taken.bytes > 0 || chunked.is_done());
            data.extend_from_slice(&piece[taken.bytes - taken.data..taken.bytes]);
            piece = &piece[taken.bytes..];
            at += taken.bytes;
        }
    }
    Ok(chunked.is_done().then_some((data, at)))
}

fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(whole, decode(bytes, usize::from(*step % 64) + 1));
    if let Ok(Some((_, end))) = whole {
        assert_eq!(decode(&bytes[..end], end), whole);
    }
});
