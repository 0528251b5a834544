//! Pure: commands that are no text: prepared statements of the protocol, and those about the session.

use super::reads::{about_last, fill};
use crate::seeded::Seeded;
use crate::step::{Step, Value};

const SLOTS: usize = 3;

const TEXTS: [&str; 30] = [
    "SELECT v, n FROM t WHERE id = ?",
    "SELECT ?, CONCAT(?, '!')",
    "SELECT * FROM t ORDER BY id",
    "SELECT * FROM t ORDER BY id LIMIT ?",
    "SELECT * FROM u WHERE k = ? OR f > ? OR j < ?",
    "SELECT COUNT(*) FROM t",
    "SELECT id FROM t WHERE v = ? ORDER BY id",
    "SELECT * FROM x{n}",
    "SELECT * FROM missing WHERE a = ?",
    "SELEC ?",
    "SELECT 1; SELECT 2",
    "SELECT DATABASE(), FROM_UNIXTIME(?), 'a' || 'b'",
    "SELECT CAST(? AS INT), 1 / 0",
    "SELECT (SELECT id FROM t)",
    "SELECT ? FROM t FOR UPDATE",
    "SELECT FOUND_ROWS()",
    "SELECT ROW_COUNT()",
    "SELECT LAST_INSERT_ID()",
    "SHOW WARNINGS",
    "SELECT f_pure(?)",
    "SELECT f_write(?)",
    "INSERT INTO t (v, n) VALUES (?, ?)",
    "INSERT INTO t (id, v) VALUES (?, ?)",
    "INSERT INTO t (v) VALUES (?) RETURNING id",
    "UPDATE t SET n = ? WHERE id = ?",
    "DELETE FROM t WHERE id = ?",
    "SET time_zone = ?",
    "CALL p_rows()",
    "CALL p_out(?)",
    "COMMIT",
];

fn value(seeded: &mut Seeded) -> Value {
    match seeded.below(6) {
        0 => Value::Null,
        1 => Value::Double(0.5),
        2 => Value::Text(
            seeded
                .pick(&["a", "B", "12x", "", "+05:00", "\u{e4}"])
                .to_owned(),
        ),
        _ => Value::Int(i64::try_from(1 + seeded.below(5)).unwrap_or(1)),
    }
}

fn execute(seeded: &mut Seeded, slot: usize) -> Step {
    Step::Execute {
        slot,
        values: (0..4).map(|_| value(seeded)).collect(),
        cursor: seeded.percent(12),
        bind: seeded.percent(75),
    }
}

/// Often a statement and its execution together.
pub(crate) fn prepared(seeded: &mut Seeded) -> Vec<Step> {
    let slot = seeded.below(SLOTS);
    let prepare = |seeded: &mut Seeded| {
        let text = seeded.pick(&TEXTS);
        Step::Prepare(slot, fill(text, seeded))
    };
    match seeded.below(20) {
        0 => vec![Step::Reset(slot)],
        1 => vec![Step::Close(slot)],
        2 => vec![Step::Fetch(slot, 2)],
        3 => {
            // A piece for a parameter that is not there would be remembered as an error.
            let prepare = Step::Prepare(slot, "INSERT INTO t (v) VALUES (?)".to_owned());
            let piece = Step::LongData(slot, 0, b"piece".to_vec());
            vec![prepare, piece, execute(seeded, slot)]
        }
        4 => vec![
            prepare(seeded),
            Step::Query(about_last(seeded).into_bytes()),
            execute(seeded, slot),
        ],
        5 => vec![
            execute(seeded, slot),
            Step::Query(about_last(seeded).into_bytes()),
        ],
        6..=10 => vec![execute(seeded, slot)],
        11 => vec![prepare(seeded)],
        _ => vec![prepare(seeded), execute(seeded, slot)],
    }
}

pub(crate) fn command(seeded: &mut Seeded, lane: usize) -> Step {
    let schema = seeded.pick(&["d", "d", "d", "e"]);
    let schema = format!("{schema}{lane}");
    match seeded.below(12) {
        0 => Step::InitDb(schema),
        1 => Step::InitDb("nowhere".to_owned()),
        2 => Step::FieldList("t".to_owned()),
        3 => Step::FieldList("missing".to_owned()),
        4 | 5 => Step::Ping,
        6 => Step::MultiStatements(true),
        7 => Step::MultiStatements(seeded.percent(50)),
        8 | 9 => Step::ResetConnection,
        _ => Step::ChangeUser {
            user: seeded.pick(&["one", "two"]),
            schema,
        },
    }
}
