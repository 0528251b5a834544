//! `mainstay sql stats|route`: which statements the SQL routers ran and what they cost; where one would
//! go, and why.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::Context as _;
use sql_router::snapshot::{DigestCount, RouteAnswer, RouteQuestion, Statistics};
use sql_router::statistics::sum;

use crate::admin_client;
use crate::render;
use crate::report::Failure;
use crate::site_file::Which;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Show the statements by digest (their text with `?` for values): how often, how long, where
    Stats(Stats),
    /// Say where a statement would go, primary or replica, and why
    Route(Route),
}

#[derive(clap::Args, Debug)]
struct Stats {
    #[command(flatten)]
    which: Which,
    /// What stands first
    #[arg(long, value_enum, default_value_t = Sort::Total)]
    sort: Sort,
    /// Digests shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Each router's own counts, not only their sum
    #[arg(long)]
    by_router: bool,
    /// Count anew from now on; what was counted until now is shown
    #[arg(long)]
    reset: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What stands first, the largest of it.
#[derive(clap::ValueEnum, Debug, Clone, Copy)]
enum Sort {
    /// Time of all its statements
    Total,
    /// Number of statements
    Count,
    /// Mean time
    Mean,
    /// Longest time
    Max,
    /// Rows sent
    Rows,
    /// Errors
    Errors,
}

#[derive(clap::Args, Debug)]
struct Route {
    /// As the application sends it, for example "SELECT name FROM users WHERE id = 5"
    statement: String,
    #[command(flatten)]
    which: Which,
    /// The database user, if there are rules for him in the site file
    #[arg(long)]
    user: Option<String>,
    /// The session's schema
    #[arg(long)]
    schema: Option<String>,
    /// A transaction is open
    #[arg(long)]
    in_transaction: bool,
    /// The session has switched autocommit off
    #[arg(long)]
    no_autocommit: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        What::Stats(args) => stats(args),
        What::Route(args) => route(args),
    }
}

fn stats(args: &Stats) -> anyhow::Result<u8> {
    let question = serde_json::json!({ "reset": args.reset });
    let answer = admin_client::post_json(&args.which.state(), "/sql/statistics", &question)?;
    let routers: BTreeMap<String, Statistics> =
        serde_json::from_slice(&answer).context("the site's answer cannot be read")?;
    let all = args.top(sum(routers.values().cloned()));
    let each = routers
        .into_iter()
        .map(|(server, counted)| (server, args.top(counted)));
    let mut out = std::io::stdout().lock();
    if args.json {
        let routers: BTreeMap<_, _> = each.collect();
        let value = serde_json::json!({ "statements": all, "routers": routers });
        serde_json::to_writer_pretty(&mut out, &value)?;
        writeln!(out)?;
        return Ok(0);
    }
    let mut text = String::new();
    if args.by_router {
        for (server, counted) in each {
            text.push_str(&render::sql::statements(
                &format!("SQL router on {server}"),
                &counted,
            ));
        }
    }
    text.push_str(&render::sql::statements("all SQL routers", &all));
    out.write_all(text.as_bytes())?;
    Ok(0)
}

impl Stats {
    /// The first of them, in order.
    fn top(&self, counted: Statistics) -> Vec<DigestCount> {
        let mut all = counted.statements;
        let key = |one: &DigestCount| match self.sort {
            Sort::Total => one.total_us,
            Sort::Count => one.count,
            Sort::Mean => one.mean_us(),
            Sort::Max => one.longest_us,
            Sort::Rows => one.rows,
            Sort::Errors => one.errors,
        };
        all.sort_by(|a, b| key(b).cmp(&key(a)).then_with(|| a.digest.cmp(&b.digest)));
        all.truncate(self.limit);
        all
    }
}

fn route(args: &Route) -> anyhow::Result<u8> {
    if args.statement.trim().is_empty() {
        let next = "mainstay sql route \"SELECT name FROM users WHERE id = 5\"";
        return Err(Failure::new("there is no statement", next).into());
    }
    let question = RouteQuestion {
        statement: args.statement.clone(),
        user: args.user.clone(),
        schema: args.schema.clone(),
        in_transaction: args.in_transaction,
        autocommit: !args.no_autocommit,
    };
    let answer = admin_client::post_json(&args.which.state(), "/sql/route", &question)?;
    let answer: RouteAnswer =
        serde_json::from_slice(&answer).context("the site's answer cannot be read")?;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &answer)?;
        writeln!(out)?;
    } else {
        out.write_all(render::sql::route(&answer).as_bytes())?;
    }
    Ok(0)
}
