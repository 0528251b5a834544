//! kill -9 of either server: back in place, nothing lost, nothing writable that must not be.

use std::time::Instant;

use database::{MemberReport, Role};

use crate::bed::{Bed, code, kill, run, until};

#[tokio::test]
async fn a_killed_primary_is_back_in_place_and_writable() {
    let mut bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    let mut app = bed.app("db-1").await;
    for id in 2..50 {
        run(&mut app, &format!("INSERT INTO t VALUES ({id}, {id})")).await;
    }
    let pid = primary.report().borrow().pid.unwrap();
    let began = Instant::now();
    kill(pid);
    let back = until(&primary, "it is back", |report| {
        report.serves() && report.pid != Some(pid)
    })
    .await;
    println!("killed primary back after {:?}", began.elapsed());
    assert_eq!((back.role, back.restarts), (Role::Primary, 1));
    let mut app = bed.app("db-1").await;
    let rows = app.query("SELECT COUNT(*) FROM t").await.unwrap();
    assert_eq!(rows.single(), Some("49"), "every acknowledged row is there");
    run(&mut app, "INSERT INTO t VALUES (50, 50)").await;
    bed.arrives("SELECT COUNT(*) FROM t", "50").await;
    bed.same("foobar_app.t").await;
    until(&replica, "the replica follows again", MemberReport::serves).await;
    let down = bed.said("member-down").unwrap();
    assert!(down.contains("killed by SIGKILL"), "{down}");
    bed.stop([replica, primary]).await;
}

#[tokio::test]
async fn a_killed_replica_is_back_and_read_only() {
    let bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    let pid = replica.report().borrow().pid.unwrap();
    kill(pid);
    let mut app = bed.app("db-1").await;
    for id in 2..50 {
        run(&mut app, &format!("INSERT INTO t VALUES ({id}, {id})")).await;
    }
    let back = until(&replica, "it is back", |report| {
        report.serves() && report.pid != Some(pid)
    })
    .await;
    assert_eq!((back.role, back.read_only), (Role::Replica, Some(true)));
    bed.arrives("SELECT COUNT(*) FROM t", "49").await;
    bed.same("foobar_app.t").await;
    let mut app = bed.app("db-1.2").await;
    let refused = app.query("INSERT INTO t VALUES (100, 1)").await;
    assert_eq!(code(refused), Some(1290));
    bed.stop([replica, primary]).await;
}

#[tokio::test]
async fn a_replica_made_writable_is_read_only_again_and_it_is_told() {
    let mut bed = Bed::new();
    let (primary, replica) = bed.pair().await;
    bed.seed().await;
    run(&mut bed.admin("db-1.2").await, "SET GLOBAL read_only = 0").await;
    until(&replica, "read-only again", |report| {
        report.read_only == Some(false)
    })
    .await;
    until(&replica, "read-only again", |report| {
        report.serves() && report.read_only == Some(true)
    })
    .await;
    assert!(bed.said("member-writable").is_some());
    bed.stop([replica, primary]).await;
}
