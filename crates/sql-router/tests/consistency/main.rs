//! What a consistency promises, checked from outside: sessions write growing numbers into registers and
//! read them through the router, over a primary and two replicas whose appliers stop, start and wait at
//! seeded moments. `history.rs` says what must never be seen; that it can find a breach is shown by
//! checking for more than was promised.
//!
//! `MAINSTAY_CONSISTENCY_SEED` says which run is the first, `MAINSTAY_CONSISTENCY_RUNS` how many there are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it found"
)]

#[expect(dead_code, reason = "of another test: this one needs less of it")]
#[path = "../bed/mod.rs"]
mod bed;
mod history;
mod replicas;
#[expect(dead_code, reason = "of another test: this one needs less of it")]
#[path = "../differential/seeded.rs"]
mod seeded;
mod sessions;

use std::time::{Duration, Instant};

use bed::{Bed, Wish};
use history::{Event, Violation};
use replicas::Nature;
use seeded::Seeded;
use site::target::Consistency;

/// Sessions at a time, each with a register of its own.
const SESSIONS: usize = 6;
/// A replica further behind gets no reads.
const MAX_LAG: Duration = Duration::from_millis(300);

fn from_environment(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|e| panic!("{name}={value}: {e}")),
        Err(_) => otherwise,
    }
}

fn none(seed: u64, found: &[Violation]) {
    let all: Vec<String> = found.iter().take(5).map(ToString::to_string).collect();
    assert!(
        found.is_empty(),
        "seed {seed}, {} times:\n{}",
        found.len(),
        all.join("\n")
    );
}

/// A run of all sessions, each with so many steps.
async fn run(
    bed: &Bed,
    seed: u64,
    steps: usize,
    consistency: Consistency,
    nature: Nature,
) -> (Vec<Event>, Vec<history::Told>) {
    bed.change(|snapshot| snapshot.target.routing.consistency = consistency);
    let anew = [
        "UPDATE app.registers SET v = 0",
        "UPDATE app.heartbeat SET at = 0",
    ];
    bed.primary.sql(&anew).await;
    bed.caught_up().await;
    let begun = Instant::now();
    let work = sessions::all(bed, begun, Seeded::new(seed), steps);
    let trouble = replicas::disturb(bed, begun, Seeded::new(!seed), nature);
    let (events, told) = replicas::beside(work, trouble).await;
    replicas::calm(bed).await;
    (events, told)
}

async fn begin() -> Bed {
    let wish = Wish {
        second: true,
        ..Wish::default()
    };
    let bed = Bed::with(wish).await;
    bed.change(|snapshot| {
        snapshot.target.causal_wait = Duration::from_millis(15);
        snapshot.target.max_lag = MAX_LAG;
        snapshot.target.hold = Duration::from_secs(20);
    });
    bed.primary.sql(&sessions::SCHEMA).await;
    let rows: Vec<String> = (0..SESSIONS)
        .map(|register| format!("({register}, 0)"))
        .collect();
    let fill = format!("INSERT INTO app.registers VALUES {}", rows.join(", "));
    bed.primary.sql(&[&fill]).await;
    bed.caught_up().await;
    bed
}

#[tokio::test]
async fn every_consistency_keeps_its_promise_and_a_breach_is_found() {
    let bed = begin().await;
    let first = from_environment("MAINSTAY_CONSISTENCY_SEED", 1);
    let runs = from_environment("MAINSTAY_CONSISTENCY_RUNS", 1);
    for seed in first..first + runs {
        println!("seed {seed}");
        for connections in [64, 2] {
            bed.change(|snapshot| snapshot.target.connections = connections);
            session_and_strong(&bed, seed).await;
        }
        bed.change(|snapshot| snapshot.target.connections = 64);
        let (events, told) = run(&bed, seed, 60, Consistency::Eventual, Nature::Watched).await;
        none(seed, &history::bounded_lag(&events, &told));
        assert!(!told.is_empty(), "the router was told {} times", told.len());
    }
    let status = bed.router.status();
    assert!(
        status.to_replica > 100 && status.causal_fallback > 0,
        "{status:?}"
    );
    a_breach_is_found(&bed, first).await;
}

async fn session_and_strong(bed: &Bed, seed: u64) {
    let (events, _) = run(bed, seed, 60, Consistency::Session, Nature::Unseen).await;
    none(seed, &history::read_your_writes(&events));
    none(seed, &history::monotonic_reads(&events));
    let (events, _) = run(bed, seed, 40, Consistency::Strong, Nature::Unseen).await;
    none(seed, &history::read_your_writes(&events));
    none(seed, &history::monotonic_reads(&events));
    none(seed, &history::strong(&events));
}

/// Nothing is applied, and the router is told that all is well: less is promised than is checked.
async fn a_breach_is_found(bed: &Bed, seed: u64) {
    let (events, _) = run(bed, seed, 40, Consistency::Eventual, Nature::Stopped).await;
    for (rule, found) in [
        ("read your writes", history::read_your_writes(&events)),
        ("monotonic reads", history::monotonic_reads(&events)),
        ("strong", history::strong(&events)),
    ] {
        println!("eventual, checked for more ({rule}): {} found", found.len());
        assert!(!found.is_empty(), "{rule}: the checker is blind");
    }
    // Whether a session reads what another one has just written is chance: in one run of many.
    for seed in seed..seed + 30 {
        let (events, _) = run(bed, seed, 15, Consistency::Session, Nature::Stopped).await;
        none(seed, &history::read_your_writes(&events));
        let found = history::strong(&events);
        println!("session, checked for strong: {} found", found.len());
        if !found.is_empty() {
            return;
        }
    }
    panic!("strong: the checker is blind");
}
