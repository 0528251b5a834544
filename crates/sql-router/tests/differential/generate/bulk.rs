//! Pure: files of the client, and statements, values and rows around and above the size of a frame.

use crate::seeded::Seeded;
use crate::step::{Step, Value};

/// The largest payload of one frame: with the command's byte, one less is left for a text.
const FRAME: usize = 0xff_ffff;

const LOADS: [&str; 9] = [
    "LOAD DATA LOCAL INFILE 'rows' INTO TABLE t (v, n)",
    "LOAD DATA LOCAL INFILE 'rows' REPLACE INTO TABLE t (id, v)",
    "LOAD DATA LOCAL INFILE 'rows' IGNORE INTO TABLE t (id, v)",
    "LOAD DATA LOCAL INFILE 'wrong' INTO TABLE t (v, n)",
    "LOAD DATA LOCAL INFILE 'empty' INTO TABLE t (v, n)",
    "LOAD DATA LOCAL INFILE 'many' INTO TABLE logged (what)",
    "LOAD DATA LOCAL INFILE 'rows' INTO TABLE missing",
    "LOAD DATA LOCAL INFILE 'rows' INTO TABLE t (@x, n) SET v = UPPER(@x)",
    "LOAD DATA LOCAL INFILE 'rows' INTO TABLE t FIELDS TERMINATED BY '\\t' LINES TERMINATED BY '\\n' IGNORE 1 LINES (v, n)",
];

/// What the client has under a name.
pub(crate) fn file(name: &[u8]) -> Vec<u8> {
    match name {
        b"rows" => b"1\t7\n2\t8\n3\t9\n".to_vec(),
        b"wrong" => b"too long for the column\tx\na\n\\N\t\\N\t1\n".to_vec(),
        b"many" => b"a line of some length\n".repeat(4_000),
        _ => Vec::new(),
    }
}

pub(crate) fn load(seeded: &mut Seeded) -> Step {
    Step::Query(seeded.pick(&LOADS).as_bytes().to_vec())
}

/// Rare: each costs as much as a hundred others.
pub(crate) fn big(seeded: &mut Seeded) -> Vec<Step> {
    let size = [70_000, FRAME - 60, FRAME - 20, FRAME, FRAME + 100_000][seeded.below(5)];
    let slot = 0;
    match seeded.below(6) {
        0 => vec![Step::Padded("SELECT v FROM t ORDER BY id".to_owned(), size)],
        // The whole text is one frame, less than one, more than one.
        1 => (0..3)
            .map(|over| Step::Padded("SELECT COUNT(*) FROM t".to_owned(), FRAME - 2 + over))
            .collect(),
        2 => vec![Step::Padded(
            "INSERT INTO t (v) VALUES ('padded')".to_owned(),
            size,
        )],
        3 => vec![Step::Query(
            format!("SELECT REPEAT('x', {size}), 1").into_bytes(),
        )],
        4 => vec![
            Step::Prepare(slot, "SELECT LENGTH(?), MD5(?)".to_owned()),
            Step::Execute {
                slot,
                values: vec![Value::Long(size), Value::Long(9)],
                cursor: false,
                bind: true,
            },
        ],
        _ => vec![
            Step::Prepare(slot, "SELECT LENGTH(?), MD5(?)".to_owned()),
            Step::LongData(slot, 0, vec![b'l'; size]),
            Step::LongData(slot, 0, b"more".to_vec()),
            Step::Execute {
                slot,
                values: vec![Value::Null, Value::Text("a".to_owned())],
                cursor: false,
                bind: true,
            },
        ],
    }
}
