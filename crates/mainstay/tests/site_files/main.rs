//! Broken and good site files through the real binary: what a person sees for each of them.
//!
//! `bad/NAME.toml` has its snapshot in `snapshots/`. To add a case, add a file and accept its text
//! (`INSTA_UPDATE=always cargo test -p mainstay --test site_files`) after reading it as a user would.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn files(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/site_files")
        .join(kind);
    let entries = std::fs::read_dir(&directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    files
}

/// Run in the file's directory, so that the text names just the file.
fn check(file: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .arg("check")
        .args(flags)
        .arg(file.file_name().unwrap())
        .current_dir(file.parent().unwrap())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn stem(file: &Path) -> &str {
    file.file_stem().unwrap().to_str().unwrap()
}

#[test]
fn every_broken_file_is_explained() {
    let files = files("bad");
    assert!(files.len() >= 30);
    for file in files {
        let output = check(&file, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", file.display());
        assert_eq!(text(&output.stderr), "", "{}", file.display());
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(stem(&file), text(&output.stdout));
        });
    }
}

#[test]
fn every_good_file_is_valid() {
    for file in files("good") {
        let output = check(&file, &[]);
        let said = text(&output.stdout);
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{}: {said}",
            file.display()
        );
    }
}

/// What programs get says the same as what people get.
#[test]
fn json_has_as_many_problems_as_the_text() {
    for file in files("bad") {
        let json = check(&file, &["--json"]);
        assert_eq!(json.status.code(), Some(2));
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let problems = json["problems"].as_array().unwrap();
        let people = check(&file, &[]);
        let name = file.file_name().unwrap().to_str().unwrap();
        for problem in problems {
            let place = format!("{name}:{}:{}: ", problem["line"], problem["column"]);
            let what = problem["what"].as_str().unwrap();
            let line = format!("{place}{what}\n");
            assert!(text(&people.stdout).contains(&line), "{line}");
        }
        assert_eq!(json["valid"], false);
        assert_eq!(
            text(&people.stdout).matches("write:").count(),
            problems.len()
        );
    }
}

/// `everything.toml` is what the reference is checked against: a new key must be added to it.
#[test]
fn everything_has_every_key_of_the_schema() {
    let output = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .arg("schema")
        .output()
        .unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let file = files("good")
        .into_iter()
        .find(|file| stem(file) == "everything")
        .unwrap();
    let written = std::fs::read_to_string(file).unwrap();
    for (section, schema) in schema["properties"].as_object().unwrap() {
        let header = format!("[{section}");
        assert!(written.contains(&header), "{header}]");
        let schema = match section.as_str() {
            "servers" | "backends" => &schema["additionalProperties"],
            "routes" => &schema["items"],
            _ => schema,
        };
        for (key, _) in schema["properties"].as_object().unwrap() {
            let as_table = format!(".{key}");
            let as_key = format!("\n{key} = ");
            assert!(
                written.contains(&as_key) || written.contains(&as_table),
                "{section}.{key}"
            );
        }
    }
}

/// No good site file is longer than its purpose asks: the shortest fits a small window.
#[test]
fn the_shortest_file_is_short() {
    let file = files("good")
        .into_iter()
        .find(|file| stem(file) == "shortest")
        .unwrap();
    assert!(std::fs::read_to_string(file).unwrap().lines().count() < 20);
}
