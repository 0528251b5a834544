//! The primary is changed on purpose, under load: nothing is lost, and the pause is short.

use std::time::{Duration, Instant};

use database::record::RequestRecord;
use nix::sys::signal::Signal;

use crate::bed::signal;
use crate::hosts::{Hosts, THREE, TWO};
use crate::ledger::Ledger;

#[tokio::test]
async fn there_and_back_under_load() {
    let hosts = Hosts::start(&THREE).await;
    let ledger = Ledger::start(&hosts).await;
    ledger.writes(100).await;
    for (from, to) in [("db-1", "db-2"), ("db-2", "db-1")] {
        let asked = Instant::now();
        hosts.ask_switchover(to).await;
        assert_eq!(hosts.elected_after(from).await, to);
        let open = Instant::now();
        let took = ledger.serves_again(&hosts, open).await + open.duration_since(asked);
        println!("{from} to {to}: written again after {took:?}");
        // Nothing was killed and nobody's lease was waited for.
        assert!(took < Duration::from_secs(4), "{took:?}");
        ledger.writes(100).await;
        hosts.whole_set().await;
    }
    for name in THREE {
        assert_eq!(hosts.report(name).restarts, 0, "{name}");
    }
    ledger.holds(&hosts).await;
    hosts.finish().await;
}

/// `SET GLOBAL read_only` waits for ever while a commit waits for an acknowledgement: the primary must go
/// on in spite of it.
#[tokio::test]
async fn one_to_a_replica_that_hangs_is_given_up() {
    let hosts = Hosts::start(&TWO).await;
    let ledger = Ledger::start(&hosts).await;
    ledger.writes(100).await;
    let replica = hosts.deafen("db-1", "db-2").await;
    let fault = Instant::now();
    hosts.ask_switchover("db-2").await;
    let took = ledger.serves_again(&hosts, fault).await;
    println!("written again after {took:?}");
    hosts.alone("db-1").await;
    hosts.request(&RequestRecord::default()).await;
    signal(replica, Signal::SIGCONT);
    ledger.writes(50).await;
    ledger.holds(&hosts).await;
    hosts.finish().await;
}
