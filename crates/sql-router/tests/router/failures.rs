//! Servers that die, refuse and come back.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use site::name::MemberName;

use crate::bed::{Bed, PATIENCE, code, whereabouts};

#[tokio::test]
async fn a_read_that_writes_is_run_on_the_primary() {
    let bed = Bed::start().await;
    bed.primary
        .sql(&[
            "CREATE FUNCTION app.f() RETURNS INT BEGIN INSERT INTO app.t (v) VALUES ('f'); RETURN 1; END",
            "CREATE VIEW app.w AS SELECT app.f() AS a",
        ])
        .await;
    bed.caught_up().await;
    let mut client = bed.client().await;
    let a: i32 = client
        .query_first("SELECT a FROM w")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(a, 1);
    let count: i32 = client
        .query_first("SELECT COUNT(*) FROM t")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(count, 1, "done once, and seen");
    let a: i32 = client
        .exec_first("SELECT a FROM w", ())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(a, 1);
    assert!(bed.router.metrics().contains("because=\"replica-refused\""));
}

#[tokio::test]
async fn without_a_replica_reads_go_to_the_primary() {
    let mut bed = Bed::start().await;
    let mut client = bed.client().await;
    let mut other = bed.client().await;
    assert_eq!(whereabouts(&mut client).await, "db-2");
    assert_eq!(whereabouts(&mut other).await, "db-2");
    bed.replica.kill();
    for _ in 0..3 {
        assert_eq!(whereabouts(&mut client).await, "db-1");
        assert_eq!(whereabouts(&mut other).await, "db-1");
    }
    bed.replica.restart().await;
    let until = Instant::now() + PATIENCE;
    while whereabouts(&mut client).await != "db-2" {
        assert!(Instant::now() < until, "the replica is not used again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bed.change(|snapshot| snapshot.servers.replicas[0].lag_ms = Some(60_000));
    assert_eq!(whereabouts(&mut client).await, "db-1", "it lags");
    bed.change(|snapshot| snapshot.servers.replicas[0].lag_ms = None);
    assert_eq!(
        whereabouts(&mut client).await,
        "db-1",
        "its lag is not known"
    );
}

#[tokio::test]
async fn statements_wait_for_a_primary_and_sessions_live_on() {
    let mut bed = Bed::start().await;
    let mut client = bed.client().await;
    let mut busy = bed.client().await;
    client.query_drop("SET time_zone = '+03:00'").await.unwrap();
    client
        .query_drop("INSERT INTO t (v) VALUES ('before')")
        .await
        .unwrap();
    busy.query_drop("BEGIN").await.unwrap();
    busy.query_drop("INSERT INTO t (v) VALUES ('never')")
        .await
        .unwrap();
    bed.caught_up().await;
    bed.primary.kill();

    // A transaction is lost with its server, is told so, and is not repeated.
    let lost = busy.query_drop("COMMIT").await.unwrap_err();
    assert_eq!(code(&lost), 2013);
    assert!(lost.to_string().contains("rolled back"), "{lost}");
    assert!(
        busy.query_drop("SELECT 1").await.is_err(),
        "its session has ended"
    );

    // Reads go on meanwhile; writes wait, then fail.
    assert_eq!(whereabouts(&mut client).await, "db-2");
    let begun = Instant::now();
    let refused = client
        .query_drop("INSERT INTO t (v) VALUES ('x')")
        .await
        .unwrap_err();
    assert_eq!(code(&refused), 1053);
    assert!(refused.to_string().contains("no primary"), "{refused}");
    assert!(begun.elapsed() >= Duration::from_secs(1));

    // A write that waits is done when the other server has become primary.
    bed.change(|snapshot| {
        snapshot.target.hold = PATIENCE;
        snapshot.servers.primary = None;
    });
    let write = tokio::spawn(async move {
        client
            .query_drop("INSERT INTO t (v) VALUES ('after')")
            .await
            .unwrap();
        client
    });
    while !bed.router.metrics().contains("mainstay_sql_held_total 2") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bed.replica
        .sql(&["STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0"])
        .await;
    bed.change(|snapshot| {
        snapshot.servers.generation = 2;
        snapshot.servers.primary = Some(MemberName::new("db-2"));
        snapshot.servers.replicas.clear();
    });
    let mut client = write.await.unwrap();
    let v: Vec<String> = client.query("SELECT v FROM t ORDER BY id").await.unwrap();
    assert_eq!(v, ["before", "after"]);
    let zone: String = client
        .query_first("SELECT @@time_zone")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(zone, "+03:00", "settings followed to the new primary");
}

#[tokio::test]
async fn a_new_generation_leaves_old_connections_behind() {
    let bed = Bed::start().await;
    let mut client = bed.client().await;
    let mut holder = bed.client().await;
    client
        .query_drop("INSERT INTO t (v) VALUES ('a')")
        .await
        .unwrap();
    holder
        .query_drop("CREATE TEMPORARY TABLE tmp (a INT)")
        .await
        .unwrap();
    let thread = async |client: &mut mysql_async::Conn| -> u32 {
        client
            .query_first("SELECT CONNECTION_ID()")
            .await
            .unwrap()
            .unwrap()
    };
    let before = thread(&mut client).await;
    assert_eq!(thread(&mut client).await, before);
    bed.change(|snapshot| snapshot.servers.generation = 2);
    assert_ne!(thread(&mut client).await, before);
    let lost = holder
        .query_drop("INSERT INTO t (v) VALUES ('b')")
        .await
        .unwrap_err();
    assert_eq!(code(&lost), 2013);
    assert!(lost.to_string().contains("temporary table"), "{lost}");
}

#[tokio::test]
async fn kill_finds_the_session_that_the_client_means() {
    let bed = Bed::start().await;
    let mut client = bed.client().await;
    let mut killer = bed.client().await;
    let id = client.id();
    let sleeping = tokio::spawn(async move {
        let slept = client.query_drop("SELECT SLEEP(20)").await;
        (slept, client)
    });
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until);
        let states: Vec<String> = {
            let rows = bed
                .primary
                .sql(&[
                    "SELECT STATE FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'",
                ])
                .await;
            rows.rows.into_iter().flatten().flatten().collect()
        };
        if !states.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    killer.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    let (slept, mut client) = sleeping.await.unwrap();
    assert_eq!(code(&slept.unwrap_err()), 1317, "it was interrupted");
    client.ping().await.unwrap();
    killer.query_drop(format!("KILL {id}")).await.unwrap();
    assert!(client.query_drop("DO 1").await.is_err());
    assert_eq!(
        code(&killer.query_drop("KILL 1999999999").await.unwrap_err()),
        1094
    );
}

#[tokio::test]
async fn a_drain_lets_transactions_end() {
    let bed = Bed::start().await;
    let mut idle = bed.client().await;
    let mut busy = bed.client().await;
    idle.query_drop("SELECT 1").await.unwrap();
    busy.query_drop("BEGIN").await.unwrap();
    busy.query_drop("INSERT INTO t (v) VALUES ('kept')")
        .await
        .unwrap();
    let draining = bed.router.drain(PATIENCE);
    let work = async {
        while bed.router.status().sessions > 1 {
            tokio::task::yield_now().await;
        }
        assert!(
            idle.query_drop("SELECT 1").await.is_err(),
            "idle sessions end"
        );
        busy.query_drop("COMMIT").await.unwrap();
    };
    let (drained, ()) = tokio::join!(draining, work);
    assert!(drained);
    let rows = bed.primary.sql(&["SELECT COUNT(*) FROM app.t"]).await;
    assert_eq!(rows.single(), Some("1"));
    assert!(mysql_async::Conn::new(bed.options()).await.is_err());
}

/// A switchover holds writes by making the primary read-only: the router hears of it a moment later.
#[tokio::test]
async fn a_write_waits_while_the_primary_is_read_only() {
    let bed = Bed::start().await;
    let mut client = bed.client().await;
    client
        .query_drop("INSERT INTO t (v) VALUES ('before')")
        .await
        .unwrap();
    let id: u64 = client
        .query_first("SELECT LAST_INSERT_ID()")
        .await
        .unwrap()
        .unwrap();
    // A transaction that wrote cannot be moved: it hears of it.
    let mut open = bed.client().await;
    open.query_drop("BEGIN").await.unwrap();
    open.query_drop("SELECT 1").await.unwrap();
    bed.primary.sql(&["SET GLOBAL read_only = 1"]).await;
    let refused = open.query_drop("INSERT INTO t (v) VALUES ('in')").await;
    assert_eq!(code(&refused.unwrap_err()), 1290);
    open.query_drop("ROLLBACK").await.unwrap();

    let writing = tokio::spawn(async move {
        client
            .exec_drop("UPDATE t SET v = ? WHERE v = 'before'", ("after",))
            .await
            .unwrap();
        let same: u64 = client
            .query_first("SELECT LAST_INSERT_ID()")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(same, id, "what the session knows of its past stays");
    });
    let until = Instant::now() + PATIENCE;
    while !bed.router.metrics().contains("mainstay_sql_held_total 1") {
        assert!(Instant::now() < until, "{}", bed.router.metrics());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!writing.is_finished());
    bed.primary.sql(&["SET GLOBAL read_only = 0"]).await;
    writing.await.unwrap();
}
