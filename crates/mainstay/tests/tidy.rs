//! What the project holds itself to and the compiler cannot check: which crate may know which, what a
//! pure file may not touch, where serialized types stand, links that lead somewhere.
//!
//! Every check says all that is wrong at once. What is allowed to differ is listed here, with its
//! reason; an entry that is no longer needed fails too.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crate → crates of ours it may depend on. Arrows go down only; roles do not know each other. A new
/// arrow needs a decision record.
const ARROWS: [(&str, &[&str]); 17] = [
    ("telemetry", &[]),
    ("site", &[]),
    ("certs", &[]),
    ("mainstay-http", &["telemetry"]),
    ("mainstay-mysql", &["telemetry"]),
    ("process", &["telemetry"]),
    ("cluster", &["site", "telemetry"]),
    ("monitor", &["telemetry"]),
    ("app", &["process", "site", "telemetry"]),
    (
        "balancer",
        &["mainstay-http", "process", "site", "telemetry"],
    ),
    ("web", &["mainstay-http", "process", "site", "telemetry"]),
    (
        "sql-router",
        &["mainstay-mysql", "process", "site", "telemetry"],
    ),
    (
        "database",
        &["cluster", "mainstay-mysql", "process", "site", "telemetry"],
    ),
    (
        "agent",
        &[
            "app",
            "balancer",
            "certs",
            "cluster",
            "database",
            "monitor",
            "process",
            "site",
            "sql-router",
            "telemetry",
            "web",
        ],
    ),
    (
        "mainstay",
        &[
            "agent",
            "app",
            "balancer",
            "certs",
            "cluster",
            "database",
            "monitor",
            "process",
            "site",
            "sql-router",
            "telemetry",
            "web",
        ],
    ),
    // For tests only: nobody depends on it.
    (
        "simulation",
        &["database", "mainstay-mysql", "process", "site"],
    ),
    // An application: it knows nothing of what it runs on.
    ("foobar", &[]),
];

/// Files whose types may be serialized: each is read by somebody outside its process, so it is a
/// promise (docs/decisions/0006).
const SERIALIZED: [&str; 8] = [
    "event.rs",
    "message.rs",
    "progress.rs",
    "record.rs",
    "snapshot.rs",
    "status.rs",
    "target.rs",
    "written.rs",
];
/// And these, for the reason given.
const SERIALIZED_TOO: [(&str, &str); 8] = [
    (
        "crates/site/src/target/backup.rs",
        "the backups' part of a target",
    ),
    (
        "crates/site/src/target/balancer.rs",
        "the balancer's part of a target",
    ),
    (
        "crates/site/src/name.rs",
        "names stand in every serialized type",
    ),
    (
        "crates/cluster/src/embedded/map.rs",
        "the file of the embedded cluster",
    ),
    ("crates/agent/src/local.rs", "the value of `site/network`"),
    (
        "crates/monitor/src/series.rs",
        "the live page in the same binary",
    ),
    (
        "crates/monitor/src/alert/state.rs",
        "the live page in the same binary",
    ),
    (
        "crates/monitor/src/dashboard/routes.rs",
        "the live page in the same binary",
    ),
];

/// What a pure file may not name. `*` at the end: any word that begins so.
const IMPURE: [&str; 14] = [
    "tokio",
    "std::fs",
    "std::env",
    "std::process",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Instant::now",
    "SystemTime::now",
    "rand::*",
    "getrandom",
    "spawn*",
    "Mutex",
    "RwLock",
];

const BAD_NAMES: [&str; 6] = ["utils", "util", "helpers", "common", "misc", "types"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Tracked text files: path from the top → text.
fn tracked() -> BTreeMap<String, String> {
    let root = root();
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "git: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let names = String::from_utf8(listed.stdout).unwrap();
    names
        .split('\0')
        .filter(|name| !name.is_empty())
        // What is no text, or was removed and not committed yet, has nothing to check.
        .filter_map(|name| {
            Some((
                name.to_owned(),
                std::fs::read_to_string(root.join(name)).ok()?,
            ))
        })
        .collect()
}

fn rust() -> impl Iterator<Item = (String, String)> {
    tracked()
        .into_iter()
        .filter(|(path, _)| path.ends_with(".rs"))
}

/// Line numbers and lines of what runs: no comments, no tests at the end of the file.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
}

/// Whether `line` has `word`, not as a part of another. `word*`: as the beginning of one.
fn names(line: &str, word: &str) -> bool {
    let (word, open) = match word.strip_suffix('*') {
        Some(word) => (word, true),
        None => (word, false),
    };
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && (open || !after.is_some_and(is_part))
    })
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn arrows_between_crates_are_those_allowed() {
    let metadata = metadata();
    let ours: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package["source"].is_null())
        .map(|package| (package["name"].as_str().unwrap(), package))
        .collect();
    let mut wrong = Vec::new();
    let allowed = BTreeMap::from(ARROWS);
    for (name, package) in &ours {
        let Some(may) = allowed.get(name) else {
            wrong.push(format!(
                "crate {name} is not in ARROWS: say what it may know"
            ));
            continue;
        };
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let knows: BTreeSet<&str> = dependencies
            // Dev-dependencies are for tests and may look across.
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| dependency["name"].as_str().unwrap())
            .filter(|name| ours.contains_key(name))
            .collect();
        for other in &knows {
            if !may.contains(other) {
                wrong.push(format!(
                    "{name} depends on {other}: a new arrow needs a decision"
                ));
            }
        }
    }
    for (name, _) in ARROWS {
        if !ours.contains_key(name) {
            wrong.push(format!("ARROWS names {name}, which is no crate"));
        }
    }
    none(&wrong);
}

#[test]
fn the_site_crate_has_no_runtime() {
    let metadata = metadata();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let name_of = |id: &str| -> String {
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["id"] == id).unwrap();
        package["name"].as_str().unwrap().to_owned()
    };
    let mut todo: Vec<&str> = nodes
        .keys()
        .copied()
        .filter(|id| name_of(id) == "site")
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                todo.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    let found: BTreeSet<String> = seen.into_iter().map(name_of).collect();
    assert!(found.contains("site") && found.contains("toml"));
    for runtime in ["tokio", "mio", "socket2", "getrandom"] {
        assert!(!found.contains(runtime), "site reaches {runtime}");
    }
}

#[test]
fn pure_files_do_not_touch_the_world() {
    let mut wrong = Vec::new();
    let mut pure = 0;
    for (path, text) in rust() {
        let in_failover = path.starts_with("crates/database/src/failover/");
        let of_tests = path.ends_with("/tests.rs");
        if of_tests || !text.starts_with("//! Pure:") && !in_failover {
            continue;
        }
        pure += 1;
        for (number, line) in code(&text) {
            for word in IMPURE.iter().filter(|word| names(line, word)) {
                wrong.push(format!(
                    "{path}:{number}: a pure file names {word}: {}",
                    line.trim()
                ));
            }
        }
    }
    assert!(pure > 50, "the mark is lost: {pure} pure files");
    none(&wrong);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for (path, text) in rust() {
        if !text.starts_with("//!") {
            wrong.push(format!("{path}: does not begin with //!"));
        }
        let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
        if is_root && !text.contains("#![forbid(unsafe_code)]") && path.starts_with("crates/") {
            wrong.push(format!("{path}: lacks #![forbid(unsafe_code)]"));
        }
        // The agent is the one crate that may know all roles, and says so.
        let says = text.to_lowercase().contains("must not know") || path.contains("/agent/");
        if path.ends_with("src/lib.rs") && !says {
            wrong.push(format!("{path}: does not say what it must not know"));
        }
    }
    none(&wrong);
}

#[test]
fn files_are_named_after_what_they_hold() {
    let mut wrong = Vec::new();
    for path in tracked().keys() {
        for part in path.split('/') {
            let stem = part.split('.').next().unwrap_or_default();
            if BAD_NAMES.contains(&stem) {
                wrong.push(format!("{path}: `{stem}` says nothing"));
            }
        }
        if path.ends_with(".pending-snap") || path.ends_with(".snap.new") {
            wrong.push(format!("{path}: a snapshot nobody has looked at"));
        }
    }
    none(&wrong);
}

/// A file that no `mod` names is not compiled, and nobody notices.
#[test]
fn every_file_is_compiled() {
    let files: BTreeMap<String, String> = rust().collect();
    let mut wrong = Vec::new();
    for path in files.keys() {
        let Some((krate, rest)) = path.split_once("/src/") else {
            continue;
        };
        let stem = match rest.strip_suffix("/mod.rs") {
            Some(folder) => folder.rsplit('/').next().unwrap_or_default(),
            None => rest
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .trim_end_matches(".rs"),
        };
        if matches!(rest, "lib.rs" | "main.rs") {
            continue;
        }
        let declared = files
            .iter()
            .filter(|(other, _)| other.starts_with(krate))
            .any(|(_, text)| {
                text.lines()
                    .any(|line| line.contains(&format!("mod {stem};")))
            });
        if !declared {
            wrong.push(format!("{path}: no `mod {stem};`"));
        }
    }
    none(&wrong);
}

#[test]
fn nothing_is_left_for_later_without_a_place() {
    let mut wrong = Vec::new();
    // Put together here, so that this file does not find itself.
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    for (path, text) in tracked() {
        for (number, line) in (1..).zip(text.lines()) {
            if marks.iter().any(|mark| names(line, mark)) {
                wrong.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn serialized_types_stand_where_they_are_looked_for() {
    let too: BTreeMap<&str, &str> = SERIALIZED_TOO.into();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in rust() {
        let of_tests = path.contains("/tests") || path.contains("/examples/");
        if !path.starts_with("crates/") || of_tests {
            continue;
        }
        let mut derives = code(&text)
            .filter(|(_, line)| line.contains("derive(") && names(line, "Serialize"))
            .map(|(number, _)| number)
            .peekable();
        if derives.peek().is_none() {
            continue;
        }
        let file = path.rsplit('/').next().unwrap_or_default();
        if SERIALIZED.contains(&file) {
            continue;
        }
        match too.get_key_value(path.as_str()) {
            Some((path, _)) => {
                used.insert(*path);
            }
            None => wrong
                .extend(derives.map(|number| format!("{path}:{number}: a serialized type here"))),
        }
    }
    for (path, why) in SERIALIZED_TOO {
        if !used.contains(path) {
            wrong.push(format!(
                "SERIALIZED_TOO: {path} ({why}) has no serialized type"
            ));
        }
    }
    none(&wrong);
}

#[test]
fn there_is_no_unsafe_code() {
    let mut wrong = Vec::new();
    let word = ["un", "safe"].concat();
    for (path, text) in rust() {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split("//").next().unwrap_or_default();
            let used = ["{", "fn", "impl", "extern", "trait"]
                .iter()
                .any(|what| line.contains(&format!("{word} {what}")));
            if used {
                wrong.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let here = root().display().to_string();
    // A checkout at `/build` would find itself in words of other people's paths.
    let telling = here.matches('/').count() >= 2;
    let mut wrong = Vec::new();
    for (path, text) in tracked() {
        for (number, line) in (1..).zip(text.lines()) {
            let foreign = ["/home/", "/Users/"].iter().any(|start| {
                line.match_indices(start).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    let name = line[at + start.len()..].chars().next();
                    name.is_some_and(char::is_alphanumeric)
                        && !before.is_some_and(|c| c.is_alphanumeric() || ".~}/".contains(c))
                })
            });
            if foreign || (telling && line.contains(&here)) {
                let line: String = line.trim().chars().take(120).collect();
                wrong.push(format!("{path}:{number}: {line}"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn links_lead_somewhere() {
    let root = root();
    let mut wrong = Vec::new();
    for (path, text) in tracked() {
        if !path.ends_with(".md") {
            continue;
        }
        let directory = root.join(&path).parent().unwrap().to_owned();
        for (number, target) in links(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = match file {
                "" => root.join(&path),
                file => directory.join(file),
            };
            if !to.exists() {
                wrong.push(format!("{path}:{number}: {target} does not exist"));
                continue;
            }
            let has = |text: String| text.lines().any(|line| slug(line) == anchor);
            if !anchor.is_empty() && !std::fs::read_to_string(&to).is_ok_and(has) {
                wrong.push(format!("{path}:{number}: no heading #{anchor} in {file}"));
            }
        }
    }
    none(&wrong);
}

/// Line and target of every `[…](target)` outside code blocks.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            if let Some((target, _)) = line[at + 2..].split_once(')') {
                found.push((number, target.trim().to_owned()));
            }
        }
    }
    found
}

/// The anchor of a heading, as the forges make it; empty when the line is none.
fn slug(line: &str) -> String {
    let Some(heading) = line.strip_prefix('#') else {
        return String::new();
    };
    let mut slug = String::new();
    for c in heading.trim_start_matches('#').trim().chars() {
        match c {
            ' ' => slug.push('-'),
            '-' | '_' => slug.push(c),
            c if c.is_alphanumeric() => write!(slug, "{}", c.to_lowercase()).unwrap(),
            _ => {}
        }
    }
    slug
}

#[test]
fn the_checks_find_what_they_look_for() {
    assert!(names("let x = tokio::spawn(f);", "spawn*"));
    assert!(names("use rand::Rng;", "rand::*"));
    assert!(!names("let operand = respawn();", "spawn*"));
    assert!(!names("RwLockish", "RwLock"));
    assert_eq!(
        code("a\n// b\n#[cfg(test)]\nc").collect::<Vec<_>>(),
        [(1, "a"), (2, "")]
    );
    assert_eq!(slug("## What `up` does, today"), "what-up-does-today");
    assert_eq!(
        links("[a](b.md) x [c](d#e)\n```\n[no](code)\n```"),
        [(1, "b.md".to_owned()), (1, "d#e".to_owned())]
    );
}
