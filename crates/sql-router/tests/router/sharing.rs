//! More sessions than connections to the servers: nobody notices, or is told.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, TxOpts};

use crate::bed::{Bed, code};

/// A router that may have one connection to each server in each of its two threads.
async fn narrow() -> Bed {
    let bed = Bed::start().await;
    bed.change(|snapshot| {
        snapshot.target.connections = 2;
        snapshot.target.hold = std::time::Duration::from_secs(20);
    });
    bed
}

async fn one<T: mysql_async::prelude::FromValue + Send + 'static>(
    client: &mut Conn,
    sql: &str,
) -> T {
    client.query_first(sql).await.unwrap().unwrap()
}

#[tokio::test]
async fn many_sessions_share_few_connections() {
    let bed = narrow().await;
    let mut clients = Vec::new();
    for number in 0..40 {
        let mut client = bed.client().await;
        client
            .query_drop(format!("SET SESSION max_sort_length = {}", 100 + number))
            .await
            .unwrap();
        // Every other one: those of another session must not be seen.
        if number % 2 == 0 {
            let set = format!("SET @mine = {number}");
            client.query_drop(set).await.unwrap();
        }
        clients.push(client);
    }
    let tasks = clients.into_iter().enumerate().map(|(number, mut client)| {
        tokio::spawn(async move {
            for _ in 0..5 {
                let mut transaction = client.start_transaction(TxOpts::default()).await.unwrap();
                let insert = "INSERT INTO t (v) VALUES (?)";
                transaction.exec_drop(insert, (number,)).await.unwrap();
                let id = transaction.last_insert_id().unwrap();
                transaction.commit().await.unwrap();
                let last: u64 = one(&mut client, "SELECT LAST_INSERT_ID()").await;
                assert_eq!(last, id);
                let read = "SELECT v FROM t WHERE id = ?";
                let v: Option<String> = client.exec_first(read, (id,)).await.unwrap();
                assert_eq!(v, Some(number.to_string()));
                let own: usize = one(&mut client, "SELECT @@max_sort_length").await;
                assert_eq!(own, 100 + number);
                let mine: Option<usize> = one(&mut client, "SELECT @mine").await;
                assert_eq!(mine, (number % 2 == 0).then_some(number));
            }
            client
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        task.await.unwrap();
    }
    let primary = &bed.primary;
    let connected = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'";
    let now: u64 = primary
        .sql(&[connected])
        .await
        .single()
        .unwrap()
        .parse()
        .unwrap();
    assert!(now <= 2, "{now} connections");
    let count = bed.primary.sql(&["SELECT COUNT(*) FROM app.t"]).await;
    assert_eq!(count.single(), Some("200"));
}

/// Takes the connections of both threads for a moment.
async fn squeeze(bed: &Bed) {
    let mut all = Vec::new();
    for _ in 0..8 {
        let mut client = bed.client().await;
        client.query_drop("SELECT 1 FOR UPDATE").await.unwrap();
        all.push(client);
    }
}

#[tokio::test]
async fn what_was_left_by_a_statement_is_had_again_or_refused() {
    let bed = narrow().await;
    let mut client = bed.client().await;
    client
        .query_drop("INSERT INTO t (v) VALUES ('a')")
        .await
        .unwrap();
    let id = client.last_insert_id().unwrap();
    // It has changed a row, and asks too late.
    squeeze(&bed).await;
    let late = client.query_drop("SELECT ROW_COUNT()").await.unwrap_err();
    assert_eq!(code(&late), 2013);
    // What is told of an insert is kept.
    let more = "INSERT INTO t (v) VALUES (LAST_INSERT_ID())";
    client.query_drop(more).await.unwrap();
    let v: String = one(
        &mut client,
        "SELECT v FROM t ORDER BY id DESC LIMIT 1 FOR UPDATE",
    )
    .await;
    assert_eq!(v, id.to_string());

    for (sql, rows) in [("SELECT 1 FOR UPDATE", -1), ("DO 1", 0)] {
        client.query_drop(sql).await.unwrap();
        squeeze(&bed).await;
        let count: i64 = one(&mut client, "SELECT ROW_COUNT()").await;
        assert_eq!(count, rows, "{sql}");
        client.query_drop(sql).await.unwrap();
        squeeze(&bed).await;
        let warnings: Vec<(String, u16, String)> = client.query("SHOW WARNINGS").await.unwrap();
        assert!(warnings.is_empty(), "{sql}: {warnings:?}");
    }
    // Nobody is in need: all as ever.
    client.query_drop("UPDATE t SET v = 'b'").await.unwrap();
    let count: i64 = one(&mut client, "SELECT ROW_COUNT()").await;
    assert_eq!(count, 2);
}

#[tokio::test]
async fn statements_keep_their_meaning_when_their_connection_is_shared() {
    let bed = narrow().await;
    bed.primary
        .sql(&[
            "CREATE DATABASE other",
            "GRANT ALL ON other.* TO app@'%'",
            "CREATE TABLE other.t (v VARCHAR(100))",
            "INSERT INTO other.t VALUES ('other')",
            "INSERT INTO app.t (v) VALUES ('app')",
        ])
        .await;
    bed.caught_up().await;
    let mut client = bed.client().await;
    let read = client.prep("SELECT v FROM t").await.unwrap();
    client.query_drop("USE other").await.unwrap();
    squeeze(&bed).await;
    let v: Vec<String> = client.exec(&read, ()).await.unwrap();
    assert_eq!(
        v,
        ["app"],
        "names are resolved when a statement is prepared"
    );
    // The same on the primary, which has not seen it.
    let mut transaction = client.start_transaction(TxOpts::default()).await.unwrap();
    let v: Vec<String> = transaction.exec(&read, ()).await.unwrap();
    assert_eq!(v, ["app"]);
    transaction.rollback().await.unwrap();
    let v: Vec<String> = client.query("SELECT v FROM t").await.unwrap();
    assert_eq!(v, ["other"], "the session is where it was");
}

#[tokio::test]
async fn who_gets_no_connection_in_time_is_told() {
    let bed = narrow().await;
    bed.change(|snapshot| snapshot.target.hold = std::time::Duration::from_millis(300));
    let mut holders = Vec::new();
    let mut refused = 0;
    for _ in 0..6 {
        let mut client = bed.client().await;
        match client.query_drop("BEGIN").await {
            Ok(()) => holders.push(client),
            Err(error) => {
                assert_eq!(code(&error), 1040, "{error}");
                refused += 1;
            }
        }
    }
    assert!(holders.len() <= 2 && refused >= 4, "{} hold", holders.len());
    for mut holder in holders {
        holder.query_drop("COMMIT").await.unwrap();
    }
    let mut client = bed.client().await;
    client.query_drop("BEGIN").await.unwrap();
}

/// Connections of the app to the primary, by their number there.
async fn connected(bed: &Bed) -> Vec<String> {
    let sql = "SELECT GROUP_CONCAT(id ORDER BY id) FROM information_schema.processlist WHERE user = 'app'";
    let answer = bed.primary.sql(&[sql]).await;
    let ids = answer.single().unwrap_or_default();
    let ids = ids.split(',').filter(|id| !id.is_empty());
    ids.map(str::to_owned).collect()
}

/// Waits until so many are connected.
async fn until(bed: &Bed, count: usize) -> Vec<String> {
    let deadline = std::time::Instant::now() + crate::bed::PATIENCE;
    loop {
        let ids = connected(bed).await;
        if ids.len() == count {
            return ids;
        }
        assert!(std::time::Instant::now() < deadline, "{ids:?}, not {count}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn connections_are_ready_before_they_are_needed_and_do_not_get_old() {
    let bed = Bed::with_threads(1).await;
    bed.change(|snapshot| {
        snapshot.target.pool.ready = 3;
        snapshot.target.pool.idle_age = std::time::Duration::from_millis(100);
    });
    let mut client = bed.client().await;
    // And the one that has looked for the schema.
    let ready = until(&bed, 4).await;
    // No other one is opened.
    client.query_drop("SELECT 1 FOR UPDATE").await.unwrap();
    assert_eq!(connected(&bed).await, ready);
    client.disconnect().await.unwrap();
    bed.change(|snapshot| snapshot.target.pool.max_age = std::time::Duration::from_millis(100));
    let deadline = std::time::Instant::now() + crate::bed::PATIENCE;
    while connected(&bed).await.iter().any(|id| ready.contains(id)) {
        assert!(std::time::Instant::now() < deadline, "they live on");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    bed.change(|snapshot| snapshot.target.pool.ready = 0);
    until(&bed, 0).await;
}
