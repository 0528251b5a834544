//! A connection to a server goes from one session to the next: the next one finds nothing of the first.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, Row, TxOpts, Value};

use crate::bed::Bed;

/// A router that may have one connection to each server.
async fn narrow() -> Bed {
    let bed = Bed::with_threads(1).await;
    bed.change(|snapshot| {
        snapshot.target.connections = 1;
        snapshot.target.hold = Duration::from_secs(20);
    });
    bed.primary
        .sql(&[
            "CREATE DATABASE other",
            "GRANT ALL ON other.* TO app@'%'",
            "CREATE SEQUENCE app.s",
            "CREATE FUNCTION app.f() RETURNS INT RETURN ROW_COUNT()",
            "CREATE FUNCTION app.g() RETURNS INT RETURN FOUND_ROWS()",
            "CREATE TABLE app.few (v INT)",
            "INSERT INTO app.few VALUES (1), (2), (3)",
            "INSERT INTO app.t (v) VALUES ('a'), ('b')",
        ])
        .await;
    bed.caught_up().await;
    bed
}

/// What a session leaves.
const LEFT: &[&[&str]] = &[
    &["SELECT v FROM few FOR UPDATE"],
    &["SELECT v FROM few"],
    &["INSERT INTO t (v) VALUES ('a'), ('b')"],
    &["UPDATE t SET v = 'c'"],
    &["SELECT SQL_CALC_FOUND_ROWS v FROM few LIMIT 1 FOR UPDATE"],
    &["SELECT LAST_INSERT_ID(77)"],
    &["SELECT CAST('x' AS INT) FOR UPDATE"],
    &["SELECT v FROM nowhere FOR UPDATE"],
    &["SELECT CAST('x' AS INT) FROM few"],
    &["SET time_zone = '+07:00'", "SELECT v FROM few"],
    &["SET sql_mode = 'ANSI_QUOTES'", "SELECT v FROM few"],
    &[
        "SET collation_connection = 'utf8mb4_bin'",
        "SELECT v FROM few",
    ],
    &["SET NAMES latin1 COLLATE latin1_bin", "SELECT v FROM few"],
    &["SET sql_select_limit = 1", "SELECT v FROM few"],
    &["SET autocommit = 0", "SET autocommit = 1"],
    &["SET SESSION TRANSACTION READ ONLY"],
    &["USE other", "SELECT 1 FOR UPDATE", "SELECT 1"],
    &["SELECT NEXTVAL(s)"],
    &["SET last_insert_id = 9"],
    &["BEGIN", "UPDATE t SET v = 'd'", "COMMIT"],
    &["BEGIN", "SELECT v FROM few", "ROLLBACK"],
    &["/*mainstay:replica*/ SELECT g()"],
];

/// What keeps its connection for a session as long as that lasts.
const PINNED: &[&[&str]] = &[
    &["SET @a = 5"],
    &["CREATE TEMPORARY TABLE mine (v INT)"],
    &["SET insert_id = 5000"],
    &["PREPARE p FROM 'SELECT 1'"],
    &["SET autocommit = 0"],
    &["SET TRANSACTION READ ONLY"],
    &["SELECT GET_LOCK('l', 1)"],
    &["BEGIN", "UPDATE few SET v = v + 1"],
];

/// What the next one asks; the last statement's answer counts. The first eight are about what was run last.
const ASKED: &[&[&str]] = &[
    &["SELECT ROW_COUNT()"],
    &["SELECT FOUND_ROWS()"],
    &["SELECT LAST_INSERT_ID()"],
    &["SHOW WARNINGS"],
    &["SELECT f()"],
    &["SELECT 1 FOR UPDATE", "SHOW WARNINGS"],
    &["SELECT 1 FOR UPDATE", "SELECT ROW_COUNT()"],
    &["DO 1", "SELECT FOUND_ROWS()"],
    &["SELECT g()"],
    &["SELECT 1", "SHOW WARNINGS"],
    &["DO 1", "SELECT ROW_COUNT()"],
    &["DO 1", "SELECT g()"],
    &["DO 1", "SELECT LASTVAL(s)"],
    &["SELECT LASTVAL(s)"],
    &["SELECT @@last_gtid"],
    &["DO 1", "SELECT @@last_gtid"],
    &["SELECT LAST_INSERT_ID() FOR UPDATE"],
    &["SELECT @@warning_count, @@error_count"],
    &["SELECT TIMESTAMPDIFF(HOUR, UTC_TIMESTAMP(), NOW()) FOR UPDATE"],
    &["SELECT TIMESTAMPDIFF(HOUR, UTC_TIMESTAMP(), NOW())"],
    &["SELECT \"a\" FOR UPDATE"],
    &["SELECT \"a\""],
    &["SELECT COLLATION('a'), CHARSET('a') FOR UPDATE"],
    &["SELECT COLLATION('a'), CHARSET('a')"],
    &["SELECT 1 FROM few FOR UPDATE"],
    &["SELECT 1 FROM few"],
    &["SELECT DATABASE() FOR UPDATE"],
    &["SELECT DATABASE()"],
    &["SELECT @a"],
    &["SELECT v FROM mine"],
    &["EXECUTE p"],
    &[
        "INSERT INTO few VALUES (9)",
        "ROLLBACK",
        "DELETE FROM few WHERE v = 9",
        "SELECT ROW_COUNT()",
    ],
    &["SELECT @@autocommit, @@tx_read_only, @@sql_mode, @@time_zone, @@insert_id"],
];

/// The rows, or the error's code, of the last of `statements`.
async fn run(client: &mut Conn, statements: &[&str]) -> Result<Vec<Vec<Value>>, u16> {
    let mut last = Ok(Vec::new());
    for sql in statements {
        last = match client.query::<Row, _>(*sql).await {
            Ok(rows) => Ok(rows.into_iter().map(Row::unwrap).collect()),
            Err(mysql_async::Error::Server(error)) => Err(error.code),
            Err(other) => panic!("{sql}: {other}"),
        };
    }
    last
}

async fn a_fresh_connection_says(bed: &Bed, asked: &[&str]) -> Result<Vec<Vec<Value>>, u16> {
    let straight = OptsBuilder::default()
        .ip_or_hostname(bed.primary.address.ip().to_string())
        .tcp_port(bed.primary.address.port())
        .prefer_socket(false)
        .user(Some("app"))
        .pass(Some("secret"))
        .db_name(Some("app"))
        // Known, so that it asks for nothing itself.
        .max_allowed_packet(Some(128 << 20))
        .wait_timeout(Some(28_800));
    let mut fresh = Conn::new(straight).await.unwrap();
    // A server tells a fresh connection what one before it has counted (measured).
    run(&mut fresh, &["SELECT 1 LIMIT 0", "DO 0"])
        .await
        .unwrap();
    let expected = run(&mut fresh, asked).await;
    fresh.disconnect().await.unwrap();
    expected
}

#[tokio::test]
async fn nothing_of_a_session_that_ended_is_found_by_the_next() {
    let bed = narrow().await;
    let mut found = Vec::new();
    for asked in ASKED {
        let expected = a_fresh_connection_says(&bed, asked).await;
        // Another connection is opened after those, and counts as its server lets it.
        let pinned = if asked.contains(&"SELECT g()") {
            &[]
        } else {
            PINNED
        };
        for left in LEFT.iter().chain(pinned) {
            let mut before = bed.client().await;
            run(&mut before, left).await.ok();
            before.disconnect().await.unwrap();
            let mut next = bed.client().await;
            let got = run(&mut next, asked).await;
            if got != expected {
                found.push(format!("{left:?}, {asked:?}: {got:?}, not {expected:?}"));
            }
            next.disconnect().await.unwrap();
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn nothing_of_a_session_that_waits_is_found_by_another() {
    let bed = narrow().await;
    let mut found = Vec::new();
    for asked in &ASKED[..8] {
        let expected = a_fresh_connection_says(&bed, asked).await;
        for left in LEFT {
            let mut before = bed.client().await;
            run(&mut before, left).await.ok();
            let mut next = bed.client().await;
            let got = run(&mut next, asked).await;
            if got != expected {
                found.push(format!("{left:?}, {asked:?}: {got:?}, not {expected:?}"));
            }
            next.disconnect().await.unwrap();
            before.disconnect().await.unwrap();
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn plain_work_goes_on_without_a_reset() {
    let bed = narrow().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(bed.client().await);
    }
    for round in 0..10 {
        for client in &mut clients {
            let read = "SELECT v FROM few WHERE v > ? ORDER BY v";
            let v: Vec<i32> = client.exec(read, (round % 3,)).await.unwrap();
            assert_eq!(v.first(), Some(&(round % 3 + 1)));
            let mut transaction = client.start_transaction(TxOpts::default()).await.unwrap();
            let write = "UPDATE t SET v = ? WHERE v = 'none'";
            transaction.exec_drop(write, (round,)).await.unwrap();
            transaction.commit().await.unwrap();
        }
    }
    let metrics = bed.router.metrics();
    let count = |name: &str| -> u64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(count("mainstay_sql_server_connections_reused_total") >= 90);
    assert_eq!(count("mainstay_sql_server_connections_reset_total"), 0);
}

/// The types bound to a statement are one session's, though the server's statement is the next one's.
#[tokio::test]
async fn a_prepared_statement_is_handed_over_with_nothing_bound() {
    let bed = narrow().await;
    let (mut one, mut two) = (bed.client().await, bed.client().await);
    let text = "SELECT CONCAT(?, '-', v) FROM few ORDER BY v LIMIT 1";
    let of_one = one.prep(text).await.unwrap();
    let of_two = two.prep(text).await.unwrap();
    for n in 0..5 {
        let said: Option<String> = one.exec_first(&of_one, (n,)).await.unwrap();
        assert_eq!(said, Some(format!("{n}-1")));
        let said: Option<String> = two.exec_first(&of_two, ("ä",)).await.unwrap();
        assert_eq!(said, Some("ä-1".to_owned()));
    }
    one.close(of_one).await.unwrap();
    let said: Option<String> = two.exec_first(&of_two, (2.5,)).await.unwrap();
    assert_eq!(said, Some("2.5-1".to_owned()));
}
