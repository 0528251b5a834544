//! `docs/reference` says what the code says: two pages are made from it, the others are compared with
//! it. `UPDATE_REFERENCE=1 cargo test -p mainstay --test reference` (or `make docs`) writes the made
//! ones anew.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(name: &str) -> PathBuf {
    root().join("docs/reference").join(name)
}

/// The page is as it should be, or is made so when that is asked for.
#[track_caller]
fn is_current(name: &str, wanted: &str) {
    let path = page(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found == wanted {
        return;
    }
    let differs = (1..)
        .zip(found.lines().zip(wanted.lines()))
        .find(|(_, (found, wanted))| found != wanted);
    let at = differs.map_or_else(String::new, |(line, (found, wanted))| {
        format!("\nline {line}\n  is      {found}\n  must be {wanted}")
    });
    panic!("docs/reference/{name} is stale; `make docs` writes it anew{at}");
}

#[test]
fn every_field_of_the_access_log_is_listed() {
    let page = std::fs::read_to_string(page("access-log.md")).unwrap();
    let listed = |name: &str, column: usize| {
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let mut cells = rows.filter_map(|row| row.split('|').nth(column));
        cells.any(|cell| cell.trim() == format!("`{name}`"))
    };
    for name in telemetry::access_log::NAMES {
        assert!(listed(name, 1), "{name} is not in access-log.md");
    }
    let exchange = telemetry::access_log::Exchange {
        reason: "r",
        fault: "f",
        ..Default::default()
    };
    let mut line = String::new();
    telemetry::access_log::Format::Json.write_line(&exchange, &mut line);
    let line: Value = serde_json::from_str(&line).unwrap();
    for name in line.as_object().unwrap().keys() {
        assert!(
            listed(name, 2),
            "{name} of the JSON is not in access-log.md"
        );
    }
}

#[test]
fn the_site_file() {
    let schema = site::schema();
    let mut out = String::from(
        "# The site file\n\n\
         <!-- Made from `site::schema()` by `make docs`; changes go into crates/site/src/written.rs. -->\n\n\
         `site.toml` is TOML. An unknown key, a wrong kind of value and a value out of range are errors,\n\
         all told at once with file, line and column. `mainstay schema` prints the same as a JSON Schema\n\
         for editors; `mainstay check` looks at a file. What is required is marked *required*; a section\n\
         may be left out when nothing in it is. Secrets are never written here, they are named.\n",
    );
    let sections = schema["properties"].as_object().unwrap();
    for (name, section) in sections {
        let named = section["additionalProperties"].is_object();
        let (heading, section_of_keys) = match named {
            true => (format!("[{name}.NAME]"), &section["additionalProperties"]),
            false => (format!("[{name}]"), section),
        };
        write!(out, "\n## `{heading}`\n\n{}\n", text(section)).unwrap();
        keys(&mut out, &heading, section_of_keys);
    }
    is_current("site-file.md", &out);
}

/// A table of the keys of one object, then one for each object in it.
fn keys(out: &mut String, heading: &str, object: &Value) {
    let Some(properties) = object["properties"].as_object() else {
        return;
    };
    let required: BTreeSet<&str> = object["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    out.push_str("\n| key | kind | meaning | example |\n|---|---|---|---|\n");
    for (key, schema) in properties {
        let mark = match required.contains(key.as_str()) {
            true => " *required*",
            false => "",
        };
        let example = schema["examples"][0].clone();
        let example = match example {
            Value::Null => String::new(),
            example => format!("`{}`", toml(&example)),
        };
        let meaning = text(schema);
        writeln!(
            out,
            "| `{key}`{mark} | {} | {meaning} | {example} |",
            kind(schema)
        )
        .unwrap();
    }
    for (key, schema) in properties {
        if schema["properties"].is_object() {
            write!(out, "\n### `{key}` of `{heading}`\n").unwrap();
            keys(out, &format!("{heading} {key}"), schema);
        }
    }
}

fn text(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.replace('|', "\\|")
}

fn kind(schema: &Value) -> String {
    if let Some(words) = schema["oneOf"].as_array() {
        let words = words
            .iter()
            .map(|word| format!("`{}`", toml(&word["const"])));
        return words.collect::<Vec<_>>().join(", ");
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let kinds = kinds
        .iter()
        .filter_map(Value::as_str)
        .map(|kind| match kind {
            "array" => format!("list of {}", plural(&kind_of_items(schema))),
            "object" if schema["properties"]["secret"].is_object() => {
                "`{ secret = \"name\" }`".into()
            }
            "object" => "table".into(),
            "string" => "text".into(),
            "boolean" => "true or false".into(),
            "integer" => "number".into(),
            "number" => "fraction".into(),
            other => other.to_owned(),
        });
    let mut kinds: Vec<String> = kinds.collect();
    kinds.dedup();
    let kind = kinds.join(" or ");
    match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        (Some(least), Some(most)) => format!("{kind}, {least} to {most}"),
        _ => kind,
    }
}

fn kind_of_items(schema: &Value) -> String {
    match &schema["items"] {
        items if items.is_object() => kind(items),
        _ => "text".to_owned(),
    }
}

fn plural(kind: &str) -> String {
    if kind == "text" {
        "texts".to_owned()
    } else {
        kind.to_owned()
    }
}

fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{key} = {}", toml(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// What `mainstay ARGS --help` prints.
fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(args)
        .arg("--help")
        .env_remove("COLUMNS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The commands that a help lists.
fn verbs(help: &str) -> impl Iterator<Item = &str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // Lines that go on begin further right.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
}

#[test]
fn the_command_line() {
    let top = help(&[]);
    let mut out = format!(
        "# The command line\n\n\
         <!-- Made from the binary's own help by `make docs`; changes go into crates/mainstay/src/verbs. -->\n\n\
         What each exit status means stands in [exit-codes.md](exit-codes.md).\n\n\
         ```\n{top}\n```\n"
    );
    for verb in verbs(&top) {
        let text = help(&[verb]);
        write!(out, "\n## `mainstay {verb}`\n\n```\n{text}\n```\n").unwrap();
        for inner in verbs(&text) {
            let text = help(&[verb, inner]);
            write!(out, "\n### `mainstay {verb} {inner}`\n\n```\n{text}\n```\n").unwrap();
        }
    }
    is_current("cli.md", &out);
}

/// The code of our crates, tests left out.
#[test]
fn every_reason_is_explained() {
    let mut out = String::from(
        "# Reasons\n\nWhy the balancer answered by itself: the code in the access log (`reason`), in the metric\n\
         `mainstay_balancer_answers_total` and, with `reason-header = true` in `[balancer]`, in the field\n\
         `Mainstay-Reason` of the answer. Made from the code; `make docs` writes it anew.\n\n\
         | reason | status | what to look at |\n|---|---|---|\n",
    );
    for reason in balancer::reason::Reason::ALL {
        let (status, advice) = (reason.status(), reason.advice());
        writeln!(out, "| `{reason}` | {status} | {advice} |").unwrap();
    }
    is_current("reasons.md", &out);
}

fn code() -> Vec<String> {
    fn walk(directory: &Path, all: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, all);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let end = text.find("\n#[cfg(test)]").unwrap_or(text.len());
                all.push(text[..end].to_owned());
            }
        }
    }
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        if path.join("src").is_dir() {
            walk(&path.join("src"), &mut all);
        }
    }
    all
}

/// Words in the first column of the page's tables.
fn listed(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page(name)).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect()
}

#[track_caller]
fn same(page: &str, listed: &BTreeSet<String>, found: &BTreeSet<String>) {
    let missing: Vec<_> = found.difference(listed).collect();
    let gone: Vec<_> = listed.difference(found).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/reference/{page}: not listed {missing:?}; listed and not in the code {gone:?}"
    );
}

/// The string literals of `text`.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

#[test]
fn every_metric_is_listed() {
    let is_name = |text: &str| {
        text.strip_prefix("mainstay_").is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        })
    };
    let mut found = BTreeSet::new();
    for text in code() {
        if !text.contains(".family(") {
            continue;
        }
        // Names put together of a prefix and a list.
        let prefix = "mainstay_sql_";
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for literal in literals(line) {
                if is_name(literal) {
                    found.insert(literal.trim_end_matches("_total").to_owned());
                }
            }
        }
        if text.contains("mainstay_sql_{name}") {
            let list = text.split("let counters").nth(1).unwrap();
            let list = list.split("];").next().unwrap();
            let words = literals(list).filter(|word| !word.contains(' '));
            found.extend(words.map(|word| format!("{prefix}{word}")));
        }
    }
    let listed = listed("metrics.md");
    let listed = listed
        .iter()
        .map(|name| name.trim_end_matches("_total").to_owned());
    same("metrics.md", &listed.collect(), &found);
}

/// Literals near a `Severity` that are no kind: the subject of the event.
const SUBJECTS: [&str; 3] = ["balancer", "sql-router", "site"];

#[test]
fn every_kind_of_event_and_alert_is_listed() {
    let is_word =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let mut found = BTreeSet::new();
    for text in code() {
        // Where an event is made, its kind stands near.
        let marks = ["Severity::", "alert.severity,", "kind: \""];
        let places = marks.iter().flat_map(|mark| text.match_indices(mark));
        for (at, _) in places {
            let near: String = text[at..].chars().take(110).collect();
            let near = near.split(';').next().unwrap_or_default();
            let words = literals(near).filter(|word| is_word(word) && !SUBJECTS.contains(word));
            found.extend(words.map(str::to_owned));
        }
        if text.contains("The kinds of alert.") {
            let list = text.split("fn as_str").nth(1).unwrap();
            let list = list.split("    }\n\n").next().unwrap();
            found.extend(literals(list).map(str::to_owned));
        }
    }
    // How severities are spelled themselves.
    for word in ["info", "warning", "error", "lowercase"] {
        found.remove(word);
    }
    // A kind may be far from its severity: it is enough that the code has the word.
    let listed = listed("events.md");
    let code = code().concat();
    let written = |kind: &&String| code.contains(&format!("\"{kind}\""));
    found.extend(listed.iter().filter(written).cloned());
    same("events.md", &listed, &found);
}
