//! OK, ERR and EOF packets with what they report: an OK written plainly has the same counts, and a GTID
//! written again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mysql::gtid::mariadb::{Gtid, Position};
use mysql::reply::{Change, ErrPacket, OkPacket, error_code, parse_eof};

fuzz_target!(|bytes: &[u8]| {
    for track in [false, true] {
        let Ok(ok) = OkPacket::parse(bytes, track) else {
            continue;
        };
        assert!(ok.changes().count() <= bytes.len());
        let mut plain = Vec::new();
        ok.encode_plain(&mut plain);
        let again = OkPacket::parse(&plain, false).unwrap();
        assert_eq!(
            (again.header, again.affected_rows, again.last_insert_id),
            (ok.header, ok.affected_rows, ok.last_insert_id)
        );
        assert_eq!((again.warnings, again.info), (ok.warnings, ok.info));
        assert_eq!(again.changes().count(), 0);
        // It takes the place of the packet it was made of.
        assert!(plain.len() <= bytes.len(), "{}", plain.escape_ascii());
        for change in ok.changes() {
            if let Change::Variable { value, .. } = change {
                positions(&String::from_utf8_lossy(value));
            }
        }
    }
    let err = ErrPacket::parse(bytes).ok();
    assert!(err.is_none() || err.map(|err| err.code) == error_code(bytes));
    let _ = parse_eof(bytes);
});

fn positions(text: &str) {
    if let Ok(gtid) = text.parse::<Gtid>() {
        assert_eq!(gtid.to_string().parse(), Ok(gtid));
    }
    if let Ok(position) = text.parse::<Position>() {
        let again = position.to_string().parse::<Position>().unwrap();
        assert!(position.contains(&again) && again.contains(&position));
        let mut joined = position.clone();
        joined.join(&again);
        assert!(position.contains(&joined));
    }
}
