//! Starts that cannot work: a clear message, a next step, and nothing left running.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Prepared, TWO_APP_SERVERS, kill, mainstay, text, wait};

/// What `up` says; it must fail, name a next step, and leave nothing.
#[track_caller]
fn refused(prepared: &Prepared, args: &[&str]) -> String {
    let mut up = vec!["up", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"];
    up.extend(args);
    let up = prepared.run(&up);
    let said = text(&up.stderr);
    assert_eq!(up.status.code(), Some(1), "{said}");
    let mark = prepared.path().join(".mainstay/secrets/leash-mark");
    if let Ok(mark) = std::fs::read_to_string(mark) {
        let left = process::leash::marked(mark.trim());
        assert!(left.is_empty(), "left running: {left:?}");
    }
    let runtime = agent::state_dir::runtime_of(&prepared.path().join(".mainstay"));
    assert!(!runtime.exists(), "left behind: {}", runtime.display());
    said
}

#[test]
fn a_command_that_does_not_exist() {
    let site_file = TWO_APP_SERVERS.replace("bin/test_app", "bin/nothing");
    let said = refused(&Prepared::new(&site_file), &[]);
    assert!(said.contains("does not stay up"), "{said}");
    assert!(said.contains("No such file"), "{said}");
    assert!(said.contains("next: mend `command` of [app]"), "{said}");
}

#[test]
fn a_certificate_that_is_none() {
    let prepared = Prepared::new(
        "[balancer]\ncertificates = [{ chain = \"shop.pem\", key = \"shop.pem\" }]\n\
         [backends.app]\nendpoints = [\"127.0.0.1:9\"]\nhealth = { kind = \"none\" }\n",
    );
    std::fs::write(prepared.path().join("shop.pem"), "no certificate").unwrap();
    let since = Instant::now();
    let said = refused(&prepared, &[]);
    assert!(said.contains("shop.pem"), "{said}");
    assert!(said.contains("next: mend that"), "{said}");
    assert!(
        since.elapsed() < Duration::from_secs(60),
        "it waits in vain"
    );
}

#[test]
fn an_application_that_exits() {
    let site_file = TWO_APP_SERVERS.to_owned() + "\n[app.env]\nTEST_EXIT_AFTER_MS = \"10\"\n";
    let said = refused(&Prepared::new(&site_file), &[]);
    assert!(said.contains("exited with status 1"), "{said}");
    assert!(said.contains("exiting as asked"), "its own words: {said}");
}

#[test]
fn an_application_that_never_gets_healthy() {
    let site_file = TWO_APP_SERVERS.replace("stop-timeout", "start-timeout = \"3s\"\nstop-timeout");
    let prepared = Prepared::new(&site_file);
    std::fs::write(prepared.path().join("app/unhealthy"), "").unwrap();
    let said = refused(&prepared, &[]);
    assert!(said.contains("does not become healthy"), "{said}");
    assert!(said.contains("answered 503"), "{said}");
    assert!(said.contains("next: the app must listen"), "{said}");
}

/// A start that waits for its application, and what it was started with.
fn waiting(args: &[&str]) -> (Prepared, Child) {
    let prepared = Prepared::new(TWO_APP_SERVERS);
    std::fs::write(prepared.path().join("app/unhealthy"), "").unwrap();
    let up = mainstay()
        .current_dir(prepared.path())
        .args(["up", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"])
        .args(args)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait("the application is started", || {
        let status = prepared.run(&["status", "--json"]);
        text(&status.stdout).contains("app/1").then_some(())
    });
    (prepared, up)
}

/// Nothing of the start is left. Far less than the application's time to get healthy.
#[track_caller]
fn ends_soon(prepared: &Prepared) {
    let since = Instant::now();
    let state = prepared.path().join(".mainstay");
    let mark = std::fs::read_to_string(state.join("secrets/leash-mark")).unwrap();
    let runtime = agent::state_dir::runtime_of(&state);
    wait("everything has ended", || {
        let gone = process::leash::marked(mark.trim()).is_empty() && !runtime.exists();
        gone.then_some(())
    });
    assert!(since.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_start_that_is_interrupted() {
    let (prepared, up) = waiting(&[]);
    kill(up.id(), "INT");
    ends_soon(&prepared);
    let up = up.wait_with_output().unwrap();
    let said = text(&up.stderr);
    assert_eq!(up.status.code(), Some(1), "{said}");
    assert!(said.contains("the start was broken off"), "{said}");
}

#[test]
fn a_start_that_is_stopped() {
    let (prepared, up) = waiting(&[]);
    let down = prepared.run(&["down"]);
    assert!(down.status.success(), "{}", text(&down.stderr));
    ends_soon(&prepared);
    let said = text(&up.wait_with_output().unwrap().stderr);
    assert!(said.contains("stopped before it answered"), "{said}");
}

#[test]
fn a_detached_start_whose_foreground_is_interrupted() {
    let (prepared, up) = waiting(&["--detach"]);
    kill(up.id(), "INT");
    ends_soon(&prepared);
    up.wait_with_output().unwrap();
}

#[test]
fn a_detached_start_that_is_killed_says_so() {
    let (prepared, up) = waiting(&["--detach"]);
    let pid = std::fs::read_to_string(prepared.path().join(".mainstay/lock")).unwrap();
    kill(pid.trim().parse().unwrap(), "KILL");
    let up = up.wait_with_output().unwrap();
    let said = text(&up.stderr);
    assert_eq!(up.status.code(), Some(1), "{said}");
    assert!(said.contains("ended before it answered"), "{said}");
    assert!(said.contains("next: see "), "{said}");
}

/// `mainstay up | head -1`.
#[test]
fn a_start_whose_reader_has_gone_is_stopped_in_order() {
    let prepared = Prepared::new(TWO_APP_SERVERS);
    let mut up = mainstay()
        .current_dir(prepared.path())
        .args(["up", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(up.stdout.take());
    up.wait().unwrap();
    let events = std::fs::read_to_string(prepared.path().join(".mainstay/events.jsonl")).unwrap();
    assert!(events.contains("site-stopping"), "{events}");
    ends_soon(&prepared);
}

#[test]
fn a_migration_that_fails() {
    let site_file = TWO_APP_SERVERS.replace("instances", "migrate = [\"false\"]\ninstances");
    let said = refused(&Prepared::new(&site_file), &[]);
    assert!(
        said.contains("the migration false: exited with status 1"),
        "{said}"
    );
    assert!(said.contains("next: mend the migration"), "{said}");
}

#[test]
fn no_application_at_all() {
    let prepared = Prepared::new(&TWO_APP_SERVERS.replace("path = \"app\"", "path = \"nowhere\""));
    let said = refused(&prepared, &[]);
    assert!(said.contains("nowhere does not exist"), "{said}");
    assert!(said.contains("next: set `path` of [app]"), "{said}");
}

#[test]
fn an_address_in_use_is_named_with_its_holder() {
    let prepared = Prepared::new(TWO_APP_SERVERS);
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let up = prepared.run(&["up", "--http", &address, "--https", "127.0.0.1:0"]);
    let said = text(&up.stderr);
    assert_eq!(up.status.code(), Some(1));
    let pid = std::process::id();
    assert!(
        said.contains(&format!("address {address} is in use by process {pid}")),
        "{said}"
    );
    assert!(said.contains("next: stop that process"), "{said}");
}

#[test]
fn a_second_start_says_that_it_runs() {
    let site = Prepared::new(TWO_APP_SERVERS).up();
    let second = site.run(&["up", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"]);
    let said = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        said.contains(&format!("runs already (process {}", site.pid())),
        "{said}"
    );
    assert!(said.contains("next: `mainstay status`"), "{said}");
    site.wait_until_serving();
}

#[test]
fn a_state_directory_that_cannot_be_used() {
    let prepared = Prepared::new(TWO_APP_SERVERS);
    std::fs::write(prepared.path().join("file"), "").unwrap();
    let said = refused(&prepared, &["--state", "file/state"]);
    assert!(
        said.contains("cannot use the state directory: file/state"),
        "{said}"
    );
    assert!(said.contains("next: name a directory"), "{said}");

    // Root may write anywhere, but not below /proc: a file system that takes nothing.
    let said = refused(&prepared, &["--state", "/proc/mainstay"]);
    assert!(
        said.contains("cannot use the state directory: /proc/mainstay"),
        "{said}"
    );
}

/// Mounts an empty file system with these options, runs `up` with its state there, unmounts it again.
/// `None`: no right to mount, so there is nothing to see here.
fn refused_on(options: &str) -> Option<String> {
    let prepared = Prepared::new(TWO_APP_SERVERS);
    let mounted = prepared.path().join("mounted");
    std::fs::create_dir(&mounted).unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(&mounted)
        .output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        eprintln!("skipped: no right to mount");
        return None;
    }
    let up = [
        "up",
        "--http",
        "127.0.0.1:0",
        "--https",
        "127.0.0.1:0",
        "--state",
    ];
    let up = prepared.run(&[&up[..], &["mounted/state"]].concat());
    let unmount = std::process::Command::new("umount").arg(&mounted).status();
    assert!(unmount.unwrap().success());
    assert_eq!(up.status.code(), Some(1), "{}", text(&up.stderr));
    Some(text(&up.stderr))
}

#[test]
fn a_full_state_directory() {
    let Some(said) = refused_on("size=1m") else {
        return;
    };
    assert!(said.contains("256 MiB are needed"), "{said}");
    assert!(said.contains("next: free some space"), "{said}");
}

#[test]
fn a_read_only_state_directory() {
    let Some(said) = refused_on("ro") else { return };
    assert!(
        said.contains("mounted/state: Read-only file system"),
        "{said}"
    );
    assert!(
        said.contains("next: name a directory you can write to"),
        "{said}"
    );
}

#[test]
fn a_webhook_whose_secret_is_missing() {
    let site_file =
        TWO_APP_SERVERS.to_owned() + "\n[alerts]\nwebhook = [{ secret = \"alerts-url\" }]\n";
    let said = refused(&Prepared::new(&site_file), &[]);
    assert!(
        said.contains("no secret `alerts-url`, which `webhook` of [alerts] needs"),
        "{said}"
    );
}

#[test]
fn a_secret_that_is_missing_or_open_to_others() {
    let site_file = TWO_APP_SERVERS.to_owned() + "\n[app.env]\nAPI = { secret = \"api-key\" }\n";
    let prepared = Prepared::new(&site_file);
    let said = refused(&prepared, &[]);
    assert!(
        said.contains("no secret `api-key`, which API of [app] needs"),
        "{said}"
    );
    let path = prepared.path().join(".mainstay/secrets/api-key");
    std::fs::write(&path, "k").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = refused(&prepared, &[]);
    assert!(said.contains("others may read"), "{said}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    drop(prepared.up());
}

#[test]
fn no_site_is_running() {
    let prepared = Prepared::new(TWO_APP_SERVERS);
    for verb in ["status", "down"] {
        let output = prepared.run(&[verb]);
        assert_eq!(output.status.code(), Some(3), "{verb}");
        assert!(
            text(&output.stderr).contains("next: `mainstay up` starts one"),
            "{verb}"
        );
    }
}
