//! The guest book's tables. Plain SQL over one pool: that reads are answered by a replica and writes by
//! the primary is none of the application's business.

use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, Row};

/// Connections of one instance.
const CONNECTIONS: usize = 8;
/// Messages on the page.
const SHOWN: u32 = 20;

#[derive(Debug)]
pub(crate) struct Database {
    pool: Pool,
}

/// A message of a visitor.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) author: String,
    pub(crate) text: String,
    pub(crate) server: String,
    pub(crate) at: String,
}

/// Which database server answered.
#[derive(Debug, serde::Serialize)]
pub(crate) struct AnsweredBy {
    pub(crate) member: String,
    pub(crate) read_only: bool,
}

impl Database {
    pub(crate) fn open(url: &str) -> anyhow::Result<Self> {
        let constraints = PoolConstraints::new(0, CONNECTIONS).unwrap_or_default();
        let pool = PoolOpts::default().with_constraints(constraints);
        let options = OptsBuilder::from_opts(Opts::from_url(url)?).pool_opts(pool);
        Ok(Self {
            pool: Pool::new(options),
        })
    }

    /// Can be run again: a release may be migrated to twice.
    pub(crate) async fn migrate(&self) -> anyhow::Result<()> {
        let mut connection = self.pool.get_conn().await?;
        connection
            .query_drop(
                "CREATE TABLE IF NOT EXISTS messages (
                    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
                    author VARCHAR(80) NOT NULL,
                    text VARCHAR(500) NOT NULL,
                    server VARCHAR(80) NOT NULL,
                    at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
                ) CHARACTER SET utf8mb4",
            )
            .await?;
        connection
            .query_drop(
                "CREATE TABLE IF NOT EXISTS visits (
                    instance VARCHAR(80) NOT NULL PRIMARY KEY,
                    count BIGINT UNSIGNED NOT NULL
                ) CHARACTER SET utf8mb4",
            )
            .await?;
        let count: Option<u64> = connection
            .query_first("SELECT COUNT(*) FROM messages")
            .await?;
        if count == Some(0) {
            let welcome = "Welcome! Leave a message and see who wrote it down.";
            let insert = "INSERT INTO messages (author, text, server) VALUES (?, ?, ?)";
            connection
                .exec_drop(insert, ("Foobar", welcome, "the migration"))
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn is_there(&self) -> anyhow::Result<()> {
        self.pool.get_conn().await?.query_drop("SELECT 1").await?;
        Ok(())
    }

    /// The latest messages, and who read them.
    pub(crate) async fn messages(&self) -> anyhow::Result<(Vec<Message>, AnsweredBy)> {
        let mut connection = self.pool.get_conn().await?;
        let rows: Vec<Row> = connection
            .exec(
                "SELECT author, text, server, DATE_FORMAT(at, '%e %b %Y, %H:%i'), \
                 @@report_host, @@read_only FROM messages ORDER BY id DESC LIMIT ?",
                (SHOWN,),
            )
            .await?;
        let by = rows.first().map_or_else(unknown, |row| answered_by(row, 4));
        let messages = rows.iter().map(|row| Message {
            author: text(row, 0),
            text: text(row, 1),
            server: text(row, 2),
            at: text(row, 3),
        });
        Ok((messages.collect(), by))
    }

    pub(crate) async fn leave(&self, author: &str, text: &str, server: &str) -> anyhow::Result<()> {
        let mut connection = self.pool.get_conn().await?;
        let insert = "INSERT INTO messages (author, text, server) VALUES (?, ?, ?)";
        connection.exec_drop(insert, (author, text, server)).await?;
        Ok(())
    }

    /// One write and one read of what was written, over one connection: how often this instance was
    /// asked who it is, who wrote that down, and who read it back.
    pub(crate) async fn visit(
        &self,
        instance: &str,
    ) -> anyhow::Result<(u64, AnsweredBy, AnsweredBy)> {
        let mut connection = self.pool.get_conn().await?;
        let mut writing = connection
            .start_transaction(mysql_async::TxOpts::default())
            .await?;
        let insert = "INSERT INTO visits VALUES (?, 1) ON DUPLICATE KEY UPDATE count = count + 1";
        writing.exec_drop(insert, (instance,)).await?;
        let writer: Option<Row> = writing
            .query_first("SELECT @@report_host, @@read_only")
            .await?;
        writing.commit().await?;
        let read = "SELECT count, @@report_host, @@read_only FROM visits WHERE instance = ?";
        let row: Option<Row> = connection.exec_first(read, (instance,)).await?;
        let row = row.ok_or_else(|| anyhow::anyhow!("what was just written is not there"))?;
        let count = row.get::<u64, _>(0).unwrap_or_default();
        let writer = writer
            .as_ref()
            .map_or_else(unknown, |row| answered_by(row, 0));
        Ok((count, writer, answered_by(&row, 1)))
    }
}

fn text(row: &Row, index: usize) -> String {
    row.get_opt::<String, _>(index)
        .and_then(Result::ok)
        .unwrap_or_default()
}

fn answered_by(row: &Row, index: usize) -> AnsweredBy {
    let read_only = row.get_opt::<i64, _>(index + 1).and_then(Result::ok);
    AnsweredBy {
        member: text(row, index),
        read_only: read_only == Some(1),
    }
}

fn unknown() -> AnsweredBy {
    AnsweredBy {
        member: "-".to_owned(),
        read_only: false,
    }
}
