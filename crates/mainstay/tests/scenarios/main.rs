//! Scenarios in the language of `varnishtest` (Debian's varnish; vtc(7)), which HAProxy's own regression
//! tests are written in: client, endpoints and what each has to see stand in one file, spoken by another
//! implementation of HTTP/1.1, HTTP/2 and the PROXY protocol than ours. One `.vtc` file a scenario, with a
//! balancer of its own through the real binary.
//!
//! Macros: `${site}`, the directory of the site file; `${up}`, starts what stands there; `${mainstay}`, the
//! binary; `${http}`, `${https}`, `${tcp}` and `${free}`, addresses that are this scenario's alone.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on must end, and says why"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// In seconds, for a whole scenario; it is the end of one that hangs, not a measure.
const PATIENCE: &str = "60";

const MAINSTAY: &str = env!("CARGO_BIN_EXE_mainstay");

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// One test for each file; `every_scenario_is_run` holds the list against the directory.
macro_rules! scenarios {
    ($($name:ident)*) => {
        const SCENARIOS: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*
    };
}

scenarios! {
    backup_endpoints
    connection_reuse
    early_hints
    every_kind_of_body
    expect_continue
    fields_of_one_hop
    h2_client
    h2_downgrade
    h2_endpoint
    h2_errors
    h2_flow_control
    maintenance
    proxy_protocol
    queue
    redirects_and_rewrites
    reload
    retries
    smuggling
    tcp_mode
    unix_sockets
    websocket
}

#[test]
fn every_scenario_is_run() {
    let entries = std::fs::read_dir(directory()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let there: BTreeSet<String> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "vtc"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let run: BTreeSet<String> = SCENARIOS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(there, run);
}

fn run(name: &str) {
    let site = Site::new();
    let http = own_address();
    let https = own_address();
    let up = format!(
        "cd {} && {MAINSTAY} up --detach --http {http} --https {https}",
        site.path()
    );
    let mut command = Command::new("varnishtest");
    for (macro_name, value) in [
        ("site", site.path()),
        ("mainstay", MAINSTAY),
        ("up", &up),
        ("http", &http),
        ("https", &https),
        ("tcp", &own_address()),
        ("free", &own_address()),
    ] {
        command.arg(format!("-D{macro_name}={value}"));
    }
    command
        .args(["-t", PATIENCE])
        .arg(directory().join(format!("{name}.vtc")));
    let ran = command.stdin(Stdio::null()).output();
    let ran = ran.unwrap_or_else(|e| panic!("varnishtest (Debian: varnish): {e}"));
    // 77 is "skipped", which is not passed.
    if !ran.status.success() {
        let (said, logs) = (text(&ran), text(&site.mainstay(&["logs", "-n", "40"])));
        panic!("{name}: {}\n{said}\n--- logs\n{logs}", ran.status);
    }
}

/// An address nobody but this test has: a loopback address made of the process's id (22 bits at most),
/// and a port that is counted.
fn own_address() -> String {
    static PORT: AtomicU16 = AtomicU16::new(20_000);
    let id = std::process::id();
    let byte = |shift: u32| (id >> shift) & 255;
    let port = PORT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{}.{}:{port}", 64 + byte(16), byte(8), byte(0))
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// The directory of a site, which is stopped when the scenario has ended, however it ended.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::TempDir::new().unwrap())
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn mainstay(&self, args: &[&str]) -> Output {
        let mut command = Command::new(MAINSTAY);
        command.current_dir(&self.0).args(args).output().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let down = self.mainstay(&["down"]);
        let ran = self.0.path().join(".mainstay").exists();
        if ran && !down.status.success() && !std::thread::panicking() {
            panic!("down: {}", text(&down));
        }
    }
}
