//! Origin and load generator of bench/balancer, each a single thread that is cheap beside what it loads.
//!
//!   load origin ADDRESS...           answers; says `ready` when it listens everywhere
//!   load sink PATH                   takes datagrams of syslog, as HAProxy's log needs them
//!   load run KEY=VALUE...            loads, prints one JSON object (see `plan`)

mod client;
mod drive;
mod idle;
mod latency;
mod origin;
mod plan;
mod sink;
mod tls;
mod websocket;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return failed(&e.to_string()),
    };
    let local = tokio::task::LocalSet::new();
    let job = async {
        match words.split_first() {
            Some((what, addresses)) if what == "origin" => origin::run(addresses).await,
            Some((what, [path])) if what == "sink" => sink::run(path).await,
            Some((what, words)) if what == "run" => run(words).await,
            _ => Err("origin ADDRESS... | sink PATH | run KEY=VALUE...".into()),
        }
    };
    match runtime.block_on(local.run_until(job)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failed(&e),
    }
}

async fn run(words: &[String]) -> Result<(), String> {
    let plan = plan::Plan::read(words)?;
    match plan.kind {
        plan::Kind::Idle => idle::run(plan).await,
        plan::Kind::WebSocket => websocket::run(plan).await,
        plan::Kind::Requests | plan::Kind::Fresh => drive::run(plan).await,
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("load: {why}");
    ExitCode::FAILURE
}
