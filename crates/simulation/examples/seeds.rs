//! Runs many seeds on all cores: `seeds FROM COUNT [RULE]`. With a rule, that one is off, and it ends with the
//! first seed in which something is lost or two servers take writes. `seeds story SEED [RULE]` tells one.

#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use simulation::{Options, Outcome, Rule, run, story};

/// Failed seeds that are printed.
const PRINTED: usize = 20;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| args.get(n).and_then(|text| text.parse::<u64>().ok());
    let rule = |text: &String| {
        let found = Rule::ALL
            .into_iter()
            .find(|rule| format!("{rule:?}") == *text);
        if found.is_none() {
            println!("there is no rule {text}; there are {:?}", Rule::ALL);
            std::process::exit(2);
        }
        found
    };
    let off = args.get(2).and_then(rule);
    let options = Options {
        off,
        ambush: off.and_then(Rule::ambush),
        keep: false,
    };
    if args.first().is_some_and(|first| first == "story") {
        print!("{}", story(number(1).unwrap_or(0), options));
        return;
    }
    all(number(0).unwrap_or(0), number(1).unwrap_or(2000), options);
}

fn all(from: u64, count: u64, options: Options) {
    let next = AtomicU64::new(from);
    let enough = AtomicBool::new(false);
    let began = Instant::now();
    let work = || {
        let mut sum = Outcome::default();
        let mut failed = Vec::new();
        while !enough.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                break;
            }
            match run(seed, options) {
                Ok(outcome) => sum.add(outcome),
                Err(failure) if options.off.is_some() && !failure.is_unsafe => {}
                Err(failure) => {
                    failed.push(format!("seed {seed}: {}", failure.what));
                    enough.store(options.off.is_some(), Ordering::Relaxed);
                }
            }
        }
        (sum, failed)
    };
    let done: Vec<(Outcome, Vec<String>)> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = handles.into_iter().filter_map(|handle| handle.join().ok());
        ended.collect()
    });
    let mut total = Outcome::default();
    let mut failures = Vec::new();
    for (sum, failed) in done {
        total.add(sum);
        failures.extend(failed);
    }
    for text in failures.iter().take(PRINTED) {
        println!("{}", text.chars().take(300).collect::<String>());
    }
    let runs = next.load(Ordering::Relaxed).min(from + count) - from;
    let failed = failures.len();
    println!(
        "{runs} runs in {:.0?}, {failed} failed; {total:?}",
        began.elapsed()
    );
}
