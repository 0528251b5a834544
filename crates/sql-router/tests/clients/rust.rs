//! The steps with mysql_async.

use std::fmt::Write as _;
use std::net::SocketAddr;

use mysql_async::consts::ColumnType;
use mysql_async::prelude::{Protocol, Queryable as _};
use mysql_async::{Conn, Error, Params, QueryResult, Row, Value};
use serde_json::Value as Json;
use sha1::{Digest as _, Sha1};

use crate::bed::Bed;
use crate::here;

pub(crate) async fn steps(bed: &Bed, at: SocketAddr) -> String {
    let options = bed
        .options()
        .ip_or_hostname(at.ip().to_string())
        .tcp_port(at.port());
    let mut conn = Conn::new(options).await.unwrap();
    let (mut out, mut last) = (String::new(), 0);
    for line in std::fs::read_to_string(here("steps.tsv")).unwrap().lines() {
        let mut fields = line.split('\t');
        let (verb, sql) = (fields.next().unwrap(), fields.next().unwrap());
        let own = verb.starts_with("own-");
        let verb = verb.trim_start_matches("own-");
        let head: String = sql.chars().take(60).collect();
        writeln!(out, "> {verb} {head}").unwrap();
        // The OK behind a procedure's results is no result here.
        let called = sql.starts_with("CALL");
        let done = match verb {
            "begin" => conn.query_drop("START TRANSACTION").await,
            "commit" => conn.query_drop("COMMIT").await,
            "rollback" => conn.query_drop("ROLLBACK").await,
            "last" => {
                writeln!(out, "last insert id {last}").unwrap();
                continue;
            }
            "run" => match conn.query_iter(sql).await {
                Ok(result) => told(result, own, called, &mut out, &mut last).await,
                Err(e) => Err(e),
            },
            _ => match conn.exec_iter(sql, values(fields.next().unwrap())).await {
                Ok(result) => told(result, own, called, &mut out, &mut last).await,
                Err(e) => Err(e),
            },
        };
        match done {
            Ok(()) => {}
            Err(Error::Server(e)) => writeln!(out, "error {}: {}", e.code, e.message).unwrap(),
            Err(e) => panic!("{sql}: {e}"),
        }
    }
    conn.disconnect().await.unwrap();
    out
}

fn values(json: &str) -> Params {
    let Json::Array(values) = serde_json::from_str(json).unwrap() else {
        panic!("{json}");
    };
    let value = |value: Json| match value {
        Json::Null => Value::NULL,
        Json::Number(number) => Value::Int(number.as_i64().unwrap()),
        Json::String(text) => Value::Bytes(text.into_bytes()),
        Json::Object(object) => {
            let count = object["bytes"].as_u64().unwrap();
            Value::Bytes((0..count).map(|at| (at % 251) as u8).collect())
        }
        other => panic!("{other}"),
    };
    Params::Positional(values.into_iter().map(value).collect())
}

async fn told<P: Protocol>(
    mut result: QueryResult<'_, 'static, P>,
    own: bool,
    called: bool,
    out: &mut String,
    last: &mut u64,
) -> Result<(), Error> {
    loop {
        let columns = result.columns();
        match columns {
            Some(columns) if !columns.is_empty() => {
                let names: Vec<_> = columns.iter().map(|column| column.name_str()).collect();
                writeln!(out, "columns {}", names.join(", ")).unwrap();
                let rows: Vec<Row> = result.collect().await?;
                for row in rows {
                    let values: Vec<String> =
                        (0..row.len()).map(|at| shown(&row, at, own)).collect();
                    let mark = if own { "~" } else { "" };
                    writeln!(out, "{mark}row {}", values.join(" | ")).unwrap();
                }
            }
            _ => {
                writeln!(out, "ok, {} rows changed", result.affected_rows()).unwrap();
                *last = result.last_insert_id().unwrap_or(*last);
                result.collect::<Row>().await?;
            }
        }
        if result.is_empty() {
            let changed = result.affected_rows();
            // An error may stand there.
            result.drop_result().await?;
            if called {
                writeln!(out, "ok, {changed} rows changed").unwrap();
            }
            return Ok(());
        }
    }
}

fn shown(row: &Row, at: usize, own: bool) -> String {
    let (value, column) = (row.as_ref(at).unwrap(), &row.columns_ref()[at]);
    if own {
        return format!("{value:?}");
    }
    let name = column.name_str();
    match value {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) if name.starts_with("b_") => binary(bytes),
        Value::Bytes(bytes) if bytes.len() > 200 => format!("{} bytes {}", bytes.len(), sum(bytes)),
        Value::Bytes(bytes) => Json::from(String::from_utf8_lossy(bytes).as_ref()).to_string(),
        Value::Date(..) => date(value, column.column_type()),
        Value::Int(_) | Value::UInt(_) => format!("\"{}\"", value.as_sql(true)),
        Value::Float(_) | Value::Double(_) => format!("\"{}\"", value.as_sql(true)),
        Value::Time(..) => format!("{value:?}"),
    }
}

fn binary(bytes: &[u8]) -> String {
    if bytes.len() > 40 {
        return format!("{} bytes {}", bytes.len(), sum(bytes));
    }
    bytes
        .iter()
        .fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn sum(bytes: &[u8]) -> String {
    let sum = Sha1::digest(bytes);
    sum.iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// `2024-02-29`, `2024-02-29 12:34:56`, with microseconds if there are any.
fn date(value: &Value, kind: ColumnType) -> String {
    let text = value.as_sql(true).trim_matches('\'').to_owned();
    match kind {
        ColumnType::MYSQL_TYPE_DATE => format!("\"{}\"", &text[..10]),
        _ => format!("\"{}\"", text.trim_end_matches(".000000")),
    }
}
