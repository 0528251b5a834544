//! Clients that others wrote, through the router: each does the same steps (`steps.tsv`) by a small script
//! of its own, and prints what it sees. Through the router that is what it is straight at the server; and
//! all clients see the same, except for lines with a `~`: how a language shows a value of that type.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[expect(dead_code, reason = "of another test: this one needs less of it")]
#[path = "../bed/mod.rs"]
mod bed;
mod dump;
mod rust;
mod sqlx;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use bed::Bed;

fn here(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/clients", file]
        .iter()
        .collect()
}

/// Runs a client against `at`; what it printed.
async fn steps(program: &str, arguments: &[&str], at: SocketAddr) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args([at.ip().to_string(), at.port().to_string()])
        .arg(here("steps.tsv"));
    run(command).await
}

/// The output of a program that succeeds and has nothing to complain of.
async fn run(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || (command.output(), command)).await;
    let (output, command) = output.unwrap();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}; `make packages` installs it"));
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && complaints.is_empty(),
        "{command:?}: {complaints}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The first line that differs, with those before it.
#[track_caller]
fn same(what: &str, one: &str, other: &str) {
    let (mut ones, mut others) = (one.lines(), other.lines());
    let mut before = Vec::new();
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return,
            (one, other) if one == other => before.push(one.unwrap_or_default()),
            (one, other) => {
                let from = before.len().saturating_sub(4);
                let before = before[from..].join("\n");
                panic!("{what} differ after\n{before}\none:   {one:?}\nother: {other:?}");
            }
        }
    }
}

/// Without lines that show values as a language does.
fn common(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('~')).collect();
    lines.join("\n")
}

async fn begin() -> Bed {
    let bed = Bed::start().await;
    for server in [&bed.primary, &bed.replica] {
        server.sql(&["SET GLOBAL time_zone = '+00:00'"]).await;
    }
    bed
}

/// Debian has no mysql2.
#[tokio::test]
#[ignore = "mysql2 comes from npm: `make clients` installs it, and runs this"]
async fn so_does_mysql2() {
    let bed = begin().await;
    let modules = concat!(env!("CARGO_TARGET_TMPDIR"), "/npm/node_modules");
    let path = format!("NODE_PATH={modules}");
    let script = here("mysql2.js").display().to_string();
    let arguments = [path.as_str(), "node", script.as_str()];
    let straight = steps("env", &arguments, bed.primary.address).await;
    bed.caught_up().await;
    let routed = steps("env", &arguments, bed.address).await;
    same("mysql2, straight and routed,", &straight, &routed);
    assert!(straight.lines().count() > 200, "{straight}");
}

#[tokio::test]
async fn every_client_sees_what_it_sees_without_the_router() {
    let bed = begin().await;
    let script = |name: &str| here(name).display().to_string();
    let (python, mysqli, pdo) = (script("python.py"), script("mysqli.php"), script("pdo.php"));
    // Debian's own: the packages are for these.
    let clients: [(&str, &[&str]); 4] = [
        ("/usr/bin/python3", &[&python, "pymysql"]),
        ("/usr/bin/python3", &[&python, "MySQLdb"]),
        ("/usr/bin/php", &[&mysqli]),
        ("/usr/bin/php", &[&pdo]),
    ];
    let mut first = None;
    for (program, arguments) in clients {
        let straight = steps(program, arguments, bed.primary.address).await;
        bed.caught_up().await;
        let routed = steps(program, arguments, bed.address).await;
        same(
            &format!("{arguments:?}, straight and routed,"),
            &straight,
            &routed,
        );
        let told = common(&routed);
        let first = first.get_or_insert_with(|| told.clone());
        same(&format!("the first client and {arguments:?}"), first, &told);
    }
    let told = rust::steps(&bed, bed.primary.address).await;
    bed.caught_up().await;
    same(
        "mysql_async, straight and routed,",
        &told,
        &rust::steps(&bed, bed.address).await,
    );
    same(
        "the first client and mysql_async",
        &first.unwrap(),
        &common(&told),
    );
    let straight = sqlx::steps("app", "secret", "app", bed.primary.address).await;
    bed.caught_up().await;
    let routed = sqlx::steps("app", "secret", "app", bed.address).await;
    same("sqlx, straight and routed,", &straight, &routed);
    assert!(straight.lines().count() > 150, "{straight}");
    let status = bed.router.status();
    assert!(
        status.to_replica > 20 && status.to_primary > 100,
        "{status:?}"
    );
}
