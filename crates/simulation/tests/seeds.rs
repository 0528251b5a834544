//! Every seed keeps every promise. `MAINSTAY_SIMULATION_SEEDS` of them, from `MAINSTAY_SIMULATION_FROM` on.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use simulation::{Options, Outcome, run, story};

/// Seeds of an ordinary run of the tests.
const SEEDS: u64 = 2_000;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Both halves run at the same time: every test is a process of its own.
fn half(odd: u64) {
    let from = number("MAINSTAY_SIMULATION_FROM", 0);
    let to = from + number("MAINSTAY_SIMULATION_SEEDS", SEEDS);
    let mut all = Outcome::default();
    for seed in (from..to).filter(|seed| seed % 2 == odd) {
        match run(seed, Options::default()) {
            Ok(outcome) => all.add(outcome),
            Err(_) => panic!("seed {seed}:\n{}", story(seed, Options::default())),
        }
    }
    // They would keep their promises if nothing ever happened.
    let runs = (to - from) / 2;
    assert!(all.changes > runs, "{all:?}");
    assert!(
        all.acknowledged > usize::try_from(runs).unwrap() * 100,
        "{all:?}"
    );
}

#[test]
fn even_seeds_keep_every_promise() {
    half(0);
}

#[test]
fn odd_seeds_keep_every_promise() {
    half(1);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [1, 227, 18_731] {
        let options = Options::default();
        assert_eq!(story(seed, options), story(seed, options));
    }
}
