//! What HTTP asks of a proxy, rule by rule, through the real binary: the bytes that are sent, what the
//! endpoint sees, what the client gets. `docs/reference/conformance.md` is this table; `make docs` writes
//! it anew. The rules of HTTP/2 are rows in `crates/http/tests/h2`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "in a test a panic is the report"
)]

#[path = "../balancer/client.rs"]
#[expect(dead_code, reason = "of another test: this one needs less of it")]
mod client;
#[path = "../balancer/running.rs"]
#[expect(dead_code, reason = "of another test: this one needs less of it")]
mod running;

mod corpus;
mod origin;
mod requests;
mod responses;
mod row;
mod smuggling;

use std::fmt::Write as _;
use std::path::Path;

use origin::Origin;
use row::Row;
use running::Balancer;

/// In the order of the page.
const TABLES: [(&str, &[Row]); 2] = [("Requests", requests::ROWS), ("Responses", responses::ROWS)];

#[test]
fn every_rule_is_kept() {
    let origin = Origin::start();
    let balancer = Balancer::up(&format!(
        "[balancer.limits]\nrequest-head = \"2s\"\nrequest-body = \"1KiB\"\n\
         [backends.app]\nendpoints = [\"{}\"]\nhealth = {{ kind = \"none\" }}\n",
        origin.address
    ));
    let mut wrong = Vec::new();
    for row in TABLES.iter().flat_map(|(_, rows)| *rows) {
        if let Err(what) = row.check(&balancer.http, &origin) {
            wrong.push(format!("{}: {}\n  {what}", row.section, row.rule));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_page_is_current() {
    let mut out = String::from(
        "# Conformance\n\nWhat the balancer does with HTTP/1 messages, as a test sees it through the real \
         binary: a row for each rule\nthat a proxy must keep, with the bytes that are sent. Made from \
         `crates/mainstay/tests/conformance`; `make docs`\nwrites it anew. Where the standard leaves a \
         choice, the strict one is taken.\n",
    );
    for (title, rows) in TABLES {
        write!(
            out,
            "\n## {title}\n\n| rule | source | bytes | result |\n|---|---|---|---|\n"
        )
        .unwrap();
        for row in rows {
            writeln!(
                out,
                "| {} | {} | `{}` | {} |",
                row.rule,
                row.section,
                row.shown(),
                row.result()
            )
            .unwrap();
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/conformance.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&page, &out).unwrap();
    }
    let is = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        is == out,
        "{} is stale; `make docs` writes it anew",
        page.display()
    );
}
