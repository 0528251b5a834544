//! A site in a directory of its own, on addresses of its own, gone at the end of its test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a condition may take on a busy machine. Conditions are waited for, never slept for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A site file with two app servers and no database, for tests of everything before it.
pub(crate) const TWO_APP_SERVERS: &str = r#"
[site]
name = "test"
domains = ["www.test.example"]

[servers.lb-1]
address = "10.0.0.1"
roles = ["balancer"]

[servers.app-1]
address = "10.0.0.2"
roles = ["web", "app"]

[servers.app-2]
address = "10.0.0.3"
roles = ["web", "app"]

[balancer]
health = { interval = "250ms", timeout = "250ms", rise = 1, fall = 2 }

[app]
path = "app"
command = ["bin/test_app"]
instances = 2
stop-timeout = "2s"

[web]
static = "static"
"#;

/// A directory with a site file and an application, and the site that runs in it.
pub(crate) struct Site {
    dir: TempDir,
    pub(crate) ready: Value,
}

/// A directory that is not (yet) a running site.
pub(crate) struct Prepared {
    pub(crate) dir: TempDir,
}

pub(crate) fn mainstay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.env_remove("MAINSTAY_LOG").stdin(Stdio::null());
    command
}

/// A binary of this build.
pub(crate) fn built(name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_BIN_EXE_mainstay")).parent().unwrap();
    let path = here.join(name);
    assert!(
        path.exists(),
        "{} is not built; `make test` builds it first",
        path.display()
    );
    path
}

impl Prepared {
    /// With the test application.
    pub(crate) fn new(site_file: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("site.toml"), site_file).unwrap();
        let app = dir.path().join("app");
        std::fs::create_dir_all(app.join("bin")).unwrap();
        std::fs::create_dir_all(app.join("static/docs")).unwrap();
        std::fs::copy(built("examples/test_app"), app.join("bin/test_app")).unwrap();
        std::fs::write(app.join("static/style.css"), "body { color: teal }\n").unwrap();
        std::fs::write(app.join("static/docs/index.html"), "<p>docs").unwrap();
        Self { dir }
    }

    /// The example site.
    pub(crate) fn foobar() -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/foobar");
        let dir = TempDir::new().unwrap();
        std::fs::copy(example.join("site.toml"), dir.path().join("site.toml")).unwrap();
        let app = dir.path().join("app");
        std::fs::create_dir_all(app.join("bin")).unwrap();
        std::fs::create_dir_all(app.join("static")).unwrap();
        for file in std::fs::read_dir(example.join("app/static")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), app.join("static").join(file.file_name())).unwrap();
        }
        std::fs::copy(built("foobar"), app.join("bin/foobar")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `mainstay VERB ARGS…` in the directory.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        mainstay()
            .current_dir(self.path())
            .args(args)
            .output()
            .unwrap()
    }

    pub(crate) fn up(self) -> Site {
        let ready = start(self.path());
        Site {
            dir: self.dir,
            ready,
        }
    }
}

fn start(dir: &Path) -> Value {
    let up = mainstay()
        .current_dir(dir)
        .args([
            "up",
            "--detach",
            "--json",
            "--http",
            "127.0.0.1:0",
            "--https",
            "127.0.0.1:0",
        ])
        .output()
        .unwrap();
    let (out, err) = (text(&up.stdout), text(&up.stderr));
    assert!(up.status.success(), "up: {out}\n{err}");
    serde_json::from_str(&out).unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Site {
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `mainstay VERB ARGS…` in the site's directory.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        mainstay()
            .current_dir(self.path())
            .args(args)
            .output()
            .unwrap()
    }

    /// What a verb prints that must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}: {out}\n{err}");
        out
    }

    /// Exit status of a verb that must fail, and what it says.
    pub(crate) fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let err = text(&output.stderr);
        assert!(
            !output.status.success(),
            "{args:?}: {}",
            text(&output.stdout)
        );
        (output.status.code().unwrap(), err)
    }

    pub(crate) fn write_site_file(&self, text: &str) {
        std::fs::write(self.path().join("site.toml"), text).unwrap();
    }

    pub(crate) fn status(&self) -> Value {
        let status = self.run(&["status", "--json"]);
        serde_json::from_slice(&status.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", text(&status.stderr)))
    }

    pub(crate) fn pid(&self) -> u32 {
        u32::try_from(self.ready["pid"].as_u64().unwrap()).unwrap()
    }

    /// `127.0.0.1:PORT` of the first balancer's listener.
    pub(crate) fn http(&self) -> String {
        address(&self.ready["http"])
    }

    pub(crate) fn https(&self) -> String {
        address(&self.ready["https"])
    }

    pub(crate) fn down(&self) {
        let down = self.run(&["down"]);
        assert!(down.status.success(), "down: {}", text(&down.stderr));
    }

    pub(crate) fn up_again(&mut self) {
        self.ready = start(self.path());
    }

    /// The process ids of processes whose name begins with `name`, on `server` if it is not empty.
    pub(crate) fn pids(&self, server: &str, name: &str) -> Vec<u32> {
        let status = self.status();
        let servers = status["servers"].as_array().unwrap();
        servers
            .iter()
            .filter(|of| server.is_empty() || of["name"] == server)
            .flat_map(|of| of["processes"].as_array().unwrap())
            .filter(|process| process["name"].as_str().unwrap().starts_with(name))
            .filter_map(|process| process["pid"].as_u64())
            .map(|pid| u32::try_from(pid).unwrap())
            .collect()
    }

    /// `kill -9` of these; returns when the site has noticed.
    pub(crate) fn kill_all(&self, pids: &[u32]) {
        for pid in pids {
            kill(*pid, "KILL");
        }
        wait("the deaths are noticed", || {
            let known = self.pids("", "");
            (!pids.iter().any(|pid| known.contains(pid))).then_some(())
        });
    }

    /// Processes that carry the mark of this site's state directory: all that it ever started.
    pub(crate) fn marked(&self) -> Vec<i32> {
        let path = self.path().join(".mainstay/secrets/leash-mark");
        let mark = std::fs::read_to_string(path).unwrap();
        process::leash::marked(mark.trim())
            .into_iter()
            .map(nix::unistd::Pid::as_raw)
            .collect()
    }

    /// Waits until nothing of a site that was killed is left.
    pub(crate) fn wait_until_gone(&self) {
        wait("the parent is gone", || {
            (!Path::new(&format!("/proc/{}", self.pid())).exists()).then_some(())
        });
        wait("every process is gone", || {
            self.marked().is_empty().then_some(())
        });
    }

    pub(crate) fn wait_until_serving(&self) -> Value {
        wait("the site serves", || {
            Some(self.status()).filter(|s| s["state"] == "serving")
        })
    }
}

fn address(url: &Value) -> String {
    let port = url.as_str().unwrap().rsplit(':').next().unwrap();
    format!("127.0.0.1:{port}")
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.run(&["logs", "-n", "60"]);
            eprintln!("--- logs\n{}", text(&logs.stdout));
        }
        let down = self.run(&["down"]);
        if !down.status.success() && Path::new(&format!("/proc/{}", self.pid())).exists() {
            kill(self.pid(), "KILL");
        }
    }
}

/// Sends a signal to a process of a site under test.
pub(crate) fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status();
    assert!(status.unwrap().success(), "kill -{signal} {pid}");
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

/// Waits until it is so.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    wait(what, || is_so().then_some(()));
}
