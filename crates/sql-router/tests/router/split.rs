//! What goes where, and that nobody can tell.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, TxOpts};

use crate::bed::{Bed, whereabouts};

#[tokio::test]
async fn reads_go_to_the_replica_and_writes_to_the_primary() {
    let bed = Bed::start().await;
    let mut client = bed.client().await;
    client
        .query_drop("INSERT INTO t (v) VALUES ('a')")
        .await
        .unwrap();
    bed.caught_up().await;
    let before = (
        bed.primary.counter("Com_select").await,
        bed.replica.counter("Com_select").await,
    );
    for _ in 0..10 {
        let v: Vec<String> = client.query("SELECT v FROM t").await.unwrap();
        assert_eq!(v, ["a"]);
        let v: Vec<String> = client
            .exec("SELECT v FROM t WHERE id = ?", (1,))
            .await
            .unwrap();
        assert_eq!(v, ["a"]);
    }
    let after = (
        bed.primary.counter("Com_select").await,
        bed.replica.counter("Com_select").await,
    );
    assert_eq!(after.0, before.0, "no read reached the primary");
    assert!(after.1 - before.1 >= 20);
    for _ in 0..5 {
        client
            .exec_drop("INSERT INTO t (v) VALUES (?)", ("b",))
            .await
            .unwrap();
    }
    assert!(bed.primary.counter("Com_insert").await >= 6);
    // Every write in the replica's history is the primary's.
    bed.caught_up().await;
    let history = bed.replica.sql(&["SELECT @@gtid_binlog_state"]).await;
    assert!(history.single().unwrap().starts_with("0-1-"), "{history:?}");
    let status = bed.router.status();
    assert!(
        status.to_replica >= 20 && status.to_primary >= 6,
        "{status:?}"
    );
    assert!(
        bed.router
            .metrics()
            .contains("to=\"replica\",because=\"plain-read\"")
    );
}

#[tokio::test]
async fn a_session_reads_what_it_wrote() {
    let bed = Bed::start().await;
    let mut client = bed.client().await;
    for n in 1..=100 {
        client
            .exec_drop("INSERT INTO t (v) VALUES (?)", (n,))
            .await
            .unwrap();
        let count: i32 = client
            .query_first("SELECT COUNT(*) FROM t")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(count, n);
    }
    let status = bed.router.status();
    assert!(
        status.to_replica > 50,
        "mostly from the replica: {status:?}"
    );

    // The replica receives but does not apply.
    bed.change(|snapshot| snapshot.target.causal_wait = std::time::Duration::from_secs(2));
    bed.replica.sql(&["STOP SLAVE SQL_THREAD"]).await;
    client
        .query_drop("INSERT INTO t (v) VALUES ('late')")
        .await
        .unwrap();
    let count: i32 = client
        .query_first("SELECT COUNT(*) FROM t")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(count, 101);
    assert_eq!(whereabouts(&mut client).await, "db-1");
    assert!(bed.router.status().causal_fallback >= 2);
    let begun = std::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(whereabouts(&mut client).await, "db-1");
    }
    let wait = bed.snapshot.load().target.causal_wait;
    assert!(begun.elapsed() < wait * 3, "it is not waited for each time");
    // Who has written nothing may read what the replica has.
    assert_eq!(whereabouts(&mut bed.client().await).await, "db-2");

    bed.replica.sql(&["START SLAVE SQL_THREAD"]).await;
    bed.caught_up().await;
    assert_eq!(whereabouts(&mut client).await, "db-2");
    let count: i32 = client
        .query_first("SELECT COUNT(*) FROM t")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(count, 101);
}

#[tokio::test]
async fn transactions_and_what_a_session_holds_stay_on_the_primary() {
    let bed = Bed::start().await;
    let mut client = bed.client().await;
    assert_eq!(whereabouts(&mut client).await, "db-2");

    let mut transaction = client.start_transaction(TxOpts::default()).await.unwrap();
    transaction
        .query_drop("INSERT INTO t (v) VALUES ('x')")
        .await
        .unwrap();
    let host: String = transaction
        .query_first("SELECT @@report_host")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(host, "db-1");
    let count: i32 = transaction
        .exec_first("SELECT COUNT(*) FROM t", ())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(count, 1);
    transaction.rollback().await.unwrap();
    assert_eq!(whereabouts(&mut client).await, "db-2");

    client.query_drop("SET autocommit = 0").await.unwrap();
    assert_eq!(whereabouts(&mut client).await, "db-1");
    client.query_drop("SET autocommit = 1").await.unwrap();
    assert_eq!(whereabouts(&mut client).await, "db-2");

    client
        .query_drop("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        .await
        .unwrap();
    assert_eq!(whereabouts(&mut client).await, "db-1");
    client.query_drop("BEGIN").await.unwrap();
    client.query_drop("COMMIT").await.unwrap();
    assert_eq!(whereabouts(&mut client).await, "db-2");

    for pin in [
        "CREATE TEMPORARY TABLE tmp (a INT)",
        "SET @a = 5 + 5",
        "SELECT @b := 1",
        "LOCK TABLES t READ",
        "SELECT GET_LOCK('l', 0)",
        "PREPARE s FROM 'SELECT 1'",
        "HANDLER t OPEN",
        "SET timestamp = 1000",
    ] {
        let mut client = bed.client().await;
        client.query_drop(pin).await.unwrap();
        assert_eq!(whereabouts(&mut client).await, "db-1", "{pin}");
        client.disconnect().await.unwrap();
    }
    bed.primary
        .sql(&["CREATE PROCEDURE app.p() BEGIN CREATE TEMPORARY TABLE tmp (a INT); SELECT 1; END"])
        .await;
    client.query_drop("CALL p()").await.unwrap();
    assert_eq!(
        whereabouts(&mut client).await,
        "db-1",
        "a procedure made a temporary table"
    );
    let tmp: Vec<i32> = client.query("SELECT a FROM tmp").await.unwrap();
    assert!(tmp.is_empty());
}

#[tokio::test]
async fn user_variables_that_are_plain_values_follow_the_session() {
    let bed = Bed::start().await;
    let mut client = bed.client().await;
    for (set, expected) in [
        ("SET @a = 5, @B = 'it''s'", "5 it's null"),
        ("SET @a := -1.50, @c = NULL", "-1.50 it's null"),
        ("SET @c = TRUE", "-1.50 it's 1"),
    ] {
        client.query_drop(set).await.unwrap();
        let read = "SELECT CONCAT_WS(' ', @a, @b, IFNULL(@c, 'null'))";
        let before = bed.replica.counter("Com_select").await;
        let seen: String = client.query_first(read).await.unwrap().unwrap();
        assert_eq!(seen, expected);
        assert!(bed.replica.counter("Com_select").await > before);
        assert_eq!(whereabouts(&mut client).await, "db-2");
    }
    client
        .query_drop("INSERT INTO t (v) VALUES (@b)")
        .await
        .unwrap();
    let prepared = "SELECT v FROM t WHERE v = @b AND id > ?";
    let v: String = client.exec_first(prepared, (0,)).await.unwrap().unwrap();
    assert_eq!(v, "it's");
    // What they would be now depends on the collation that they were set under.
    client.query_drop("SET NAMES latin1").await.unwrap();
    assert_eq!(whereabouts(&mut client).await, "db-1");
    client.reset().await.unwrap();
    assert_eq!(whereabouts(&mut client).await, "db-2");
    let a: Option<String> = client.query_first("SELECT @a").await.unwrap().unwrap();
    assert_eq!(a, None);
}

#[tokio::test]
async fn temporary_tables_and_variables_are_read_where_they_are() {
    let bed = Bed::start().await;
    let mut client = bed.client().await;
    client
        .query_drop("CREATE TEMPORARY TABLE tmp AS SELECT 7 AS a")
        .await
        .unwrap();
    let a: i32 = client
        .query_first("SELECT a FROM tmp")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(a, 7);
    let mut client = bed.client().await;
    client.query_drop("SET @x = 3").await.unwrap();
    let x: i32 = client.query_first("SELECT @x + 1").await.unwrap().unwrap();
    assert_eq!(x, 4);
    client
        .query_drop("INSERT INTO t (v) VALUES ('id')")
        .await
        .unwrap();
    let inserted = client.last_insert_id();
    let id: u64 = client
        .query_first("SELECT LAST_INSERT_ID()")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(Some(id), inserted);
}

async fn setting<T: mysql_async::prelude::FromValue + Send + 'static>(
    client: &mut Conn,
    sql: &str,
) -> (T, String) {
    let value: T = client.query_first(sql).await.unwrap().unwrap();
    (value, whereabouts(client).await)
}

#[tokio::test]
async fn settings_follow_the_session_to_the_replica() {
    let bed = Bed::start().await;
    bed.primary
        .sql(&[
            "CREATE DATABASE second",
            "CREATE TABLE second.only_here (a INT)",
            "GRANT ALL ON second.* TO app@'%'",
        ])
        .await;
    bed.caught_up().await;
    let mut client = bed.client().await;
    assert_eq!(whereabouts(&mut client).await, "db-2");
    let on_replica = |value: &str| (value.to_owned(), "db-2".to_owned());

    client.query_drop("SET time_zone = '+07:00'").await.unwrap();
    let shown = setting(&mut client, "SELECT FROM_UNIXTIME(0)").await;
    assert_eq!(shown, on_replica("1970-01-01 07:00:00"));
    client
        .query_drop("SET SESSION sql_mode = 'PIPES_AS_CONCAT'")
        .await
        .unwrap();
    assert_eq!(
        setting(&mut client, "SELECT 'a' || 'b'").await,
        on_replica("ab")
    );
    client
        .query_drop("SET NAMES utf8mb4 COLLATE utf8mb4_bin")
        .await
        .unwrap();
    assert_eq!(
        setting(&mut client, "SELECT COLLATION('a')").await,
        on_replica("utf8mb4_bin")
    );
    client.query_drop("SET NAMES latin1").await.unwrap();
    assert_eq!(
        setting(&mut client, "SELECT COLLATION('a')").await,
        on_replica("latin1_swedish_ci")
    );
    client
        .query_drop("SET group_concat_max_len = 4, max_statement_time = 9.5")
        .await
        .unwrap();
    let shown = setting(
        &mut client,
        "SELECT GROUP_CONCAT(a) FROM (SELECT 'aaa' a UNION SELECT 'bbb') x",
    )
    .await;
    assert_eq!(shown, on_replica("aaa,"));

    client.query_drop("USE second").await.unwrap();
    assert_eq!(
        setting(&mut client, "SELECT DATABASE()").await,
        on_replica("second")
    );
    assert_eq!(
        setting::<i32>(&mut client, "SELECT COUNT(*) FROM only_here")
            .await
            .0,
        0
    );
    client
        .query_drop("SET STATEMENT max_statement_time = 5 FOR SELECT 1")
        .await
        .unwrap();
    assert_eq!(whereabouts(&mut client).await, "db-2");
    let mut other = bed.client().await;
    let shown = setting(
        &mut other,
        "SELECT GROUP_CONCAT(a) FROM (SELECT 'aaa' a UNION SELECT 'bbb') x",
    )
    .await;
    assert_eq!(
        shown,
        on_replica("aaa,bbb"),
        "settings do not leak to others"
    );
}
