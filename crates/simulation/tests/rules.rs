//! Each rule is needed: without it a write is lost or two servers take writes, in the seed given here.
//!
//! A change of the decisions or of the simulation moves what a seed does. Then the next seeds are tried;
//! `cargo run --release -p simulation --example seeds -- 0 1000000 RULE` finds the first one.

use simulation::{Options, Rule, run};

/// Seeds tried from the known one on.
const TRIES: u64 = 4_000;

const KNOWN: [(Rule, u64); 20] = [
];

fn fails(rule: Rule, seed: u64) -> bool {
    let options = Options {
        off: Some(rule),
        keep: false,
    };
    run(seed, options).is_err_and(|failure| failure.is_unsafe)
}

fn is_needed(rule: Rule) {
    let (_, known) = KNOWN.iter().find(|(of, _)| *of == rule).unwrap();
    let found = (*known..known + TRIES).find(|seed| fails(rule, *seed));
    let seed = found.unwrap_or_else(|| panic!("{rule:?}: no seed fails from {known} on"));
    println!("{rule:?}: seed {seed}");
}
