//! A balancer in a directory of its own, on addresses of its own, gone at the end of its test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;

/// How long a condition may take on a busy machine. Conditions are waited for, never slept for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A check often enough for a test: an endpoint is known to be up or down within half a second.
pub(crate) const HEALTH: &str =
    r#"health = { interval = "100ms", timeout = "100ms", rise = 1, fall = 2 }"#;

/// No check: every endpoint takes requests from the beginning.
pub(crate) const UNCHECKED: &str = r#"health = { kind = "none" }"#;

/// An address that is free, and that nobody but this test is given: each process has a loopback address
/// of its own (made of its id, which has 22 bits at most), and counts its ports.
pub(crate) fn own_address() -> String {
    static PORT: AtomicU16 = AtomicU16::new(20_000);
    let id = std::process::id();
    let byte = |shift: u32| (id >> shift) & 255;
    let port = PORT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{}.{}:{port}", 64 + byte(16), byte(8), byte(0))
}

/// A directory with a site file and what it names.
pub(crate) struct Prepared {
    dir: TempDir,
}

impl Prepared {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn up(self, site_file: &str) -> Balancer {
        self.write("site.toml", site_file);
        let http = own_address();
        let https = own_address();
        let up = mainstay(
            self.dir.path(),
            &[
                "up", "--detach", "--json", "--http", &http, "--https", &https,
            ],
        );
        let (out, err) = (text(&up.stdout), text(&up.stderr));
        assert!(up.status.success(), "up: {out}\n{err}\n{site_file}");
        Balancer {
            ready: serde_json::from_str(&out).unwrap(),
            dir: self.dir,
            http,
            https,
            down: false,
        }
    }
}

/// A balancer that runs.
pub(crate) struct Balancer {
    dir: TempDir,
    ready: Value,
    pub(crate) http: String,
    pub(crate) https: String,
    down: bool,
}

fn mainstay(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.env_remove("MAINSTAY_LOG").stdin(Stdio::null());
    command.current_dir(dir).args(args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Balancer {
    pub(crate) fn up(site_file: &str) -> Self {
        Prepared::new().up(site_file)
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.http)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        mainstay(self.dir.path(), args)
    }

    pub(crate) fn pid(&self) -> u64 {
        self.ready["pid"].as_u64().unwrap()
    }

    pub(crate) fn authority(&self) -> String {
        std::fs::read_to_string(self.ready["authority"].as_str().unwrap()).unwrap()
    }

    pub(crate) fn status(&self) -> Value {
        let status = self.run(&["status", "--json"]);
        serde_json::from_slice(&status.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", text(&status.stderr)))
    }

    /// What `status` says of an endpoint.
    pub(crate) fn endpoint(&self, name: &str) -> Value {
        let status = self.status();
        let endpoints = status["endpoints"].as_array().unwrap();
        let found = endpoints.iter().find(|endpoint| endpoint["name"] == name);
        found
            .unwrap_or_else(|| panic!("no endpoint {name}: {status}"))
            .clone()
    }

    /// Waits until these endpoints are up, and no others.
    #[track_caller]
    pub(crate) fn wait_until_up(&self, names: &[&str]) {
        wait(&format!("{names:?} are up, and no others"), || {
            let status = self.status();
            let endpoints = status["endpoints"].as_array().unwrap();
            let known =
                |e: &Value| e["since_ms"].as_u64() > Some(0) && e["reason"] != "not asked yet";
            let fits = |e: &Value| {
                let wanted = names.contains(&e["name"].as_str().unwrap());
                known(e) && (e["up"] == true) == wanted
            };
            endpoints.iter().all(fits).then_some(())
        });
    }

    /// Events of this kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let events =
            std::fs::read_to_string(self.dir.path().join(".mainstay/events.jsonl")).unwrap();
        let parse = |line: &str| serde_json::from_str::<Value>(line).ok();
        events
            .lines()
            .filter_map(parse)
            .filter(|event| event["kind"] == kind)
            .collect()
    }

    pub(crate) fn access_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join(".mainstay/logs/balancer/access.log"))
            .unwrap_or_default()
    }

    /// The first line of the access log that has this in it.
    #[track_caller]
    pub(crate) fn logged(&self, what: &str) -> String {
        wait(&format!("a line with {what}"), || {
            self.access_log()
                .lines()
                .find(|line| line.contains(what))
                .map(str::to_owned)
        })
    }

    /// The text of `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        let url = self.ready["metrics"][0][1].as_str().unwrap();
        let (address, path) = url
            .strip_prefix("http://")
            .unwrap()
            .split_once('/')
            .unwrap();
        Client::connect(address).get(&format!("/{path}")).text()
    }

    /// The sample of this name with these labels among its own; 0 when there is none.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> f64 {
        let metrics = self.metrics();
        let fits = |line: &&str| {
            line.split_once('{').is_some_and(|(of, _)| of == name) && line.contains(labels)
        };
        let line = metrics.lines().find(fits);
        line.map_or(0.0, |line| {
            line.rsplit(' ').next().unwrap().parse().unwrap()
        })
    }

    pub(crate) fn down(&mut self) {
        let down = self.run(&["down"]);
        assert!(down.status.success(), "down: {}", text(&down.stderr));
        self.down = true;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.run(&["logs", "-n", "60"]);
            eprintln!("--- logs\n{}", text(&logs.stdout));
            eprintln!("--- access log\n{}", self.access_log());
        }
        if self.down {
            return;
        }
        let down = self.run(&["down"]);
        if !down.status.success() && Path::new(&format!("/proc/{}", self.pid())).exists() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid()).unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
    }
}

/// A site file with one backend.
pub(crate) fn site(endpoints: &[&str], lines: &str) -> String {
    let list = endpoints.join("\", \"");
    format!(
        "[balancer]\nreason-header = true\n[backends.app]\nendpoints = [\"{list}\"]\n{UNCHECKED}\n{lines}\n"
    )
}

/// Waits for a condition and gives what it found.
#[track_caller]
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
