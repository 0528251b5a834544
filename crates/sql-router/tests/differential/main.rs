//! The same statements straight to a server and through the router: every answer has to be the same.
//!
//! Sessions are made by a seeded generator (`generate/`) and run over the wire (`wire.rs`), in the
//! same order, against one server alone and against a router before a primary and a replica, whose
//! applier stops and starts at seeded moments. What may differ is listed in `wire.rs` (`normal`) and
//! nowhere else. A script that differs is made smaller (`shrink`) before it is shown.
//!
//! `MAINSTAY_DIFFERENTIAL_SCRIPTS` says how many scripts are run, `MAINSTAY_DIFFERENTIAL_SEED` which
//! one is the first, `MAINSTAY_DIFFERENTIAL_FAILURES` after how many failures it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it found"
)]

#[expect(dead_code, reason = "of another test: this one needs less of it")]
#[path = "../bed/mod.rs"]
mod bed;
mod compare;
mod generate;
mod known;
mod payload;
mod seeded;
mod step;
mod wire;

use compare::Pair;
use step::Script;

/// Enough to meet every family of statements; a few seconds.
const SCRIPTS: u64 = 60;
/// Who shares waits: each takes longer.
const SHARED_SCRIPTS: u64 = 15;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|e| panic!("{name}={value}: {e}")),
        Err(_) => otherwise,
    }
}

/// Runs scripts until enough have failed.
async fn run(pair: &mut Pair, scripts: u64, make: impl Fn(u64) -> Script) {
    let scripts = from_environment("MAINSTAY_DIFFERENTIAL_SCRIPTS", scripts);
    let first = from_environment("MAINSTAY_DIFFERENTIAL_SEED", 1);
    let shown = from_environment("MAINSTAY_DIFFERENTIAL_FAILURES", 1) as usize;
    let mut failures = Vec::new();
    let (mut sessions, mut statements) = (0, 0);
    for seed in first..first + scripts {
        let script = make(seed);
        sessions += script.lanes.len();
        statements += script.steps.len();
        if pair.run(&script).await.is_err() {
            let smaller = pair.shrink(script).await;
            let again = pair.run(&smaller).await;
            let again = again
                .err()
                .unwrap_or_else(|| "it comes and goes".to_owned());
            failures.push(format!("seed {seed}: {again}\n{smaller}"));
            if failures.len() >= shown {
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let status = pair.bed.router.status();
    println!(
        "{scripts} scripts, {sessions} sessions, {statements} steps; {} to the replica, {} to the primary",
        status.to_replica, status.to_primary
    );
    println!(
        "{} scripts ended at what is not known, {} where all connections were held",
        pair.forgotten, pair.held
    );
    assert!(
        status.to_replica > 0 && status.to_primary > 0,
        "both servers must have been used: {status:?}"
    );
}

#[tokio::test]
async fn nobody_can_tell_the_router_from_a_server() {
    let mut pair = Pair::start(2, 64).await;
    run(&mut pair, SCRIPTS, generate::script).await;
    let scripts = from_environment("MAINSTAY_DIFFERENTIAL_SCRIPTS", SCRIPTS);
    // One in seven of 400, as long as the scripts ask about warnings and row counts as often as they do.
    assert!(pair.forgotten * 5 <= scripts, "{}", pair.forgotten);
    assert_eq!(pair.held, 0);
}

/// Four sessions and two connections to each server: they part with them between their statements.
#[tokio::test]
async fn nor_when_sessions_share_few_connections() {
    let mut pair = Pair::start(1, 2).await;
    run(&mut pair, SHARED_SCRIPTS, generate::shared).await;
    let metrics = pair.bed.router.metrics();
    let waits = "mainstay_sql_connection_waits_total ";
    let waits = metrics.lines().find_map(|line| line.strip_prefix(waits));
    let waits: u64 = waits.unwrap().parse().unwrap();
    println!("{waits} statements waited for a connection");
    assert!(waits > 0, "nothing was shared");
}
