//! The command line through the real binary: one file per verb.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod check;
mod import;
mod init;
mod schema;

use std::fmt::Write as _;
use std::process::{Command, Output};

use tempfile::TempDir;

fn in_empty_directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs the binary in a directory, as somebody who is not at a terminal.
fn mainstay(directory: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(arguments)
        .current_dir(directory.path())
        .output()
        .unwrap()
}

/// Everything a person or a script sees of one run.
fn shown(output: &Output) -> String {
    let mut text = format!("status {}\n", output.status.code().unwrap());
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            write!(text, "── {name}\n{}", std::str::from_utf8(bytes).unwrap()).unwrap();
        }
    }
    text
}
