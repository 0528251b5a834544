//! Pure: what SQL routers say, as text.

use std::fmt::Write as _;

use sql_router::snapshot::{DigestCount, RouteAnswer};

use super::status::table;

/// Characters of a digest in a line; `--json` has the whole.
const LINE: usize = 110;

/// A table of statements, below it where each went.
pub(crate) fn statements(title: &str, all: &[DigestCount]) -> String {
    let mut text = format!("{title}\n\n");
    if all.is_empty() {
        text.push_str("no statement yet\n\n");
        return text;
    }
    let head = [
        "TOTAL",
        "COUNT",
        "MEAN",
        "MAX",
        "ROWS",
        "ERRORS",
        "STATEMENT",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for one in all {
        rows.push([
            time(one.total_us),
            one.count.to_string(),
            time(one.mean_us()),
            time(one.longest_us),
            one.rows.to_string(),
            one.errors.to_string(),
            shortened(&one.digest),
        ]);
        let mut where_to = <[String; 7]>::default();
        if let Some(last) = where_to.last_mut() {
            *last = format!("  {}", went(one));
        }
        rows.push(where_to);
    }
    table(&mut text, &rows);
    text
}

fn shortened(digest: &str) -> String {
    match digest.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", digest.get(..end).unwrap_or_default()),
        None => digest.to_owned(),
    }
}

/// `replica 120 (plain-read), primary 3 (in-transaction)`, the most first.
fn went(one: &DigestCount) -> String {
    let mut went: Vec<_> = one.went.iter().collect();
    went.sort_by_key(|went| std::cmp::Reverse(went.count));
    let went: Vec<String> = went
        .iter()
        .map(|went| format!("{} {} ({})", went.to, went.count, went.because))
        .collect();
    match went.is_empty() {
        true => "nowhere".to_owned(),
        false => went.join(", "),
    }
}

/// Three digits of it are enough to compare.
fn time(us: u64) -> String {
    let (value, unit) = match us {
        0..1_000 => return format!("{us} µs"),
        1_000..1_000_000 => (us, "ms"),
        _ => (us / 1_000, "s"),
    };
    let (whole, rest) = (value / 1_000, value % 1_000);
    match whole {
        0..10 => format!("{whole}.{:02} {unit}", rest / 10),
        10..100 => format!("{whole}.{} {unit}", rest / 100),
        _ => format!("{whole} {unit}"),
    }
}

/// Where a statement would go.
pub(crate) fn route(answer: &RouteAnswer) -> String {
    let mut text = String::new();
    let mut line = |what: &str, found: &str| {
        if !found.is_empty() {
            // Writing to a String cannot fail.
            writeln!(text, "{what:<11} {found}").unwrap_or_default();
        }
    };
    line("statement", &answer.digest);
    let to = match (answer.to.as_str(), &answer.member) {
        ("router", _) => "nowhere: the SQL router refuses it".to_owned(),
        ("primary", None) => "the primary, when there is one: it waits".to_owned(),
        (to, Some(member)) => format!("{to} {member}"),
        (to, None) => to.to_owned(),
    };
    line("goes to", &to);
    line("because", &format!("{} ({})", answer.why, answer.because));
    line("waits for", &answer.waits_for);
    if !answer.pins.is_empty() {
        let after = format!("the session stays on the primary: {}", answer.pins);
        line("afterwards", &after);
    }
    let rules = format!("mode {}, consistency {}", answer.mode, answer.consistency);
    line("rules", &rules);
    for server in &answer.servers {
        let mut state = format!("{} {}", server.role, server.member);
        if let Some(lag) = server.lag_ms {
            write!(state, ", at most {lag} ms behind").unwrap_or_default();
        }
        if !server.usable {
            write!(state, ": gets no reads, {}", server.why).unwrap_or_default();
        }
        line("known", &state);
    }
    text
}

#[cfg(test)]
mod tests {
    use sql_router::snapshot::{ServerAnswer, Went};

    use super::*;

    fn digest(text: &str, count: u64, total_us: u64) -> DigestCount {
        let went = |to: &str, because: &str, count| Went {
            to: to.to_owned(),
            because: because.to_owned(),
            count,
        };
        DigestCount {
            digest: text.to_owned(),
            count,
            errors: 1,
            rows: count * 2,
            total_us,
            longest_us: total_us / 2,
            went: vec![
                went("primary", "in-transaction", 1),
                went("replica", "plain-read", count - 1),
            ],
        }
    }

    #[test]
    fn statements_with_where_they_went() {
        let long = format!("SELECT {} FROM t", "column, ".repeat(40));
        let all = [
            digest("SELECT v FROM t WHERE id = ?", 1200, 1_234_567),
            digest(&long, 4, 999),
        ];
        insta::assert_snapshot!(statements("all SQL routers", &all));
        assert!(statements("all", &[]).contains("no statement yet"));
    }

    #[test]
    fn a_route_with_its_reasons() {
        let server = |member: &str, role: &str, lag_ms, why: &str| ServerAnswer {
            member: member.to_owned(),
            role: role.to_owned(),
            usable: why.is_empty(),
            lag_ms,
            why: why.to_owned(),
        };
        let answer = RouteAnswer {
            to: "replica".to_owned(),
            member: Some("db-2".to_owned()),
            because: "plain-read".to_owned(),
            why: "it is a plain read".to_owned(),
            digest: "SELECT ?".to_owned(),
            mode: "split".to_owned(),
            consistency: "session".to_owned(),
            waits_for: "what its session has written, and what it has read elsewhere".to_owned(),
            pins: String::new(),
            servers: vec![
                server("db-1", "primary", None, ""),
                server("db-2", "replica", Some(1000), ""),
                server("db-3", "replica", Some(9000), "it is too far behind"),
            ],
        };
        let refused = RouteAnswer {
            to: "router".to_owned(),
            member: None,
            because: "writes".to_owned(),
            why: "it writes".to_owned(),
            pins: "temporary table".to_owned(),
            waits_for: String::new(),
            servers: Vec::new(),
            ..answer.clone()
        };
        insta::assert_snapshot!(format!("{}\n{}", route(&answer), route(&refused)));
    }
}
