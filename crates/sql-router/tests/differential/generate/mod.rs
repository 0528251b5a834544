//! Pure: seed → script.
//!
//! Left out, because two servers may rightly differ: the time, chance, connection and server ids,
//! host names, estimates (EXPLAIN, SHOW INDEX, SHOW TABLE STATUS, a small MAX_JOIN_SIZE), times of
//! creation (SHOW TRIGGERS, SHOW PROCEDURE STATUS), statuses and process lists, and `last_gtid`. Known
//! to differ: what FOUND_ROWS() and ROW_COUNT() say before a session's first statement (the router has
//! run one), and together with LAST_INSERT_ID() in one statement after a read on the replica; and
//! FOUND_ROWS() after a SELECT COUNT(*) whose WHERE the optimizer knows to be false, which counts nothing;
//! and RESIGNAL outside of a handler, which puts its error behind the warnings of the statement before.

pub(crate) mod bulk;
mod commands;
mod reads;
mod settings;
mod statements;

use crate::seeded::Seeded;
use crate::step::{Event, FIRST, Lane, Script, Step};

/// A kind of statement that a session may be given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Read,
    Write,
    AboutLast,
    Setting,
    Transaction,
    Prepared,
    Command,
    Routine,
    Definition,
    Several,
    Load,
    Big,
    // These keep a session on the primary; rare, so that others are read on the replica.
    Temporary,
    Lock,
    UserVariable,
    SqlPrepare,
    Sequence,
}

/// With each, its weight, and in how many of a hundred sessions it occurs.
const FAMILIES: [(Family, usize, usize); 17] = [
    (Family::Read, 12, 100),
    (Family::Write, 6, 90),
    (Family::AboutLast, 4, 70),
    (Family::Setting, 4, 50),
    (Family::Transaction, 4, 35),
    (Family::Prepared, 8, 45),
    (Family::Command, 3, 30),
    (Family::Routine, 3, 25),
    (Family::Definition, 3, 30),
    (Family::Several, 2, 20),
    (Family::Load, 2, 15),
    (Family::Big, 1, 2),
    (Family::Temporary, 2, 8),
    (Family::Lock, 2, 8),
    (Family::UserVariable, 2, 12),
    (Family::SqlPrepare, 2, 8),
    (Family::Sequence, 2, 15),
];

/// What a session is like.
struct Nature {
    families: Vec<Family>,
}

fn nature(seeded: &mut Seeded, given: &[(Family, usize, usize)]) -> Nature {
    let mut families = Vec::new();
    for &(family, weight, percent) in given {
        if seeded.percent(percent) {
            families.extend(std::iter::repeat_n(family, weight));
        }
    }
    Nature { families }
}

fn lane(seeded: &mut Seeded, number: usize) -> Lane {
    Lane {
        schema: format!("d{number}"),
        user: seeded.pick(&["one", "one", "two"]),
        modern: seeded.percent(60),
        found_rows: seeded.percent(20),
        // utf8mb4_general_ci, latin1_swedish_ci
        collation: if seeded.percent(85) { 45 } else { 8 },
    }
}

/// The script of a seed: one to three sessions, each with a schema of its own.
pub(crate) fn script(seed: u64) -> Script {
    let count = [1, 1, 1, 2, 3][Seeded::new(seed).below(5)];
    of_sessions(seed, &[FAMILIES.as_slice(); 3][..count], 10)
}

/// Of four sessions, three of which never hold anything on a connection for long.
pub(crate) fn shared(seed: u64) -> Script {
    const LIGHT: [(Family, usize, usize); 6] = [
        (Family::Read, 8, 100),
        (Family::Write, 6, 90),
        (Family::AboutLast, 1, 50),
        (Family::Prepared, 5, 60),
        (Family::Definition, 1, 30),
        (Family::Load, 1, 10),
    ];
    of_sessions(seed, &[&FAMILIES, &LIGHT, &LIGHT, &LIGHT], 3)
}

/// `least`: so many steps of each session, and up to three times as many more.
fn of_sessions(seed: u64, families: &[&[(Family, usize, usize)]], least: usize) -> Script {
    let count = families.len();
    let mut seeded = Seeded::new(!seed);
    let lanes: Vec<Lane> = (0..count).map(|number| lane(&mut seeded, number)).collect();
    let natures: Vec<Nature> = families
        .iter()
        .map(|given| nature(&mut seeded, given))
        .collect();
    let length = count * (least + seeded.below(3 * least));
    let lags = seeded.percent(60);
    let first = |lane| Event::Of(lane, Step::Query(FIRST.to_vec()));
    let mut steps: Vec<Event> = (0..count).map(first).collect();
    let mut running = true;
    for _ in 0..length {
        if lags && seeded.percent(if running { 10 } else { 20 }) {
            running = !running;
            steps.push(match running {
                true => Event::StartApplier,
                false => Event::StopApplier,
            });
        }
        let lane = seeded.below(count);
        for step in next(&mut seeded, &natures[lane], lane) {
            let anew = matches!(step, Step::ResetConnection | Step::ChangeUser { .. });
            steps.push(Event::Of(lane, step));
            steps.extend(anew.then(|| first(lane)));
        }
    }
    Script { lanes, steps }
}

fn next(seeded: &mut Seeded, nature: &Nature, lane: usize) -> Vec<Step> {
    let family = nature.families[seeded.below(nature.families.len())];
    let text = match family {
        Family::Prepared => return commands::prepared(seeded),
        Family::Command => return vec![commands::command(seeded, lane)],
        Family::Setting => return vec![Step::Query(settings::setting(seeded, lane))],
        Family::Read => return vec![Step::Query(reads::read(seeded, lane))],
        Family::Load => return vec![bulk::load(seeded)],
        Family::Big => return bulk::big(seeded),
        Family::AboutLast => reads::about_last(seeded),
        Family::Write => statements::write(seeded),
        Family::Transaction => statements::transaction(seeded, lane),
        Family::Routine => statements::routine(seeded),
        Family::Definition => statements::definition(seeded, lane),
        Family::Several => statements::several(seeded, lane),
        Family::Temporary => statements::temporary(seeded),
        Family::Lock => statements::lock(seeded, lane),
        Family::UserVariable => statements::user_variable(seeded),
        Family::SqlPrepare => statements::sql_prepare(seeded),
        Family::Sequence => statements::sequence(seeded),
    };
    vec![Step::Query(text.into_bytes())]
}
