//! Runs many seeds on all cores and reports: `seeds FROM COUNT [RULE]`. With a rule, that rule is off, and
//! the first seed that fails is reported; `trace SEED [RULE]` shows what happened.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use simulation::{Options, Outcome, Rule, run};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rule = |text: Option<&String>| {
        let text = text?;
        Rule::ALL
            .into_iter()
            .find(|rule| format!("{rule:?}") == *text)
    };
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<u64>().ok());
    if args.first().is_some_and(|first| first == "trace") {
        let options = Options {
            off: rule(args.get(2)),
            keep: true,
        };
        match run(number(args.get(1)).unwrap_or(0), options) {
            Ok(outcome) => println!("{outcome:?}"),
            Err(failure) => println!("{failure}"),
        }
        return;
    }
    let from = number(args.first()).unwrap_or(0);
    let count = number(args.get(1)).unwrap_or(2000);
    let off = rule(args.get(2));
    all(from, count, off);
}

fn all(from: u64, count: u64, off: Option<Rule>) {
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let options = Options { off, keep: false };
    let sums: Vec<(Outcome, Vec<String>)> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let work = || {
            let mut sum = Outcome::default();
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= from + count {
                    break;
                }
                match run(seed, options) {
                    Ok(outcome) => {
                        sum.acknowledged += outcome.acknowledged;
                        sum.changes += outcome.changes;
                        sum.rebuilds += outcome.rebuilds;
                        sum.fenced += outcome.fenced;
                        sum.events += outcome.events;
                    }
                    // Of a sabotaged rule only what it exists for counts.
                    Err(failure) if off.is_some() && !failure.is_unsafe => {}
                    Err(failure) => {
                        failed.push(format!("seed {seed}: {}", failure.what));
                        if off.is_some() {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                }
            }
            (sum, failed)
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .collect()
    });
    let mut failures = 0;
    let mut total = Outcome::default();
    for (sum, failed) in sums {
        total.acknowledged += sum.acknowledged;
        total.changes += sum.changes;
        total.rebuilds += sum.rebuilds;
        total.fenced += sum.fenced;
        total.events += sum.events;
        failures += failed.len();
        for text in failed.iter().take(20) {
            println!("{}", text.chars().take(300).collect::<String>());
        }
    }
    let runs = next.load(Ordering::Relaxed).min(from + count) - from;
    println!(
        "{runs} runs in {:.0?}, {failures} failed; {total:?}",
        began.elapsed()
    );
}
