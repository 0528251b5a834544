//! A server's answer: however the bytes are cut, the same packets are pointed out at the same places,
//! none of them reaches beyond what is there, and a longer wait is always asked for with a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mysql::scan::{Expect, Scanner, Then, What};

/// What is pointed out, and where; how it ended: with bytes missing, nonsense, or at its end.
fn walk(mut scanner: Scanner, bytes: &[u8], step: usize) -> (Vec<(usize, What)>, Option<usize>) {
    let (mut seen, mut from, mut to) = (Vec::new(), 0, 0);
    loop {
        let Ok(scan) = scanner.scan(&bytes[from..to]) else {
            return (seen, None);
        };
        assert!(scan.pass <= to - from);
        from += scan.pass;
        match scan.then {
            Then::Done => return (seen, Some(from)),
            Then::Packet { length, what } => {
                assert!(length >= mysql::packet::HEADER && length <= to - from);
                seen.push((from, what));
                from += length;
            }
            Then::More(count) => {
                assert!(count > to - from);
                if to == bytes.len() {
                    return (seen, Some(usize::MAX));
                }
                to = (to + step).min(bytes.len());
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let [kind, step, bytes @ ..] = input else {
        return;
    };
    let expect = match kind % 4 {
        0 => Expect::Results,
        1 => Expect::Prepared,
        2 => Expect::Rows,
        _ => Expect::One,
    };
    let new = || Scanner::new(expect, kind & 4 != 0);
    let whole = walk(new(), bytes, bytes.len().max(1));
    assert_eq!(whole, walk(new(), bytes, usize::from(*step % 32) + 1));
});
