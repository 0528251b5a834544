//! The steps with sqlx, through its pool: what it sees is compared with what it sees straight at the server,
//! values byte for byte as they came.

use std::fmt::Write as _;
use std::net::SocketAddr;

use futures_util::StreamExt as _;
use serde_json::Value as Json;
use sqlx::mysql::{
    MySqlArguments, MySqlConnectOptions, MySqlPoolOptions, MySqlQueryResult, MySqlRow,
};
use sqlx::query::Query;
use sqlx::{
    AssertSqlSafe, Column as _, Either, Error, Executor as _, MySql, Row as _, TypeInfo as _,
};

use crate::here;

pub(crate) async fn steps(user: &str, password: &str, schema: &str, at: SocketAddr) -> String {
    let options = MySqlConnectOptions::new()
        .host(&at.ip().to_string())
        .port(at.port())
        .username(user)
        .password(password)
        .database(schema);
    let pool = MySqlPoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await.unwrap();
    let (mut out, mut last) = (String::new(), 0);
    let mut conn = pool.acquire().await.unwrap();
    for line in std::fs::read_to_string(here("steps.tsv")).unwrap().lines() {
        // sqlx 0.9 takes a row for an end when it begins with a value over 16 MiB, straight at a server too.
        if line.contains("REPEAT('r', 17000000)") {
            continue;
        }
        let mut fields = line.split('\t');
        let (verb, sql) = (fields.next().unwrap(), fields.next().unwrap());
        let verb = verb.trim_start_matches("own-");
        writeln!(out, "> {verb} {}", sql.chars().take(60).collect::<String>()).unwrap();
        let mut answers = match verb {
            "last" => {
                writeln!(out, "last insert id {last}").unwrap();
                continue;
            }
            "bind" => conn.fetch_many(bound(sql, fields.next().unwrap())),
            "begin" => conn.fetch_many(sqlx::raw_sql("START TRANSACTION")),
            "commit" => conn.fetch_many(sqlx::raw_sql("COMMIT")),
            "rollback" => conn.fetch_many(sqlx::raw_sql("ROLLBACK")),
            _ => conn.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql))),
        };
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Either::Left(done)) => last = told(&done, last, &mut out),
                Ok(Either::Right(row)) => writeln!(out, "row {}", shown(&row)).unwrap(),
                Err(Error::Database(error)) => writeln!(out, "error {error}").unwrap(),
                Err(error) => panic!("{at}: {sql}: {error}"),
            }
        }
    }
    // The pool asks whether it lives, and gives it out again.
    drop(conn);
    let (one,): (i64,) = sqlx::query_as("SELECT 1").fetch_one(&pool).await.unwrap();
    assert_eq!(one, 1);
    let mut transaction = pool.begin().await.unwrap();
    let inserted = sqlx::query("INSERT INTO parent (name) VALUES (?)").bind("by sqlx");
    inserted.execute(&mut *transaction).await.unwrap();
    transaction.rollback().await.unwrap();
    let name = sqlx::query("SELECT name FROM parent WHERE name = ?").bind("by sqlx");
    assert!(name.fetch_optional(&pool).await.unwrap().is_none());
    pool.close().await;
    out
}

fn bound(sql: &str, values: &str) -> Query<'static, MySql, MySqlArguments> {
    let Json::Array(values) = serde_json::from_str(values).unwrap() else {
        panic!("{values}");
    };
    let query = sqlx::query(AssertSqlSafe(sql));
    values.into_iter().fold(query, |query, value| match value {
        Json::Null => query.bind(None::<String>),
        Json::Number(number) => query.bind(number.as_i64().unwrap()),
        Json::String(text) => query.bind(text),
        Json::Object(object) => {
            let count = object["bytes"].as_u64().unwrap();
            query.bind((0..count).map(|at| (at % 251) as u8).collect::<Vec<u8>>())
        }
        other => panic!("{other}"),
    })
}

fn told(done: &MySqlQueryResult, last: u64, out: &mut String) -> u64 {
    writeln!(out, "ok, {} rows changed", done.rows_affected()).unwrap();
    match done.last_insert_id() {
        0 => last,
        id => id,
    }
}

/// Names, types and values, the long ones by their length and ends.
fn shown(row: &MySqlRow) -> String {
    let shown = row.columns().iter().map(|column| {
        let value: Option<&[u8]> = row.try_get_unchecked(column.ordinal()).unwrap();
        let value = match value {
            Some(bytes) if bytes.len() > 100 => {
                let ends = (bytes.first(), bytes.last());
                let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
                format!("{} bytes {ends:?} {sum}", bytes.len())
            }
            other => format!("{other:?}"),
        };
        format!("{} {} {value}", column.name(), column.type_info().name())
    });
    shown.collect::<Vec<_>>().join(" | ")
}
