//! Pure: what goes wrong in a run, drawn from the seed: what, to whom, when, for how long.

use crate::chance::Chance;
use crate::clock::{MS, S, Us};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The machine is gone: keeper and server.
    Crash {
        server: usize,
    },
    /// kill -9 of the database server.
    KillEngine {
        server: usize,
    },
    /// kill -9, and it cannot be started for a while.
    BreakEngine {
        server: usize,
    },
    /// kill -STOP of the database server.
    FreezeEngine {
        server: usize,
    },
    /// The keeper is held up; its fence is not.
    PauseKeeper {
        server: usize,
    },
    /// The whole machine stands still, the fence too.
    FreezeMachine {
        server: usize,
    },
    CutFromStore {
        server: usize,
        there: bool,
        back: bool,
    },
    CutPair {
        a: usize,
        b: usize,
        there: bool,
        back: bool,
    },
    /// From everybody.
    Isolate {
        server: usize,
    },
    BadNetwork,
    StoreDown,
    SlowApply {
        server: usize,
    },
    /// The thread that applies stops, by its surroundings.
    StopApplying {
        server: usize,
    },
    /// What it receives does not fit its data any more.
    BreakReplica {
        server: usize,
    },
    Switchover {
        to: Option<usize>,
    },
    Maintenance,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub at: Us,
    pub lasts: Us,
    pub fault: Fault,
}

/// When the site is left alone before the first fault, and when all faults are over.
pub const FIRST: Us = 8 * S;
pub const LAST: Us = 45 * S;

/// In the order of time. `freezes`: whole machines may stand still.
pub fn plan(chance: &mut Chance, servers: usize, freezes: bool) -> Vec<Planned> {
    let count = chance.between(1, 12);
    let mut all: Vec<Planned> = (0..count)
        .map(|_| {
            let at = chance.between(FIRST, LAST - 5 * S);
            let lasts = match chance.between(0, 4) {
                0 => chance.between(50 * MS, S),
                1 => chance.between(S, 4 * S),
                2 => chance.between(4 * S, 9 * S),
                _ => chance.between(9 * S, 20 * S),
            };
            Planned {
                at,
                lasts: lasts.min(LAST - at),
                fault: draw(chance, servers, freezes),
            }
        })
        .collect();
    // Troubles come together: some follow closely on another.
    for n in 1..all.len() {
        if chance.percent(50)
            && let Some(before) = all.get(n - 1).map(|planned| planned.at)
            && let Some(planned) = all.get_mut(n)
        {
            planned.at = (before + chance.between(0, 3 * S)).min(LAST - S);
            planned.lasts = planned.lasts.min(LAST - planned.at);
        }
    }
    if chance.percent(25) {
        all.extend(storm(chance, servers, freezes));
    }
    if chance.percent(20) {
        let at = chance.between(FIRST, 2 * FIRST);
        all.push(planned(at, LAST - at, Fault::BadNetwork));
    }
    all.sort_by_key(|planned| planned.at);
    all
}

fn planned(at: Us, lasts: Us, fault: Fault) -> Planned {
    Planned {
        at,
        lasts: lasts.min(LAST - at),
        fault,
    }
}

/// One server cannot renew a lease, and the others have their own troubles while it runs out. The server
/// made primary first is the likeliest.
fn storm(chance: &mut Chance, servers: usize, freezes: bool) -> Vec<Planned> {
    let begins = chance.between(FIRST, LAST - 20 * S);
    let server = match chance.percent(60) {
        true => 0,
        false => chance.index(servers),
    };
    let cut = Fault::CutFromStore {
        server,
        there: true,
        back: chance.percent(50),
    };
    let first = match chance.between(0, 4) {
        0 | 1 if freezes => Fault::FreezeMachine { server },
        0 => Fault::Isolate { server },
        1 => Fault::StoreDown,
        _ => cut,
    };
    let mut all = vec![planned(begins, chance.between(3 * S, 12 * S), first)];
    for _ in 0..chance.between(2, 8) {
        let server = (server + 1 + chance.index(servers - 1)) % servers;
        let at = begins + chance.between(2 * S, 9 * S);
        let fault = match chance.between(0, 6) {
            0 | 1 => Fault::Crash { server },
            2 => Fault::PauseKeeper { server },
            3 => Fault::KillEngine { server },
            4 => Fault::SlowApply { server },
            _ => Fault::CutFromStore {
                server,
                there: true,
                back: true,
            },
        };
        all.push(planned(at, chance.between(100 * MS, 3 * S), fault));
    }
    all
}

fn draw(chance: &mut Chance, servers: usize, freezes: bool) -> Fault {
    let server = chance.index(servers);
    let other = (server + 1 + chance.index(servers - 1)) % servers;
    let (there, back) = match chance.between(0, 4) {
        0 => (true, false),
        1 => (false, true),
        _ => (true, true),
    };
    match chance.between(0, 25) {
        0..3 => Fault::Crash { server },
        3..5 => Fault::KillEngine { server },
        5..7 => Fault::BreakEngine { server },
        7 => Fault::FreezeEngine { server },
        8..10 => Fault::PauseKeeper { server },
        10 if freezes => Fault::FreezeMachine { server },
        10 => Fault::PauseKeeper { server },
        11..14 => Fault::CutFromStore {
            server,
            there,
            back,
        },
        14..17 => Fault::CutPair {
            a: server,
            b: other,
            there,
            back,
        },
        17 => Fault::Isolate { server },
        18 => Fault::BadNetwork,
        19 => Fault::StoreDown,
        20 => Fault::SlowApply { server },
        21 => Fault::StopApplying { server },
        22 => Fault::Switchover {
            to: chance.percent(50).then_some(server),
        },
        23 => Fault::BreakReplica { server },
        _ => match chance.percent(50) {
            true => Fault::Maintenance,
            false => Fault::SlowApply { server },
        },
    }
}
