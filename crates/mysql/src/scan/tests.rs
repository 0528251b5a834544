//! Answers of all shapes, cut at every place.

use proptest::prelude::*;

use super::*;
use crate::packet::{FULL_FRAME, put};

const OK: &[u8] = &[0, 1, 0, 2, 0, 0, 0];
const END_OK: &[u8] = &[0xfe, 0, 0, 2, 0, 0, 0];
const END_OK_MORE: &[u8] = &[0xfe, 0, 0, 0x0a, 0, 0, 0];
const EOF: &[u8] = &[0xfe, 0, 0, 2, 0];
const EOF_MORE: &[u8] = &[0xfe, 0, 0, 0x0a, 0];
const EOF_CURSOR: &[u8] = &[0xfe, 0, 0, 0x42, 0];
const ERR: &[u8] = b"\xff\x10\x05#42000no";
const DEF: &[u8] = b"\x03def\x01a";

/// Packets as one stream, numbered from 1.
fn stream(payloads: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sequence = 1;
    for payload in payloads {
        put(&mut out, &mut sequence, payload);
    }
    out
}

/// Scans the stream in chunks: what was pointed out, and the bytes in order.
fn walk(expect: Expect, deprecate_eof: bool, bytes: &[u8], chunk: usize) -> (Vec<What>, Vec<u8>) {
    let mut scanner = Scanner::new(expect, deprecate_eof);
    let (mut seen, mut passed) = (Vec::new(), Vec::new());
    let (mut from, mut to) = (0, 0);
    loop {
        let scan = scanner.scan(&bytes[from..to]).unwrap();
        passed.extend_from_slice(&bytes[from..from + scan.pass]);
        from += scan.pass;
        match scan.then {
            Then::Done => {
                assert_eq!(from, bytes.len(), "the answer ended too early");
                return (seen, passed);
            }
            Then::Packet { length, what } => {
                passed.extend_from_slice(&bytes[from..from + length]);
                from += length;
                seen.push(what);
            }
            Then::More(_) => {
                assert!(to < bytes.len(), "the answer did not end");
                to = (to + chunk).min(bytes.len());
            }
        }
    }
}

#[track_caller]
fn check(expect: Expect, deprecate_eof: bool, payloads: &[&[u8]], expected: &[What]) {
    let bytes = stream(payloads);
    for chunk in [1, 2, 3, 5, 7, bytes.len()] {
        let (seen, passed) = walk(expect, deprecate_eof, &bytes, chunk);
        assert_eq!(seen, expected, "chunks of {chunk}");
        assert!(passed == bytes, "chunks of {chunk}");
    }
}

#[test]
fn short_answers() {
    for eof in [false, true] {
        check(Expect::Results, eof, &[OK], &[What::Ok]);
        check(Expect::Results, eof, &[ERR], &[What::Err]);
        check(Expect::One, eof, &[b"Uptime: 3"], &[]);
        check(Expect::One, eof, &[b""], &[]);
    }
    check(Expect::Results, false, &[EOF], &[What::Eof]);
    check(Expect::Results, true, &[END_OK], &[What::Ok]);
}

#[test]
fn result_sets() {
    let row: &[u8] = b"\x03abc\xfb";
    let empty: &[u8] = b"\0";
    check(
        Expect::Results,
        true,
        &[b"\x02", DEF, DEF, row, empty, END_OK],
        &[What::Ok],
    );
    check(
        Expect::Results,
        false,
        &[b"\x02", DEF, DEF, EOF, row, empty, EOF],
        &[What::Eof],
    );
    check(
        Expect::Results,
        true,
        &[b"\x01", DEF, row, ERR],
        &[What::Err],
    );
    check(
        Expect::Results,
        true,
        &[
            b"\x01",
            DEF,
            row,
            END_OK_MORE,
            b"\x01",
            DEF,
            END_OK_MORE,
            OK,
        ],
        &[What::Ok, What::Ok, What::Ok],
    );
    check(
        Expect::Results,
        false,
        &[b"\x01", DEF, EOF_MORE, row, EOF_MORE, OK],
        &[What::Eof, What::Ok],
    );
    check(Expect::Rows, true, &[row, END_OK], &[What::Ok]);
    check(Expect::Rows, false, &[row, EOF], &[What::Eof]);
}

#[test]
fn rows_are_counted_and_nothing_else() {
    let row: &[u8] = b"\x03abc\xfb";
    let all: &[&[u8]] = &[
        b"\x01",
        DEF,
        row,
        b"\0",
        END_OK_MORE,
        b"\x01",
        DEF,
        row,
        END_OK,
    ];
    let bytes = stream(all);
    let mut scanner = Scanner::new(Expect::Results, true);
    let mut at = 0;
    loop {
        let scan = scanner.scan(&bytes[at..]).unwrap();
        at += scan.pass;
        match scan.then {
            Then::Packet { length, .. } => at += length,
            Then::Done => break,
            Then::More(_) => panic!("the answer did not end"),
        }
    }
    assert_eq!(scanner.rows(), 3);
}

#[test]
fn a_cursor_ends_with_its_columns() {
    check(
        Expect::Results,
        false,
        &[b"\x01", DEF, EOF_CURSOR],
        &[What::Eof],
    );
    let end = &[0xfe, 0, 0, 0x42, 0, 0, 0];
    check(Expect::Results, true, &[b"\x01", DEF, end], &[What::Ok]);
}

#[test]
fn prepared_statements() {
    let head = |columns: u8, parameters: u8| [0, 9, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0];
    let what = |columns: u16, parameters: u16| {
        [What::Prepared(Prepared {
            id: 9,
            columns,
            parameters,
        })]
    };
    check(Expect::Prepared, true, &[&head(0, 0)], &what(0, 0));
    check(Expect::Prepared, false, &[&head(0, 0)], &what(0, 0));
    check(
        Expect::Prepared,
        true,
        &[&head(1, 2), DEF, DEF, DEF],
        &what(1, 2),
    );
    check(
        Expect::Prepared,
        false,
        &[&head(1, 2), DEF, DEF, EOF, DEF, EOF],
        &what(1, 2),
    );
    check(
        Expect::Prepared,
        false,
        &[&head(1, 0), DEF, EOF],
        &what(1, 0),
    );
    check(
        Expect::Prepared,
        false,
        &[&head(0, 1), DEF, EOF],
        &what(0, 1),
    );
    check(Expect::Prepared, true, &[ERR], &[What::Err]);
}

#[test]
fn a_local_file_is_asked_for_before_the_verdict() {
    check(
        Expect::Results,
        true,
        &[b"\xfbfile.csv", OK],
        &[What::LocalFile, What::Ok],
    );
}

#[test]
fn rows_of_more_than_one_frame_pass() {
    let mut huge = vec![0xfe];
    huge.resize(FULL_FRAME, b'x');
    for length in [FULL_FRAME, FULL_FRAME + 100] {
        huge.resize(length, b'y');
        let bytes = stream(&[b"\x01", DEF, &huge, END_OK]);
        let (seen, passed) = walk(Expect::Results, true, &bytes, 1 << 20);
        assert_eq!(seen, [What::Ok]);
        assert!(passed == bytes);
    }
}

#[test]
fn nonsense_is_an_error() {
    for nonsense in [
        stream(&[b""]),
        stream(&[b"\0\xff"]),
        vec![0xf0, 0xff, 0xff, 1, 0x00],
    ] {
        assert!(Scanner::new(Expect::Results, true).scan(&nonsense).is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_chunks_do_not_matter(bytes: Vec<u8>, eof: bool, cut: usize, kind in 0..3) {
        let expect = [Expect::Results, Expect::Prepared, Expect::Rows][kind as usize];
        let all = run(Scanner::new(expect, eof), &[&bytes]);
        let (a, b) = bytes.split_at(cut % (bytes.len() + 1));
        prop_assert_eq!(all, run(Scanner::new(expect, eof), &[a, b]));
    }
}

/// The packets pointed out, with their places; `None` at the end for nonsense.
fn run(mut scanner: Scanner, parts: &[&[u8]]) -> Vec<Option<(usize, What)>> {
    let mut seen = Vec::new();
    let mut bytes = Vec::new();
    let mut at = 0;
    for part in parts {
        bytes.extend_from_slice(part);
        loop {
            let Ok(scan) = scanner.scan(&bytes[at..]) else {
                seen.push(None);
                return seen;
            };
            at += scan.pass;
            match scan.then {
                Then::Packet { length, what } => {
                    seen.push(Some((at, what)));
                    at += length;
                }
                Then::More(_) => break,
                Then::Done => return seen,
            }
        }
    }
    seen
}
