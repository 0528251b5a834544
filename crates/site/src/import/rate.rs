//! Pure: how often a client asks, as an ACL compares it.
//!
//! Source: HAProxy configuration manual, section 7.3.3, `sc_http_req_rate` and its relatives.

use super::acl::{Counted, Rate};
use super::ledger::Unfit;

/// `sc_http_req_rate(0) gt 100`
pub(super) fn rate(name: &str, table: &str, values: &[&str]) -> Result<Option<Rate>, Unfit> {
    let (counter, kind) = match name.strip_prefix("src_") {
        Some(kind) => (None, kind),
        None => {
            let Some(rest) = name.strip_prefix("sc") else {
                return Ok(None);
            };
            match rest.strip_prefix('_') {
                Some(kind) => (table.parse().ok(), kind),
                None => match rest.split_once('_') {
                    Some((number, kind)) => (number.parse().ok(), kind),
                    None => return Ok(None),
                },
            }
        }
    };
    let what = match kind {
        "http_req_rate" => Counted::Requests,
        "conn_rate" | "sess_rate" => Counted::Connections,
        "conn_cur" => Counted::Open,
        other => {
            return Err(Unfit::new(
                format!("Mainstay counts requests of a client, not `{other}`"),
                "rate-limit or concurrency of a route",
            ));
        }
    };
    let number = |text: &&str| text.parse::<u32>().ok();
    let above = match values {
        ["gt", above] => number(above),
        ["ge", above] => number(above).and_then(|above| above.checked_sub(1)),
        _ => None,
    };
    let above = above
        .filter(|above| (1..=1_000_000).contains(above))
        .ok_or_else(|| {
            Unfit::new(
                "a limit is a number of 1 to 1000000 that must not be passed (`gt`)",
                "rate-limit = { requests = 100, per = \"10s\" }",
            )
        })?;
    Ok(Some(Rate {
        counter,
        table: if counter.is_none() {
            table.to_owned()
        } else {
            String::new()
        },
        what,
        above,
    }))
}
