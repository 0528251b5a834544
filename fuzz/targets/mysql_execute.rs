//! COM_STMT_EXECUTE: types that are put in are found again, and nothing else has changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mysql::execute;

fuzz_target!(|input: &[u8]| {
    let [parameters, payload @ ..] = input else {
        return;
    };
    let parameters = u16::from(*parameters % 40);
    let head = payload
        .get(..execute::head_length(parameters))
        .unwrap_or(payload);
    let Some(read) = execute::parse(payload, parameters) else {
        return;
    };
    assert_eq!(Some(read.id), execute::id_of(payload));
    // The head is enough to read all there is to read.
    assert_eq!(execute::parse(head, parameters), Some(read));
    if read.types.is_some() || parameters == 0 {
        return;
    }
    let types = vec![8; 2 * usize::from(parameters)];
    let told = execute::with_types(payload, read.types_at, &types).unwrap();
    let again = execute::parse(&told, parameters).unwrap();
    assert_eq!((again.id, again.cursor), (read.id, read.cursor));
    assert_eq!(again.types, Some(&types[..]));
    assert_eq!(
        told[again.types_at + types.len()..],
        payload[read.types_at..]
    );
});
