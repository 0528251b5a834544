//! What MariaDB does in an election that nobody expects, and what must come of it all the same.

use std::time::{Duration, Instant};

use database::MemberReport;
use mysql::client::Connection;

use crate::bed::{Bed, kill, run};
use crate::hosts::{Hosts, TWO};
use crate::ledger::Ledger;

/// The replica receives, acknowledges and applies nothing, until the connection ends.
async fn applies_nothing(hosts: &Hosts) -> Connection {
    let mut replica = hosts.admin("db-2").await;
    run(&mut replica, "LOCK TABLES foobar_app.ledger READ").await;
    replica
}

/// A restarted replica has lost what it had acknowledged and not applied.
#[tokio::test]
async fn a_restarted_replica_is_not_elected_when_only_the_primary_has_everything() {
    let hosts = Hosts::start(&TWO).await;
    let ledger = Ledger::start(&hosts).await;
    let lock = applies_nothing(&hosts).await;
    ledger.writes(50).await;
    hosts.spoil("db-1", "broken");
    let replica = hosts.pid("db-2");
    kill(hosts.pid("db-1"));
    kill(replica);
    drop(lock);
    let why = "was restarted and may have lost what it acknowledged";
    hosts
        .until_report("db-2", "it is not elected", |report| {
            report.pid.is_some_and(|pid| pid != replica) && report.reason.contains(why)
        })
        .await;
    assert_eq!(hosts.state().await.unwrap().primary.as_str(), "db-1");
    hosts.mend("db-1", "broken");
    let fault = Instant::now();
    ledger.serves_again(&hosts, fault).await;
    assert_eq!(hosts.whole_set().await, "db-1");
    ledger.holds(&hosts).await;
    hosts.finish().await;
}

/// Elected by what it received, it takes no writes before it has applied that.
#[tokio::test]
async fn the_elected_one_applies_what_it_received_before_it_takes_writes() {
    let hosts = Hosts::start(&TWO).await;
    let ledger = Ledger::start(&hosts).await;
    let mut lock = applies_nothing(&hosts).await;
    ledger.writes(50).await;
    hosts.spoil("db-1", "broken");
    kill(hosts.pid("db-1"));
    hosts
        .until("db-2 is elected", |state| state.primary.as_str() == "db-2")
        .await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        assert!(!hosts.state().await.unwrap().is_open());
        let rows = lock.query("SELECT @@global.read_only").await.unwrap();
        assert_eq!(rows.single(), Some("1"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let fault = Instant::now();
    run(&mut lock, "UNLOCK TABLES").await;
    let took = ledger.serves_again(&hosts, fault).await;
    println!("written again {took:?} after it could apply");
    hosts.mend("db-1", "broken");
    ledger.holds(&hosts).await;
    hosts.finish().await;
}

/// The first write of a semi-synchronous primary without a replica would wait for ever.
#[tokio::test]
async fn a_new_site_takes_writes_before_its_replica_is_there() {
    let mut hosts = Hosts::prepare(Bed::of(&TWO));
    hosts.spoil("db-2", "broken");
    hosts.power_on_all().await;
    hosts
        .until_report("db-1", "it serves", MemberReport::serves)
        .await;
    let ledger = Ledger::start(&hosts).await;
    ledger.writes(20).await;
    hosts.mend("db-2", "broken");
    ledger.holds(&hosts).await;
    hosts.finish().await;
}
