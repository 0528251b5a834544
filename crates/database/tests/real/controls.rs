//! What the checker must find: without these losses it would prove nothing. Each is one of the ways in
//! which a cluster of MariaDB servers is said to be safe and is not.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use database::MemberReport;
use nix::sys::signal::Signal;

use crate::bed::{Bed, LONG, kill, run, signal};
use crate::hosts::{Hosts, TWO};
use crate::ledger::{self, Ledger, lost, present};
use crate::sampler::Sampler;

/// The primary dies with writes that the replica never received.
async fn primary_dies_unheard(hosts: &Hosts, ledger: Ledger) -> Vec<u64> {
    let replica = hosts.deafen("db-1", "db-2").await;
    ledger.writes(20).await;
    hosts.spoil("db-1", "broken");
    kill(hosts.pid("db-1"));
    signal(replica, Signal::SIGCONT);
    assert_eq!(hosts.elected_after("db-1").await, "db-2");
    let (book, _) = ledger.stop().await;
    let there = present(&mut hosts.admin("db-2").await).await;
    assert_eq!(ledger::invented(&book, &there), Vec::<u64>::new());
    lost(&book, &there)
}

#[tokio::test]
async fn asynchronous_replication_loses_writes() {
    let mut bed = Bed::of(&TWO);
    bed.acknowledged = false;
    let mut hosts = Hosts::prepare(bed);
    hosts.power_on_all().await;
    for name in TWO {
        hosts
            .until_report(name, "it serves", MemberReport::serves)
            .await;
    }
    let ledger = Ledger::start(&hosts).await;
    ledger.writes(100).await;
    let lost = primary_dies_unheard(&hosts, ledger).await;
    assert!(lost.len() >= 10, "{lost:?}");
}

#[tokio::test]
async fn a_semi_sync_timeout_loses_writes() {
    let hosts = Hosts::start(&TWO).await;
    let ledger = Ledger::start(&hosts).await;
    ledger.writes(100).await;
    let mut primary = hosts.admin("db-1").await;
    run(
        &mut primary,
        "SET GLOBAL rpl_semi_sync_master_timeout = 100",
    )
    .await;
    let lost = primary_dies_unheard(&hosts, ledger).await;
    assert!(lost.len() >= 10, "{lost:?}");
}

/// The replica acknowledged what it received, and throws it away.
#[tokio::test]
async fn promotion_by_what_was_executed_loses_writes() {
    let hosts = Hosts::start(&TWO).await;
    let ledger = Ledger::start(&hosts).await;
    ledger.writes(100).await;
    let frozen = hosts.freeze_keeper("db-2").await;
    let mut replica = hosts.admin("db-2").await;
    run(&mut replica, "STOP SLAVE SQL_THREAD").await;
    ledger.writes(20).await;
    hosts.spoil("db-1", "broken");
    kill(hosts.pid("db-1"));
    let (book, _) = ledger.stop().await;
    for sql in ["STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0"] {
        run(&mut replica, sql).await;
    }
    let lost = lost(&book, &present(&mut replica).await);
    assert!(lost.len() >= 10, "{lost:?}");
    drop(frozen);
}

/// What the old primary has that the new one has not, when it was fenced by `with` while a write waited
/// for its acknowledgement.
async fn only_on_the_old_primary(with: Signal) -> Vec<u64> {
    let hosts = Hosts::start(&TWO).await;
    let primary = hosts.pid("db-1");
    run(&mut hosts.bed.app("db-1").await, ledger::TABLE).await;
    let replica = hosts.deafen("db-1", "db-2").await;
    let mut app = hosts.bed.app("db-1").await;
    let insert = "INSERT INTO ledger VALUES (7, 'unacknowledged')";
    let waiting = tokio::time::timeout(Duration::from_millis(300), app.execute(insert)).await;
    assert!(waiting.is_err(), "acknowledged by nobody");
    hosts.spoil("db-1", "broken");
    signal(primary, with);
    hosts
        .until_report("db-1", "it has ended", |report| report.pid.is_none())
        .await;
    signal(replica, Signal::SIGCONT);
    assert_eq!(hosts.elected_after("db-1").await, "db-2");
    let old = Apart::start(&hosts, "db-1").await;
    let there: BTreeSet<u64> = present(&mut hosts.admin("db-1").await).await;
    let new = present(&mut hosts.admin("db-2").await).await;
    drop(old);
    there.difference(&new).copied().collect()
}

#[tokio::test]
async fn sigterm_is_no_fence() {
    assert_eq!(only_on_the_old_primary(Signal::SIGTERM).await, [7]);
}

#[tokio::test]
async fn sigkill_is_one() {
    assert_eq!(
        only_on_the_old_primary(Signal::SIGKILL).await,
        Vec::<u64>::new()
    );
}

/// A member's server as a later replica of another, without its keeper.
struct Apart(Child);

impl Apart {
    async fn start(hosts: &Hosts, name: &str) -> Self {
        let options = hosts.bed.dir.path().join("run").join(format!("{name}.cnf"));
        let path = std::env::var("PATH").unwrap() + ":/usr/sbin";
        let server = Command::new("mariadbd")
            .arg(format!("--defaults-file={}", options.display()))
            .args(["--init-rpl-role=SLAVE", "--skip-networking"])
            .env("PATH", path)
            .env(process::leash::MARK, &hosts.bed.mark)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let apart = Self(server.unwrap());
        let began = Instant::now();
        while !hosts.bed.answers(name).await {
            assert!(began.elapsed() < LONG, "{name} does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        apart
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn two_writable_servers_are_seen() {
    let hosts = Hosts::start(&TWO).await;
    let sampler = Sampler::start(&hosts);
    let frozen = hosts.freeze_keeper("db-2").await;
    let mut replica = hosts.admin("db-2").await;
    run(&mut replica, "SET GLOBAL read_only = 0").await;
    // Long enough for several looks.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let seen = sampler.stop().await;
    assert!(seen.two_writable().is_some(), "{} samples", seen.len());
    drop(frozen);
    hosts
        .until_report("db-2", "it is looked at again", |report| {
            report.read_only == Some(false)
        })
        .await;
    hosts
        .until_report("db-2", "read-only again", |report| {
            report.serves() && report.read_only == Some(true)
        })
        .await;
    let sampler = Sampler::start(&hosts);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sampler.stop().await.two_writable(), None);
    hosts.finish().await;
}
