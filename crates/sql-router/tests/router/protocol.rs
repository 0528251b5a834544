//! Commands and answers of all shapes.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Row, params};

use crate::bed::{Bed, code, whereabouts};

#[tokio::test]
async fn answers_of_all_shapes() {
    let bed = Bed::start().await;
    bed.primary
        .sql(&["CREATE PROCEDURE app.two() BEGIN SELECT 1 AS a; INSERT INTO t (v) VALUES ('p'); SELECT 2 AS b, 'x' AS c; END"])
        .await;
    let mut client = bed.client().await;

    let mut results = client.query_iter("CALL two()").await.unwrap();
    let first: Vec<i32> = results.collect().await.unwrap();
    let second: Vec<(i32, String)> = results.collect().await.unwrap();
    assert_eq!((first, second), (vec![1], vec![(2, "x".to_owned())]));
    drop(results);
    let count: i32 = client
        .query_first("SELECT COUNT(*) FROM t")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(count, 1, "the procedure's write is seen");

    let mut results = client
        .query_iter("INSERT INTO t (v) VALUES ('m'); SELECT COUNT(*) FROM t")
        .await
        .unwrap();
    assert_eq!(results.affected_rows(), 1);
    assert!(results.collect::<i32>().await.unwrap().is_empty());
    assert_eq!(results.collect::<i32>().await.unwrap(), [2]);
    drop(results);

    assert_eq!(code(&client.query_drop("SELEC 1").await.unwrap_err()), 1064);
    assert_eq!(
        code(
            &client
                .query_drop("SELECT * FROM missing")
                .await
                .unwrap_err()
        ),
        1146
    );
    assert_eq!(
        code(
            &client
                .exec_drop("SELECT * FROM missing", ())
                .await
                .unwrap_err()
        ),
        1146
    );
    let duplicate = client
        .query_drop("INSERT INTO t (id) VALUES (1)")
        .await
        .unwrap_err();
    assert_eq!(code(&duplicate), 1062);

    client
        .query_drop("SELECT CAST('12x' AS INT) FROM t LIMIT 1")
        .await
        .unwrap();
    assert_eq!(client.get_warnings(), 1);
    let warnings: Vec<(String, u16, String)> = client.query("SHOW WARNINGS").await.unwrap();
    assert_eq!(warnings.first().map(|warning| warning.1), Some(1292));
    client.query_drop("SELECT v FROM t").await.unwrap();
    let found: i32 = client
        .query_first("SELECT FOUND_ROWS()")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found, 2);
    let rows: Vec<Row> = client.query("SELECT * FROM t WHERE 1 = 0").await.unwrap();
    assert!(rows.is_empty());
}

#[tokio::test]
async fn prepared_statements_move_between_servers() {
    let bed = Bed::start().await;
    let mut client = bed.client().await;
    let insert = client.prep("INSERT INTO t (v) VALUES (:v)").await.unwrap();
    let read = client
        .prep("SELECT v, CONCAT(?, '!') FROM t WHERE id = ?")
        .await
        .unwrap();
    client
        .exec_drop(&insert, params! { "v" => "one" })
        .await
        .unwrap();
    for _ in 0..3 {
        let row: Option<(String, String)> = client.exec_first(&read, (1, 1)).await.unwrap();
        assert_eq!(row, Some(("one".to_owned(), "1!".to_owned())));
    }
    let replica_before = bed.replica.counter("Com_stmt_execute").await;
    assert!(replica_before > 0, "reads were executed on the replica");
    client.query_drop("BEGIN").await.unwrap();
    client
        .exec_drop(&insert, params! { "v" => "two" })
        .await
        .unwrap();
    let row: Option<(String, String)> = client.exec_first(&read, (5, 2)).await.unwrap();
    assert_eq!(
        row,
        Some(("two".to_owned(), "5!".to_owned())),
        "the same statement, on the primary"
    );
    client.query_drop("COMMIT").await.unwrap();
    let row: Option<(String, String)> = client.exec_first(&read, ("7", 2)).await.unwrap();
    assert_eq!(
        row,
        Some(("two".to_owned(), "7!".to_owned())),
        "other types, on the replica"
    );
    client.close(read).await.unwrap();
    let many: Vec<_> = (0..20).map(|n| (format!("v{n}"),)).collect();
    client
        .exec_batch("INSERT INTO t (v) VALUES (?)", many)
        .await
        .unwrap();
    let count: i32 = client
        .query_first("SELECT COUNT(*) FROM t")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(count, 22);
    // Each session has its own statements, also on a connection that another had before.
    client.disconnect().await.unwrap();
    let mut client = bed.client().await;
    let count: i32 = client
        .exec_first("SELECT COUNT(*) FROM t", ())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(count, 22);
}

#[tokio::test]
async fn values_over_16_mib_go_both_ways() {
    let bed = Bed::start().await;
    bed.primary
        .sql(&["CREATE TABLE app.big (id INT PRIMARY KEY, b LONGBLOB)"])
        .await;
    let mut client = bed.client().await;
    for (id, length) in [(1, (16 << 20) - 1), (2, 16 << 20), (3, 20_000_000)] {
        let blob: Vec<u8> = (0..length).map(|n: u32| (n % 251) as u8).collect();
        client
            .exec_drop("INSERT INTO big VALUES (?, ?)", (id, &blob))
            .await
            .unwrap();
        let back: Vec<u8> = client
            .exec_first("SELECT b FROM big WHERE id = ?", (id,))
            .await
            .unwrap()
            .unwrap();
        assert!(back == blob, "{length} bytes, binary");
        let back: Vec<u8> = client
            .query_first(format!("SELECT b FROM big WHERE id = {id}"))
            .await
            .unwrap()
            .unwrap();
        assert!(back == blob, "{length} bytes, text");
    }
    let text = "x".repeat(17 << 20);
    client
        .query_drop(format!("INSERT INTO big VALUES (9, '{text}')"))
        .await
        .unwrap();
    let length: usize = client
        .query_first("SELECT LENGTH(b) FROM big WHERE id = 9")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(length, text.len());
    assert_eq!(
        whereabouts(&mut client).await,
        "db-2",
        "a long statement does not pin"
    );

    bed.primary
        .sql(&["SET GLOBAL max_allowed_packet = 1048576"])
        .await;
    let mut client = bed.client().await;
    let refused = client
        .query_drop(format!("INSERT INTO big VALUES (8, '{text}')"))
        .await;
    assert_eq!(code(&refused.unwrap_err()), 1153);
}
