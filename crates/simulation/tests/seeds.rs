//! Every seed keeps every promise; and with any one rule taken away some seed does not.

use simulation::{Options, Outcome, Rule, run, story};

/// Seeds of an ordinary run of the tests; `MAINSTAY_SIMULATION_SEEDS` for more, from
/// `MAINSTAY_SIMULATION_FROM` on.
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
            Ok(outcome) => {
                all.acknowledged += outcome.acknowledged;
                all.changes += outcome.changes;
                all.fenced += outcome.fenced;
            }
            Err(_) => panic!("seed {seed}:\n{}", story(seed, None)),
        }
    }
    println!("seeds {from} to {to}: {all:?}");
    let runs = usize::try_from((to - from) / 2).unwrap();
    // They would keep their promises if nothing ever happened.
    assert!(all.acknowledged > runs * 100 && all.changes > (to - from) / 2);
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
        assert_eq!(story(seed, None), story(seed, None));
    }
}
